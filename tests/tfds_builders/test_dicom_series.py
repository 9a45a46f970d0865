"""Folders of DICOM slices: a volume where they lie, whatever they are called; a refusal where they are no volume."""

import tracemalloc
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, generate_uid

from tests.tfds_builders.hostile.files import dicom as write_dataset
from tests.tfds_builders.hostile.files import save
from tfds_builders.readers import dicom_series, kinds
from tfds_builders.readers.api import TooLarge, UnreadableScan, UnsupportedScan
from tfds_builders.readers.limits import Limits

SERIES = generate_uid(entropy_srcs=["series"])
LARGE = Limits(expansion=2000)
AXIAL = (1.0, 0, 0, 0, 1, 0)
ANGLE = np.deg2rad(12)
OBLIQUE = (1.0, 0, 0, 0, np.cos(ANGLE), np.sin(ANGLE))


def voxels(columns: int = 6, rows: int = 5, slices: int = 7) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 1000, (columns, rows, slices)).astype("<i2")


def write_slice(path: Path, pixels: np.ndarray, at: float, directions=AXIAL, **fields) -> None:
    """``pixels`` ``[row column]`` at ``at`` mm along the normal; 2 mm between rows, 1.5 mm between columns."""
    normal = np.cross(directions[:3], directions[3:])
    values = {
        **{"Rows": pixels.shape[0], "Columns": pixels.shape[1], "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15},
        **{"PixelRepresentation": 1, "SeriesInstanceUID": SERIES, "ImageOrientationPatient": list(directions)},
        **{"ImagePositionPatient": (np.array([10.0, -20, 30]) + at * normal).tolist(), "PixelSpacing": [2.0, 1.5]},
    }
    save(write_dataset(pixels.tobytes(), **(values | fields)), path)


def write_series(folder: Path, places=range(7), directions=AXIAL, step: float = 3.0, **fields) -> Path:
    """Slices in files whose names do not tell their order."""
    folder.mkdir(exist_ok=True)
    names = np.random.default_rng(1).permutation(100)
    for name, k in zip(names, places, strict=False):
        pixels = np.ascontiguousarray(voxels()[:, :, k].T)
        write_slice(folder / f"IM{name:04d}", pixels, step * k, directions, InstanceNumber=int(name), **fields)
    return folder


@pytest.mark.parametrize("directions", [AXIAL, OBLIQUE], ids=["axial", "oblique"])
def test_slices_are_stacked_by_where_they_lie(tmp_path, directions):
    folder = write_series(tmp_path / "series", directions=directions, RescaleSlope=2.0, RescaleIntercept=-5.0)
    (folder / "readme.txt").write_text("no slice")
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    (folder / "more").mkdir()
    dicom_series.probe(folder)
    got = kinds.read_volume(folder)
    np.testing.assert_allclose(got.voxels, voxels() * 2.0 - 5)
    # By definition (DICOM PS3.3 C.7.6.2.1.1): position + column index * row direction + row index * column direction,
    # and from LPS to RAS by turning the first two axes round.
    along_columns, along_rows = np.array(directions[:3]), np.array(directions[3:])
    normal = np.cross(along_columns, along_rows)
    for i, j, k in [(0, 0, 0), (5, 0, 0), (0, 4, 0), (0, 0, 6), (2, 3, 4)]:
        place = np.array([10.0, -20, 30]) + 1.5 * i * along_columns + 2.0 * j * along_rows + 3.0 * k * normal
        np.testing.assert_allclose((got.affine @ [i, j, k, 1])[:3], place * [-1, -1, 1], atol=1e-4)


def test_a_missing_slice_is_noticed(tmp_path):
    with pytest.raises(UnsupportedScan, match="slices 3 mm apart, and 6 mm between 36 and 42 mm; slices are missing"):
        dicom_series.read(write_series(tmp_path / "series", places=[0, 1, 2, 4, 5, 6]))


def test_two_slices_at_one_place_are_noticed(tmp_path):
    folder = write_series(tmp_path / "series")
    write_slice(folder / "again", np.ascontiguousarray(voxels()[:, :, 3].T), 9.0)
    with pytest.raises(UnsupportedScan, match="two slices at one place"):
        dicom_series.read(folder)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"SeriesInstanceUID": "1.2.3"}, "slices of 2 series; give each a folder of its own"),
        ({"ImageOrientationPatient": list(OBLIQUE)}, "slices of several directions"),
        ({"ImagePositionPatient": None}, "do not say where they lie"),
        ({"ImagePositionPatient": [10.0, -18, 51]}, "has a slice 1.71429 mm beside its place in an even stack"),
        ({"FrameOfReferenceUID": "1.2.3"}, "slices of 2 frames of reference; give each a folder of its own"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "slices of 2 photometric interpretations"),
        ({"PixelSpacing": [2.0, 1.52]}, "slices with pixels of several sizes; give each a folder of its own"),
        ({"NumberOfFrames": 2}, "a file of several frames"),
    ],
)
def test_a_slice_that_does_not_belong_is_noticed(tmp_path, fields, sentence):
    folder = write_series(tmp_path / "series")
    pixels = np.ascontiguousarray(np.tile(voxels()[:, :, 3].T, (1, 1)))
    write_slice(folder / "other", pixels, 21.0, **fields)
    with pytest.raises(UnsupportedScan, match=sentence):
        dicom_series.read(folder)


def test_slices_of_another_size_are_noticed(tmp_path):
    folder = write_series(tmp_path / "series")
    write_slice(folder / "other", np.zeros((5, 8), "<i2"), 21.0)
    with pytest.raises(UnsupportedScan, match="slices of 2 widths"):
        dicom_series.read(folder)


@pytest.mark.parametrize(("name", "content"), [("IM9999", b""), ("IM9999.dcm", b"/annex/objects/x"), ("z.DCM", b"")])
def test_a_slice_that_was_not_copied_is_noticed_also_at_an_end(tmp_path, name, content):
    folder = write_series(tmp_path / "series", places=range(6))  # the seventh is the one that is lost
    (folder / name).write_bytes(content)
    for read in (dicom_series.read, dicom_series.probe):
        with pytest.raises(UnreadableScan, match="holds a slice that is empty or no DICOM file; copy the series again"):
            read(folder)


def test_a_slice_that_is_a_link_to_nothing_is_noticed(tmp_path):
    folder = write_series(tmp_path / "series", places=range(6))
    (folder / "IM9999").symlink_to(tmp_path / "annex" / "x")
    with pytest.raises(UnreadableScan, match="IM9999 cannot be opened: No such file or directory"):
        dicom_series.read(folder)


def test_one_slice_and_none_are_no_volume(tmp_path):
    with pytest.raises(UnsupportedScan, match="holds one slice"):
        dicom_series.read(write_series(tmp_path / "one", places=[0]))
    (tmp_path / "none").mkdir()
    for read in (dicom_series.read, dicom_series.probe):
        with pytest.raises(UnreadableScan, match="a folder without DICOM slices"):
            read(tmp_path / "none")


def test_limits_hold_for_the_whole_series(tmp_path):
    folder = write_series(tmp_path / "series")
    for limits in (Limits(frames=6), Limits(decoded_bytes=4 * 6 * 5 * 7 - 1), Limits(side=5)):
        with pytest.raises(TooLarge):
            dicom_series.read(folder, limits)


def test_slices_that_drift_apart_are_noticed(tmp_path):
    """Each distance is within 5 % of the usual one, and yet a slice in the middle lies elsewhere than it would."""
    folder = tmp_path / "series"
    folder.mkdir()
    places = np.concatenate([[0], np.cumsum([3.0] * 21 + [3.14] * 20)])
    for k, place in enumerate(places):
        write_slice(folder / f"IM{k:04d}", np.zeros((4, 4), "<i2"), place)
    with pytest.raises(UnsupportedScan, match=r"has a slice 1.4\d* mm beside its place in an even stack of slices"):
        dicom_series.read(folder)


def test_what_slices_hold_beside_their_pixels_takes_no_memory(tmp_path):
    """Eight deflated slices of 16 kB unpack to 16 MiB each: one is in memory at a time, none while they are sorted."""
    folder = tmp_path / "series"
    folder.mkdir()
    for k in range(8):
        write_slice(folder / "plain", np.ascontiguousarray(voxels(slices=8)[:, :, k].T), 3.0 * k)
        dataset = pydicom.dcmread(folder / "plain")
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        dataset.private_block(0x0011, "LAB", create=True).add_new(1, "OB", bytes(16 << 20))
        dataset.save_as(folder / f"IM{k}", enforce_file_format=True)
    (folder / "plain").unlink()
    dicom_series.read(folder, LARGE)  # imports
    tracemalloc.start()
    got = dicom_series.read(folder, LARGE)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(got.voxels, voxels(slices=8))
    assert most < 4 * (16 << 20)


def test_slices_cut_off_are_refused(tmp_path):
    folder = write_series(tmp_path / "series")
    first = sorted(folder.iterdir())[0]
    first.write_bytes(first.read_bytes()[:-20])
    with pytest.raises(UnreadableScan, match="damaged"):
        dicom_series.read(folder)
