"""Real files through the builders: whether they can be read, and whether what is stored is what was scanned."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tensorflow_datasets as tfds

from tests.real_data import cohorts
from tfds_builders import build, cohort, splits, volume
from tfds_builders.readers import nifti, video
from tfds_builders.record import DatasetMeta, check_complete

pytestmark = pytest.mark.real_data


@pytest.fixture
def built(real_data, tmp_path, identity_key, capsys):
    """Build a dataset from a cohort of ``cohorts.py``: its scans, its table and what was printed."""

    def make(dataset: str, table, score: str) -> tuple[list[dict], pl.DataFrame, str]:
        out = tmp_path / "dataset"
        csv = table(real_data, tmp_path / "source" / "cohort.csv")
        code = build.main([dataset, "--cohort", str(csv), "--data_dir", str(out), "--scores", score])
        said = capsys.readouterr()
        assert code == 0, said.err
        check_complete(out)
        frame = cohort.read_table(out)
        splits.check(frame["patient"].to_list(), splits.read(out, "default"))
        source = tfds.builder_from_directory(str(out)).as_data_source("scans")
        scans = list(source.__getitems__(range(len(source))))
        shape = DatasetMeta.read(out).scan_shape
        assert all(scan["scan"].shape == shape for scan in scans)
        assert all(scan["scan"].std() > 5 and scan["scan"].max() > 100 for scan in scans)
        assert frame[f"score.{score}"].is_finite().all()
        return scans, frame, said.out

    return make


def test_covid_blues_clips(built):
    scans, frame, said = built("ultrasound_clips", cohorts.blues, "severity")
    assert "12 scans of 3 patients, 3 visits, " in said
    assert "score severity: 12 of 12 scans labeled, 0 to 3, no fine pairs: 3 patients, 1 visit each" in said
    assert frame["patient"].n_unique() == 3
    for scan in scans:
        assert scan["scan"].shape == (16, 112, 112, 1)
        assert 0.1 < scan["spacing"][0] < 0.4  # 2 to 4 s at 25 frames/s, in 15 steps
        assert np.abs(np.diff(scan["scan"].astype(int), axis=0)).mean() > 0.5  # frames differ


def test_the_longitudinal_patient(built):
    scans, frame, said = built("ultrasound_clips", cohorts.pocus_days, "severity")
    assert "4 scans of 1 patient, 4 visits, 1 view" in said
    assert "0 to 3, 6 fine pairs" in said
    assert "train 0 patients, 0 scans; val 0 patients, 0 scans; test 1 patient, 4 scans" in said
    assert frame["score.severity"].to_list() == [0, 1, 1, 3]
    assert frame["time_days"].to_list() == [0, 1, 2, 3]
    assert len({scan["scan"].tobytes() for scan in scans}) == 4


def test_ixi_volumes(built):
    scans, frame, said = built("brain_volumes", cohorts.ixi, "age")
    assert "5 scans of 5 patients, 5 visits, 1 view" in said
    assert "no fine pairs: 5 patients, 1 visit each" in said
    assert frame["site"].n_unique() == 1
    for scan in scans:
        assert scan["scan"].shape == (96, 112, 96, 1)
        np.testing.assert_array_equal(scan["spacing"], 2.0)
        slices, rows, columns = (
            np.flatnonzero((scan["scan"] > 60).any(others)) for others in ((1, 2, 3), (0, 2, 3), (0, 1, 3))
        )
        assert len(rows) > len(columns)  # a head is longer than it is wide, so the axes are in their places
        assert slices[-1] >= 92  # its top is kept
        area = (scan["scan"][..., 0] > 60).sum((1, 2))
        assert area[-10:].mean() < area[40:60].mean() / 2  # and is the narrow end


def test_open_ms_volumes_of_two_dates(built):
    scans, frame, said = built("brain_volumes", cohorts.open_ms, "age")
    assert "6 scans of 2 patients, 4 visits, 2 views" in said
    assert "2 fine pairs" in said
    assert sorted(set(frame["time_days"])) == [0, 203, 671]
    flair = [scan["scan"].mean(0)[..., 0] for scan, view in zip(scans, frame["view"], strict=True) if view == "FLAIR"]
    # Two dates of one person, on scanners with other matrices, come out as like pictures.
    assert np.corrcoef(flair[0].ravel(), flair[1].ravel())[0, 1] > 0.8


def test_every_video_that_is_met_in_practice_is_read(real_data):
    paths = [path for folder in ("pocus", "covid_blues") for path in sorted((real_data / "lus" / folder).rglob("*.*"))]
    assert len(paths) == 102
    for path in paths:
        reading = video.read(path, 4)
        assert reading.pixels.shape[0] == 4
        assert reading.pixels.std() > 5
        assert 0 < reading.spacing[0] < 10


def test_all_orientations_of_one_image_are_prepared_alike(real_data):
    paths = sorted((real_data / "mri" / "niivue_orient").glob("*.nii.gz"))
    assert len(paths) == 12
    grid = volume.Grid((48, 56, 48), 4.0, "image")
    prepared = [volume.prepare(nifti.read(path), grid) for path in paths]
    for one in prepared[1:]:
        np.testing.assert_allclose(one, prepared[0], atol=1e-5)


@pytest.mark.parametrize("name", ["lus/dicom/US1_J2KR.dcm", "tables/IXI.xls", "MANIFEST.csv", "mri/misc/norm.mgz"])
def test_other_files_are_refused_in_a_sentence(real_data, name):
    for read in (lambda path: video.read(path, 4), nifti.read):
        with pytest.raises(Exception, match="is not a") as caught:
            read(Path(real_data / name))
        assert type(caught.value).__name__ == "UnreadableScan"
