"""What a file is, by its content and not by its name."""

import shutil

import numpy as np
import pytest
from PIL import Image

from tests.tfds_builders.hostile.files import KINDS, VOLUMES, dicom, save, sound
from tfds_builders.readers import image, kinds
from tfds_builders.readers.api import UnreadableScan, UnsupportedScan

EXPECTED = {".dcm": "dicom", ".nii": "nifti", ".nii.gz": "nifti", ".mgz": "mgh"}
PICTURES = (".png", ".jpg", ".tif", ".bmp")


@pytest.mark.parametrize("suffix", KINDS)
def test_a_false_suffix_deceives_nobody(suffix, tmp_path):
    path = sound(tmp_path, suffix)
    want = EXPECTED.get(suffix, "image" if suffix in PICTURES else "video")
    assert kinds.kind(path) == want
    lying = tmp_path / ("a.mp4" if suffix != ".mp4" else "a.nii.gz")
    shutil.copyfile(path, lying)
    assert kinds.kind(lying) == want
    if suffix in VOLUMES:
        np.testing.assert_array_equal(kinds.read_volume(lying).voxels, kinds.read_volume(path).voxels)
        with pytest.raises(UnsupportedScan, match="a clip is a video, a picture or an ultrasound DICOM file"):
            kinds.probe_clip(lying)
    else:
        np.testing.assert_array_equal(kinds.read_clip(lying, 3).pixels, kinds.read_clip(path, 3).pixels)
        with pytest.raises(UnsupportedScan, match="a volume is"):
            kinds.probe_volume(lying)


def test_a_picture_is_a_clip_that_stands_still(tmp_path):
    reading = kinds.read_clip(sound(tmp_path, ".png"), 5)
    assert reading.pixels.shape[0] == 5
    assert (reading.pixels == reading.pixels[:1]).all()
    assert np.isnan(reading.spacing).all()


@pytest.mark.parametrize("name", ["a.avi", "a.png", "a.dcm"])
def test_a_clip_that_shows_nothing_is_refused(tmp_path, make, name):
    grey = np.full((4, 32, 32), 7, np.uint8)
    if name == "a.avi":
        make.video(tmp_path / name, grey, "ffv1", "gray")
    elif name == "a.png":
        Image.fromarray(grey[0]).save(tmp_path / name)
    else:
        save(dicom(grey.tobytes(), Rows=32, Columns=32, NumberOfFrames=4), tmp_path / name)
    with pytest.raises(UnsupportedScan, match="is one even grey"):
        kinds.read_clip(tmp_path / name, 4)
    with pytest.raises((UnsupportedScan, UnreadableScan), match="is one even grey" if name == "a.png" else "picture"):
        image.read(tmp_path / name)


def test_an_empty_file_is_said_to_be_empty(tmp_path):
    (tmp_path / "a.nii.gz").touch()
    for look in (kinds.probe_volume, kinds.read_volume, kinds.probe_clip):
        with pytest.raises(UnreadableScan, match=r"a\.nii\.gz is empty"):
            look(tmp_path / "a.nii.gz")
