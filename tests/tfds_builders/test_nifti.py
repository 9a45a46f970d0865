import gzip
import itertools
import struct
import tracemalloc

import nibabel as nib
import numpy as np
import pytest

from tfds_builders.readers import nifti
from tfds_builders.readers.api import TooLarge, UnreadableScan, UnsupportedScan
from tfds_builders.readers.limits import Limits

ORIENTATIONS = [
    "".join(codes) for axes in itertools.permutations(("LR", "AP", "SI")) for codes in itertools.product(*axes)
]


def test_all_48_orientations_of_a_volume_are_read_alike(tmp_path, make):
    want = nifti.read(make.volume(tmp_path / "ras.nii.gz"))
    assert want.pixels.shape == (16, 24, 20, 1)
    np.testing.assert_array_equal(want.spacing, [2, 1, 1])
    assert len(ORIENTATIONS) == 48
    for codes in ORIENTATIONS:
        got = nifti.read(make.volume(tmp_path / "other.nii", codes))
        np.testing.assert_array_equal(got.pixels, want.pixels)
        np.testing.assert_array_equal(got.spacing, want.spacing)


def test_axes_run_up_back_and_right(tmp_path, make):
    pixels = nifti.read(make.volume(tmp_path / "a.nii")).pixels[..., 0].astype(float)
    assert np.diff(pixels.mean((1, 2))).min() > 0  # the volume brightens towards superior …
    assert np.diff(pixels.mean((0, 2))).max() < 0  # … anterior, which comes first …
    assert np.diff(pixels.mean((0, 1))).min() > 0  # … and right


def test_the_window_ignores_outliers_slope_and_what_is_no_number(tmp_path):
    volume = np.random.default_rng(0).random((20, 20, 20)).astype(np.float32)
    volume[0, 0, 0], volume[1, 1, 1], volume[2, 2, 2] = 1e9, np.nan, -np.inf
    nib.save(nib.Nifti1Image(volume, np.eye(4)), tmp_path / "a.nii")
    nib.save(nib.Nifti1Image(1000 * volume - 7, np.eye(4)), tmp_path / "b.nii")
    first, second = (nifti.read(tmp_path / name).pixels for name in ("a.nii", "b.nii"))
    assert np.abs(first.astype(int) - second).max() <= 1
    assert 110 < first.mean() < 145
    assert first.min() == 0
    assert first.max() == 255


def test_spacing_is_in_millimetres(tmp_path):
    image = nib.Nifti1Image(np.arange(27, dtype=np.float32).reshape(3, 3, 3), np.diag([0.001, 0.002, 0.003, 1]))
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "a.nii")
    np.testing.assert_allclose(nifti.read(tmp_path / "a.nii").spacing, [3, 2, 1], rtol=1e-5)


def test_one_volume_in_four_axes_is_one_volume(tmp_path):
    volume = np.random.default_rng(0).random((5, 6, 7, 1)).astype(np.float32)
    nib.save(nib.Nifti2Image(volume, np.eye(4)), tmp_path / "a.nii")
    assert nifti.read(tmp_path / "a.nii").pixels.shape == (7, 6, 5, 1)
    nib.save(nib.Nifti1Image(np.tile(volume, (1, 1, 1, 2)), np.eye(4)), tmp_path / "b.nii")
    with pytest.raises(UnsupportedScan, match=r"holds 2 volumes \(5x6x7x2\)"):
        nifti.read(tmp_path / "b.nii")


@pytest.mark.parametrize(
    ("voxels", "sentence"),
    [
        (np.ones((4, 4, 4), np.uint8), "is one even grey: percentiles 0.5 and 99.5 of it are both 1"),
        (np.full((4, 4, 4), np.nan, np.float32), "is one even grey"),
        (np.ones((4, 4), np.uint8), "has the shape 4x4; a volume has three axes"),
        (np.ones((4, 4, 4), np.complex64), "holds complex64 voxels"),
        (np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")]), "a volume of grey values is needed"),
    ],
)
def test_what_is_no_grey_volume_is_refused(tmp_path, voxels, sentence):
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(UnsupportedScan) as caught:
        nifti.read(tmp_path / "a.nii")
    assert sentence in str(caught.value)


@pytest.mark.parametrize("act", [nifti.read, nifti.probe])
def test_damage_is_found(tmp_path, make, act):
    whole = make.volume(tmp_path / "whole.nii.gz").read_bytes()
    plain = gzip.decompress(whole)
    flipped = bytearray(whole)
    flipped[len(flipped) // 2] ^= 0x10
    for name, data, sentence in (
        ("cut.nii.gz", whole[: len(whole) // 2], "is cut off: its compressed data ends too early"),
        ("no_sum.nii.gz", whole[:-4], "is cut off"),
        ("flipped.nii.gz", bytes(flipped), "is damaged: its compressed data is not what was written"),
        ("short.nii", plain[:-1], "is cut off: .* bytes, and its header needs"),
        ("short_inside.nii.gz", gzip.compress(plain[:-1]), "is cut off: .* bytes, and its header needs"),
        ("table.nii", b"scan,patient\n" * 50, "is not a NIfTI volume"),
        ("empty.nii", b"", "is not a NIfTI volume"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UnreadableScan, match=sentence):
            act(tmp_path / name)
    with pytest.raises(UnreadableScan, match="cannot be opened: No such file"):
        act(tmp_path / "absent.nii")


def test_the_suffix_is_not_trusted_and_gzip_members_are_joined(tmp_path, make):
    want = nifti.read(make.volume(tmp_path / "a.nii")).pixels
    plain = (tmp_path / "a.nii").read_bytes()
    (tmp_path / "b.nii").write_bytes(gzip.compress(plain[:999]) + gzip.compress(plain[999:]) + bytes(100))
    np.testing.assert_array_equal(nifti.read(tmp_path / "b.nii").pixels, want)


def test_limits_hold_before_memory_is_taken(tmp_path, make):
    plain = bytearray(gzip.decompress(make.volume(tmp_path / "a.nii.gz").read_bytes()))
    struct.pack_into("<4h", plain, 40, 3, 5000, 5000, 5000)
    (tmp_path / "huge.nii").write_bytes(plain)
    (tmp_path / "huge.nii.gz").write_bytes(gzip.compress(plain))
    (tmp_path / "bomb.nii.gz").write_bytes(
        gzip.compress(gzip.decompress((tmp_path / "a.nii.gz").read_bytes()) + bytes(1 << 26))
    )
    struct.pack_into("<4h", plain, 40, 3, 20000, 2, 2)
    (tmp_path / "long.nii").write_bytes(plain)
    tracemalloc.start()
    for name in ("huge.nii", "huge.nii.gz"):
        with pytest.raises(TooLarge, match=r"would take 476,837 MiB in memory; the limit is 2,048 MiB"):
            nifti.read(tmp_path / name)
    with pytest.raises(TooLarge, match="declares 20000x2x2 voxels; the limit is 8192 along an axis"):
        nifti.read(tmp_path / "long.nii")
    with pytest.raises(TooLarge, match="would take 17 MiB in memory; the limit is 16 MiB"):
        nifti.read(tmp_path / "bomb.nii.gz", Limits(decoded_bytes=1 << 24))
    assert tracemalloc.get_traced_memory()[1] < 48 << 20
    tracemalloc.stop()
