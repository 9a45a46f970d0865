"""DICOM files: those of many codings that pydicom ships, and ones written here with known content."""

import warnings
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import apply_rescale, pixel_array
from pydicom.sequence import Sequence
from pydicom.uid import RLELossless

from tests.tfds_builders.hostile.files import dicom as write_dataset
from tests.tfds_builders.hostile.files import save
from tfds_builders.readers import dicom, dicom_file, kinds
from tfds_builders.readers.api import TooLarge, UnreadableScan, UnsupportedScan
from tfds_builders.readers.limits import Limits
from tfds_builders.resize import fit

SHIPPED = Path(pydicom.data.__file__).parent / "test_files"
LUMA = [0.299, 0.587, 0.114]
UNREADABLE = {
    "JPEG-lossy.dcm": "12-bit lossy JPEG, which no decoder of a free licence reads",
    "JPGExtended.dcm": "the same",
    "MR_truncated.dcm": "cut off",
    "JPEG2000-embedded-sequence-delimiter.dcm": "its picture says another size than its header",
    "badVR.dcm": "not a number in BitsAllocated",
}


def shipped() -> list[str]:
    found = []
    for path in sorted(SHIPPED.glob("*.dcm")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                dataset = pydicom.dcmread(path)
            except pydicom.errors.InvalidDicomError:
                continue
        if {"PixelData", "PhotometricInterpretation"} <= set(dataset.dir()) and path.name not in UNREADABLE:
            found.append(path.name)
    return found


@pytest.mark.parametrize(("said", "aspect"), [(None, 1), ([2, 1], 0.5), ([3, 4], 4 / 3), ([0, 1], 1), ([1], 1)])
def test_pixels_that_are_not_square_are_told(tmp_path, said, aspect):
    """DICOM PS3.3 C.7.6.3.1.7: vertical size, then horizontal size."""
    path = save(write_dataset(**{} if said is None else {"PixelAspectRatio": said}), tmp_path / "a.dcm")
    assert dicom.read(path, 1).aspect == pytest.approx(aspect)


@pytest.mark.filterwarnings("ignore")  # pydicom's own, of its odd files
@pytest.mark.parametrize("name", shipped())
def test_grey_equals_the_brightness_of_pydicoms_colours(name):
    path = SHIPPED / name
    dataset = dicom_file.parse(path)
    frames = list(dicom_file.grey_frames(path, dataset, list(range(int(dataset.get("NumberOfFrames", 1))))))
    theirs = pixel_array(pydicom.dcmread(path))  # in RGB where the file is in colours
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        theirs = pydicom.pixels.apply_color_lut(theirs, dataset) / 257
    elif dataset.PhotometricInterpretation.startswith("MONOCHROME"):
        np.testing.assert_allclose(np.squeeze(frames), apply_rescale(theirs, dataset))
        return
    brightness = theirs @ LUMA * (255 / (2**dataset.BitsStored - 1) if dataset.BitsStored > 8 else 1)
    for ours, want in zip(frames, brightness.reshape(len(frames), *frames[0].shape), strict=True):
        # chroma out of range is cut off in RGB, which changes its brightness; brightness itself is exact
        assert np.median(np.abs(ours - want)) < 1
        assert np.abs(ours - want).mean() < 4


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_decoded_is_refused_by_name(name):
    with pytest.raises((UnreadableScan, UnsupportedScan, TooLarge)):
        dicom.read(SHIPPED / name, 2, allow_burned_in=True)


def ramp(frames: int = 8, height: int = 64, width: int = 64) -> np.ndarray:
    """uint8 ``[t h w]``, all frames and all corners told apart."""
    t, y, x = np.meshgrid(np.arange(frames), np.arange(height), np.arange(width), indexing="ij")
    return ((20 * t + y + 2 * x) % 256).astype(np.uint8)


def region(left: int, top: int, right: int, bottom: int, **fields) -> Dataset:
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType = 1, 1
    item.RegionLocationMinX0, item.RegionLocationMinY0 = left, top
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = right, bottom
    for name, value in fields.items():
        setattr(item, name, value)
    return item


def write(folder: Path, pixels: np.ndarray, **fields) -> Path:
    size = {"Rows": pixels.shape[1], "Columns": pixels.shape[2], "NumberOfFrames": len(pixels)}
    return save(write_dataset(pixels.tobytes(), **(size | fields)), folder / "a.dcm")


def test_frames_are_chosen_evenly_and_timed(tmp_path):
    path = write(tmp_path, ramp(), FrameTime=40.0)
    got = dicom.read(path, 4)
    np.testing.assert_array_equal(got.pixels[..., 0], ramp()[[0, 2, 5, 7]])
    np.testing.assert_allclose(got.spacing, [0.04 * 7 / 3, np.nan, np.nan])
    assert np.isnan(dicom.read(path, 1).spacing[0])
    times = write(tmp_path, ramp(), FrameTimeVector=[0.0, 10, 20, 30, 40, 50, 60, 70])
    np.testing.assert_allclose(dicom.read(times, 8).spacing[0], 0.04)
    np.testing.assert_allclose(dicom.read(write(tmp_path, ramp(), CineRate=20), 8).spacing[0], 0.05)


@pytest.mark.parametrize("size", ["1e-50", "1e-4", "1e3", "1e37", "1e300"])
def test_sizes_and_times_that_cannot_be_are_unknown(tmp_path, size):
    """A record's spacing is f32, where 1e300 is infinite and 1e-50 is 0."""
    flat = write(tmp_path, ramp(1, 32, 64), PixelSpacing=[size, size])
    assert np.isnan(dicom.read(flat, 1).spacing[1:]).all()
    scale = {"PhysicalUnitsXDirection": 3, "PhysicalUnitsYDirection": 3}
    scale |= {"PhysicalDeltaX": float(size) / 10, "PhysicalDeltaY": float(size) / 10}
    place = Sequence([region(0, 0, 63, 31, **scale)])
    assert np.isnan(
        dicom.read(write(tmp_path, ramp(1, 32, 64), SequenceOfUltrasoundRegions=place), 1).spacing[1:]
    ).all()
    for said in ({"PixelSpacing": ["1", "11"]}, {"PixelAspectRatio": ["1", "2147483647"]}):
        reading = dicom.read(write(tmp_path, ramp(1, 32, 64), **said), 1)
        np.testing.assert_array_equal(reading.spacing, [np.nan] * 3)
        assert reading.aspect == 1
        assert fit(reading.pixels, 16, reading.spacing, reading.aspect)[0].any((0, 2, 3)).sum() == 8  # 16 wide, not 1
    if size not in ("1e-4", "1e3"):
        for said in ({"FrameTime": size}, {"FrameTimeVector": ["0", *[size] * 7]}):
            assert np.isnan(dicom.read(write(tmp_path, ramp(), **said), 8).spacing[0])


def test_only_wanted_frames_are_decoded(tmp_path, monkeypatch):
    decoded, decode = [], dicom_file.iter_pixels
    monkeypatch.setattr(
        dicom_file, "iter_pixels", lambda *given, **named: decoded.extend(named["indices"]) or decode(*given, **named)
    )
    dicom.read(write(tmp_path, ramp()), 3)
    assert decoded == [0, 4, 7]


def test_the_largest_picture_region_is_what_is_kept(tmp_path):
    scale = {"PhysicalUnitsXDirection": 3, "PhysicalUnitsYDirection": 3, "PhysicalDeltaX": 0.05, "PhysicalDeltaY": 0.02}
    regions = [region(0, 0, 9, 9), region(8, 16, 55, 47, **scale), region(0, 0, 63, 63, RegionSpatialFormat=2)]
    path = write(tmp_path, ramp(), SequenceOfUltrasoundRegions=Sequence(regions), BurnedInAnnotation="YES")
    got = dicom.read(path, 8)
    np.testing.assert_array_equal(got.pixels[..., 0], ramp()[:, 16:48, 8:56])
    np.testing.assert_allclose(got.spacing[1:], [0.2, 0.5])
    # Scanners name the first pixel that is no longer inside.
    path = write(tmp_path, ramp(), SequenceOfUltrasoundRegions=Sequence([region(8, 16, 64, 64)]))
    np.testing.assert_array_equal(dicom.read(path, 8).pixels[..., 0], ramp()[:, 16:, 8:])


@pytest.mark.parametrize("said", ["YES", "", None])
def test_what_may_show_a_name_is_refused_unless_allowed(tmp_path, said):
    fields = {} if said is None else {"BurnedInAnnotation": said}
    dataset = write_dataset(ramp(1).tobytes(), **fields)
    if said is None:
        del dataset.BurnedInAnnotation
    path = save(dataset, tmp_path / "a.dcm")
    for read in (lambda: dicom.read(path, 1), lambda: dicom.probe(path), lambda: kinds.probe_clip(path)):
        with pytest.raises(UnsupportedScan, match=r"may show a name.*--allow_burned_in"):
            read()
    np.testing.assert_array_equal(dicom.read(path, 1, allow_burned_in=True).pixels[..., 0], ramp(1))
    # What is not of this frame, or is all of it, crops nothing.
    for idle in (region(60, 60, 100, 100), region(0, 0, 63, 63), region(0, 0, 64, 64), region(0, 0, 61, 63)):
        path = write(tmp_path, ramp(1), SequenceOfUltrasoundRegions=Sequence([idle]), BurnedInAnnotation="YES")
        with pytest.raises(UnsupportedScan, match="may show a name"):
            dicom.read(path, 1)
        path = write(tmp_path, ramp(1), SequenceOfUltrasoundRegions=Sequence([idle]), BurnedInAnnotation="NO")
        kept = dicom.read(path, 1).pixels[..., 0]
        np.testing.assert_array_equal(kept, ramp(1)[:, :, : kept.shape[2]])
    least = Sequence([region(0, 0, 59, 63)])  # 94 % of the picture
    path = write(tmp_path, ramp(1), SequenceOfUltrasoundRegions=least, BurnedInAnnotation="YES")
    assert dicom.read(path, 1).pixels.shape == (1, 64, 60, 1)


def test_grey_of_more_than_8_bits_is_rescaled_and_stretched(tmp_path):
    values = np.random.default_rng(0).integers(0, 4096, (4, 64, 64)).astype("<u2")
    deep = {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11, "RescaleSlope": 0.5, "RescaleIntercept": -100}
    got = dicom.read(write(tmp_path, values, **deep), 4).pixels[..., 0]
    low, high = np.percentile(values * 0.5 - 100, [0.5, 99.5])
    want = np.clip((values * 0.5 - 100 - low) / (high - low), 0, 1) * 255
    np.testing.assert_allclose(got, want, atol=0.51)
    inverted = dicom.read(write(tmp_path, values, PhotometricInterpretation="MONOCHROME1", **deep), 4).pixels[..., 0]
    np.testing.assert_allclose(inverted.astype(int), 255 - got.astype(int), atol=1)


def test_8_bits_whose_zero_is_white_are_turned_round_and_not_stretched(tmp_path):
    path = write(tmp_path, ramp() // 2, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(dicom.read(path, 8).pixels[..., 0], 255 - ramp() // 2)


@pytest.mark.parametrize(
    ("photometric", "samples", "fault", "sentence"),
    [
        ("MONOCHROME2", 3, UnreadableScan, "declares 1 frames of 3 samples in MONOCHROME2; the file is damaged"),
        ("RGB", 1, UnreadableScan, "declares 1 frames of 1 samples in RGB; the file is damaged"),
        ("YBR_FULL", 1, UnreadableScan, "declares 1 frames of 1 samples in YBR_FULL"),
        ("HSV", 3, UnsupportedScan, "has a photometric interpretation other than MONOCHROME1, MONOCHROME2, PALETTE"),
        ("JANE", 1, UnsupportedScan, "has a photometric interpretation other than MONOCHROME1"),
    ],
)
def test_colours_that_cannot_be_are_refused_before_decoding(tmp_path, photometric, samples, fault, sentence):
    pixels = bytes(64 * 64 * samples)
    fields = {"PhotometricInterpretation": photometric, "SamplesPerPixel": samples, "PlanarConfiguration": 0}
    path = save(write_dataset(pixels, **fields), tmp_path / "a.dcm")
    for read in (lambda: dicom.read(path, 1), lambda: dicom.probe(path)):
        with pytest.raises(fault, match=sentence) as told:
            read()
        assert "JANE" not in told.value.reason


@pytest.mark.parametrize("length", ["plain", "extended", "to the end"])
def test_jpeg_2000_in_boxes_may_not_be_larger_than_its_header_says(tmp_path, length):
    """Decoders allocate what the codestream claims; ISO 15444-1, annex I, has the boxes around it."""
    dataset = pydicom.dcmread(SHIPPED / "JPEG2000.dcm")
    stream = get_frame(dataset.PixelData, 0, number_of_frames=1)
    assert stream[:4] == b"\xff\x4f\xff\x51"
    head = bytes.fromhex("0000000C6A5020200D0A870A") + bytes.fromhex("00000014667479706A703220000000006A703220")
    boxed = {
        "plain": (len(stream) + 8).to_bytes(4, "big") + b"jp2c",
        "extended": (1).to_bytes(4, "big") + b"jp2c" + (len(stream) + 16).to_bytes(8, "big"),
        "to the end": bytes(4) + b"jp2c",
    }[length]
    height, width = int(dataset.Rows), int(dataset.Columns)
    assert dicom_file._declared_size(head + boxed + stream) == (height, width)
    large = bytearray(stream)
    large[8:12] = (20 * width).to_bytes(4, "big")
    dataset.PixelData = encapsulate([head + boxed + bytes(large)])
    path = tmp_path / "a.dcm"
    dataset.save_as(path)
    with pytest.raises(TooLarge, match=f"has a frame of {20 * width}x{height} pixels where its header says another"):
        dicom.read(path, 1, allow_burned_in=True)
    assert dicom_file._declared_size(head + bytes(8)) is None  # a box without length ends the search


@pytest.mark.parametrize("bits", [8, 16])
def test_palettes_become_their_brightness(tmp_path, bits):
    rng = np.random.default_rng(0)
    table = rng.integers(0, 2**bits, (3, 256)).astype(f"<u{bits // 8}")
    fields = {"PhotometricInterpretation": "PALETTE COLOR", "SequenceOfUltrasoundRegions": None}
    for name, values in zip(("Red", "Green", "Blue"), table, strict=True):
        fields[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
        fields[f"{name}PaletteColorLookupTableData"] = values.tobytes()
    index = ramp(2)
    want = np.tensordot(LUMA, table / (257 if bits == 16 else 1), 1)[index]
    np.testing.assert_allclose(dicom.read(write(tmp_path, index, **fields), 2).pixels[..., 0], want, atol=0.51)


def test_run_lengths_of_many_frames_are_unpacked(tmp_path):
    dataset = pydicom.dcmread(write(tmp_path, ramp()))
    dataset.compress(RLELossless)
    np.testing.assert_array_equal(dicom.read(save(dataset, tmp_path / "b.dcm"), 8).pixels[..., 0], ramp())


def test_limits_hold_before_pixels_are_unpacked(tmp_path):
    path = write(tmp_path, ramp())
    for limits in (Limits(side=63), Limits(frame_pixels=4095), Limits(frames=7), Limits(decoded_bytes=4096 * 4)):
        with pytest.raises(TooLarge):
            dicom.read(path, 8, limits=limits)
