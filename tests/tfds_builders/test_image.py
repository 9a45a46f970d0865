"""Stills: grey as the eye sees it, upright, of any mode."""

import struct

import numpy as np
import pytest
from PIL import Image

from tfds_builders.readers import image
from tfds_builders.readers.api import TooLarge, UnreadableScan, UnsupportedScan
from tfds_builders.readers.limits import Limits

GREY = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
COLOURS = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
LUMA = [0.299, 0.587, 0.114]


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "lies.jpg"])
def test_grey_is_kept_bit_for_bit(tmp_path, name):
    Image.fromarray(GREY).save(tmp_path / name, "PNG" if name == "lies.jpg" else None)
    image.probe(tmp_path / name)
    got = image.read(tmp_path / name)
    np.testing.assert_array_equal(got.pixels, GREY[None, :, :, None])
    assert np.isnan(got.spacing).all()


def test_colours_become_brightness_and_transparency_is_ignored(tmp_path):
    want = COLOURS @ LUMA
    Image.fromarray(COLOURS).save(tmp_path / "a.png")
    np.testing.assert_allclose(image.read(tmp_path / "a.png").pixels[0, ..., 0], want, atol=1)
    Image.fromarray(np.dstack([COLOURS, GREY])).save(tmp_path / "b.png")
    np.testing.assert_allclose(image.read(tmp_path / "b.png").pixels[0, ..., 0], want, atol=1)
    Image.fromarray(COLOURS).quantize(256).save(tmp_path / "c.png")
    palette = np.asarray(Image.open(tmp_path / "c.png").convert("RGB")) @ LUMA
    np.testing.assert_allclose(image.read(tmp_path / "c.png").pixels[0, ..., 0], palette, atol=1)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_more_than_8_bits_are_stretched(tmp_path, name):
    deep = np.random.default_rng(0).integers(500, 3000, (20, 30)).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / name)
    want = (deep - deep.min()) / float(deep.max() - deep.min()) * 255
    np.testing.assert_allclose(image.read(tmp_path / name).pixels[0, ..., 0], want, atol=0.51)
    Image.fromarray(np.full((8, 8), 700, np.uint16)).save(tmp_path / name)
    with pytest.raises(UnsupportedScan, match="one even grey"):
        image.read(tmp_path / name)


def test_a_tiff_whose_zero_is_white_is_read_as_it_looks(tmp_path):
    for kind in (np.uint8, np.uint16):
        grey = GREY.astype(kind) if kind == np.uint8 else GREY.astype(kind) * 257
        Image.fromarray(grey).save(tmp_path / "a.tif")
        black = image.read(tmp_path / "a.tif").pixels
        content = bytearray((tmp_path / "a.tif").read_bytes())
        at = content.index(struct.pack("<HHI", 262, 3, 1)) + 8  # tag, type, count; then the value, 1: black is zero
        assert content[at] == 1
        content[at] = 0
        (tmp_path / "a.tif").write_bytes(content)
        np.testing.assert_array_equal(image.read(tmp_path / "a.tif").pixels, 255 - black)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_refused(tmp_path, value):
    grey = GREY.astype(np.float32)
    grey[3, 4] = value
    Image.fromarray(grey).save(tmp_path / "a.tif")
    with pytest.raises(UnsupportedScan, match="has pixels that are no numbers"):
        image.read(tmp_path / "a.tif")


@pytest.mark.parametrize(("tag", "turned"), [(3, np.rot90(GREY, 2)), (6, np.rot90(GREY, -1)), (8, np.rot90(GREY))])
def test_a_photograph_is_turned_upright(tmp_path, tag, turned):
    exif = Image.Exif()
    exif[0x0112] = tag
    Image.fromarray(GREY).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(image.read(tmp_path / "a.png").pixels[0, ..., 0], turned)


def test_pages_and_large_pictures_are_refused(tmp_path):
    page = Image.fromarray(GREY)
    page.save(tmp_path / "a.tif", save_all=True, append_images=[page])
    with pytest.raises(UnsupportedScan, match="holds 2 pages"):
        image.probe(tmp_path / "a.tif")
    page.save(tmp_path / "a.png")
    for limits in (Limits(side=29), Limits(frame_pixels=599)):
        with pytest.raises(TooLarge):
            image.read(tmp_path / "a.png", limits)
    (tmp_path / "b.png").write_bytes(b"GIF89a")
    with pytest.raises(UnreadableScan, match="is not a picture"):
        image.read(tmp_path / "b.png")
