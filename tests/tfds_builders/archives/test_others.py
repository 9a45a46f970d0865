"""IXI, the MS data, the colonies, tables of one's own; and what the command does for all of them."""

import numpy as np
import pytest
from PIL import Image

from tests.tfds_builders.archives.conftest import column
from tests.tfds_builders.conftest import moving_bar, write_video
from tfds_builders import build
from tfds_builders.archives import ARCHIVES, command, tables


def test_ixi_rows_that_disagree_give_no_age(archive):
    for name in ("IXI012-HH-1211-T1.nii.gz", "IXI013-Guys-1212-T1_ds.nii", "IXI014-IOP-1-T1.nii", "IXI015-HH-2-T1.nii"):
        archive.nifti(archive.root / name)
    archive.nifti(archive.root / "IXI012-HH-1211-T2.nii.gz")
    table = archive.csv(archive.root / "t.csv", "IXI_ID,AGE", "12,38.781", "12,38.782", "13,50.1", "13,55.2", "14,")
    rows = archive.cohort("ixi", "--table", str(table))
    assert column(rows, "patient", "site", "age") == [
        *(("IXI012", "HH", "38.78"), ("IXI013", "Guys", ""), ("IXI014", "IOP", ""), ("IXI015", "HH", "")),
    ]
    assert "people of the table have rows that disagree in age, which is then unknown: 1" in archive.said
    assert "scans of people without a row in the table are unlabeled: 1" in archive.said
    assert column(archive.cohort("ixi", "--table", str(table), "--view", "T2"), "view") == ["T2"]


def test_open_ms_has_two_dates(archive):
    for name in ("study1_FLAIR", "study2_FLAIR", "gt_lesion_change"):
        archive.nifti(archive.root / "patient01" / f"{name}.nii.gz")
    archive.nifti(archive.root / "patient02" / "study1_T1W.nii.gz")
    header = "patient_id,sex,days_between_studies,patient_age_at_first_study,ms_type"
    archive.csv(archive.root / "demographics.csv", header, "1,F,203,20,")
    rows = archive.cohort("open_ms")
    assert column(rows, "visit", "time_days", "age") == [("1", "0", "20"), ("2", "203", "20.556")]
    assert "scans of people without a row in the table are left out: when they are of is unknown: 1" in archive.said


@pytest.fixture
def colonies(archive):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 2, 16, 16), dtype=np.uint8)
    growth = np.array([[0, 5.5], [1, 6], [0, 0]], np.float32)
    np.savez(archive.root / "plate.npz", images=images, hours=np.array([0, 12], np.float32), growth=growth)
    archive.images = images
    return archive


def test_colonies_become_pictures_and_a_dataset(colonies, tmp_path):
    rows = colonies.cohort("growth", "--pictures", str(tmp_path / "stills"), "--check")
    assert column(rows, "patient", "visit", "time_days", "growth")[:3] == [
        ("0000", "0", "0", "0"),
        ("0000", "1", "0.5", "5.5"),
        ("0001", "0", "0", "1"),
    ]
    with Image.open(tmp_path / "stills" / rows[3]["scan"]) as picture:
        np.testing.assert_array_equal(np.asarray(picture), colonies.images[1, 1])
    flags = ["--root", str(tmp_path / "stills"), "--scores", "growth", "--size", "16"]
    assert build.main(["stills", "--cohort", str(colonies.out), "--data_dir", str(tmp_path / "data"), *flags]) == 0


def test_an_archive_of_other_arrays_is_refused(archive):
    np.savez(archive.root / "plate.npz", images=np.zeros(3))
    archive.cohort("growth", "--pictures", str(archive.root / "p"), code=2)
    assert "does not hold images, hours and growth" in archive.said


def test_a_table_of_ones_own(archive):
    for name in ("a", "b", "c"):
        archive.nifti(archive.root / "mri" / f"{name}.nii.gz")
    table = archive.csv(
        archive.root / "my.csv",
        "path,PTID,when,MMSE,Age,seq",
        "mri/a.nii.gz,p1,3/15/2010,28,70,T1 weighted",
        "mri/b.nii.gz,p1,2010-03-10,27,70,T1 weighted",
        "mri/c.nii.gz,p2,,26,-4,FLAIR",
    )
    names = ["--columns", "scan=path", "patient=PTID", "date=when", "view=seq"]
    rows = archive.cohort("csv", "--table", str(table), *names, "--scores", "MMSE", "--covariates", "Age", "--check")
    assert column(rows, "visit", "time_days", "view", "MMSE", "Age") == [
        ("1", "5", "T1-weighted", "28", "70"),
        ("0", "0", "T1-weighted", "27", "70"),
        ("0", "", "FLAIR", "26", ""),
    ]
    assert "scans have no date that can be read: 1" in archive.said
    archive.out.unlink()
    archive.cohort("csv", "--table", str(table), "--columns", "patiant=PTID", code=2)
    assert "--columns has 'patiant=PTID'" in archive.said
    archive.cohort("csv", code=2)
    assert "name it with --table" in archive.said


def test_check_says_every_scan_that_cannot_be_read(archive):
    header = "video_file,Severity Score"
    for name in ("patient_1_L1", "patient_1_L2", "patient_1_L3"):
        write_video(archive.root / f"{name}.mp4", moving_bar(3))
    for name in ("patient_1_L1", "patient_1_L3"):
        (archive.root / f"{name}.mp4").write_bytes(b"nothing")
    archive.csv(archive.root / "severity.csv", header, "patient_1_L1,1")
    archive.csv(
        archive.root / "clinical_variables.csv",
        "patient_id,pat_age,oxygen_saturation_without_ox,oxygen_saturation_with_ox,oxygen_liter",
    )
    archive.cohort("covid_blues", "--check", code=2)
    assert "2 of 3 scans cannot be used" in archive.said
    assert "patient_1_L1.mp4 is not a video" in archive.said
    assert "patient_1_L3.mp4 is not a video" in archive.said


def test_what_is_there_is_not_replaced_unasked(archive, capsys):
    archive.out.write_text("mine")
    assert command.main(["ixi", str(archive.root), "-o", str(archive.out)]) == 2
    assert "exists; choose another place with -o, or replace it with --overwrite" in capsys.readouterr().err
    assert archive.out.read_text() == "mine"
    assert command.main(["ixi", str(archive.root / "no"), "-o", str(archive.root / "x.csv")]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_every_archive_says_what_it_is(capsys):
    with pytest.raises(SystemExit):
        command.main(["--help"])
    said = capsys.readouterr().out
    for name in ARCHIVES:
        assert f"\n    {name}" in said


@pytest.mark.parametrize(
    ("text", "want"),
    [
        *(
            ("2005-09-08", "2005-09-08"),
            ("9/8/2005", "2005-09-08"),
            ("9/8/05", "2005-09-08"),
            ("09/08/99", "1999-09-08"),
        ),
        *(
            ("2006-04-18_08_20_30.0", "2006-04-18"),
            ("2006-04-18T08:20:30", "2006-04-18"),
            ("2006-04-18 00:00:00", "2006-04-18"),
        ),
        *(("2/31/2005", "None"), ("yesterday", "None"), ("", "None"), ("20050908", "None")),
    ],
)
def test_dates(text, want):
    assert str(tables.day(text)) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [("1,5", 1.5), (" 2 ", 2.0), ("-4", None), ("n/a", None), ("", None), ("1e999", None), ("x", None)],
)
def test_numbers(text, want):
    assert tables.number(text) == want
