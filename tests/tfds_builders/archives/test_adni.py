"""ADNI, with the names of LONI's trees and the columns of its tables."""

import datetime
from collections import Counter

import pytest

from tests.tfds_builders.archives import loni
from tests.tfds_builders.archives.conftest import column
from tests.tfds_builders.archives.loni import COLLECTION, MERGE
from tests.tfds_builders.test_dicom_series import write_series
from tfds_builders.archives import adni_exams

PATIENT = "002_S_0295"
RAW = loni.nifti_name(PATIENT, "MP-RAGE__br_raw", "20060418193713091_1", "S13408", 13722)
PROCESSED = loni.nifti_name(PATIENT, f"{loni.PROCESSED}_Br", "20070319113623975", "S13408", 45108)
FIRST, REPEAT, YEAR_LATER = "2006-04-18_08_20_30.0", "2006-04-18_08_31_58.0", "2007-05-25_07_17_45.0"


@pytest.fixture
def tree(archive):
    base = archive.root / "ADNI" / PATIENT
    archive.nifti(base / "MP-RAGE" / FIRST / "S13408" / RAW)
    archive.nifti(base / loni.PROCESSED / FIRST / "I45108" / PROCESSED)
    name = f"ADNI_{PATIENT}_MR_MP-RAGE_REPEAT_Br_20060418194539230_S13407_I13721.nii"
    archive.nifti(base / "MP-RAGE_REPEAT" / REPEAT / "I13721" / name)
    for folder in ("I60000", "I60001"):  # DICOM: a folder of slices is a scan
        slices = base / "MP-RAGE" / YEAR_LATER / folder
        slices.mkdir(parents=True)
        for i in range(3):
            (slices / f"ADNI_{PATIENT}_MR_MP-RAGE__br_raw_20070525071745090_{i}_S30000_{folder}.dcm").write_bytes(b"")
    archive.merge = archive.csv(
        archive.root.parent / "ADNIMERGE.csv",
        MERGE,
        f"295,{PATIENT},bl,2,9/8/2005,84.8,1,28,1.5 Tesla MRI,0",
        f"295,{PATIENT},m06,2,2006-05-02,84.8,1.5,28,1.5 Tesla MRI,0.646",
        f"295,{PATIENT},m12,2,2006-11-02,84.8,,27,,1.15",
        f"295,{PATIENT},m18,2,2007-05-25,84.8,2.5,,,1.71",
        f"295,{PATIENT},m20,2,2007-06-30,84.8,3,26,3 Tesla MRI,1.81",
    )
    return archive


def test_scores_are_of_the_nearest_examination_that_has_them(tree):
    rows = tree.cohort("adni", "--adnimerge", str(tree.merge))
    assert [row["scan"].split("/")[-1] for row in rows] == [PROCESSED, rows[1]["scan"].split("/")[-1], "I60001"]
    assert column(rows, "mmse", "cdrsb") == [("28", "1.5"), ("28", "1.5"), ("26", "2.5")]
    assert column(rows, "visit", "time_days") == [("0", "0"), ("0", "0"), ("1", "402")]
    assert column(rows, "age") == ["85.45", "85.45", "86.51"]
    assert column(rows, "view", "site", "patient") == [("T1", "002", PATIENT)] * 3
    assert column(rows, "acquisition") == ["MPR_1.5T", "MP-RAGE_REPEAT_1.5T", "MP-RAGE_3T"]
    assert column(rows, "processing") == ["GradWarp+B1+N3+Scaled", "raw", "raw"]
    assert "copies of an image are left out (--prefer processed): 2" in tree.said
    assert "score mmse: 3 of 3 scans labeled, 26 to 28, 1 fine pair" in tree.said


def test_another_copy_may_be_preferred(tree):
    names = lambda rows: [row["scan"].split("/")[-1] for row in rows]  # noqa: E731
    assert names(tree.cohort("adni", "--prefer", "raw"))[0] == RAW
    assert names(tree.cohort("adni", "--prefer", "N3"))[0] == PROCESSED
    assert len(tree.cohort("adni", "--prefer", "all")) == 5


def test_without_a_near_examination_a_scan_is_unlabeled(tree):
    rows = tree.cohort("adni", "--adnimerge", str(tree.merge), "--within_days", "10")
    assert column(rows, "mmse", "cdrsb") == [("", ""), ("", ""), ("", "2.5")]
    assert "images have no mmse within 10 days: 3" in tree.said


def test_a_field_strength_is_of_the_collection_and_dates_may_be_its_alone(tree):
    flat = tree.root / "flat"
    tree.nifti(flat / f"ADNI_{PATIENT}_MR_MP-RAGE_br_raw_20080101101010101_2_S40000_I70000.nii")
    table = tree.root.parent / "mri.csv"
    protocol = "Field Strength=3.0;Weighting=T1"
    lines = [
        f'{COLLECTION},"Imaging Protocol"',
        f'"I70000","{PATIENT}","AD","F","87","4","MRI","MP-RAGE","Original","1/02/2008","{protocol}"',
        f'"45108","{PATIENT}","AD","F","85","1","MRI","MPR; N3","Processed","4/18/2006",""',
        f'"I13722","{PATIENT}","AD","F","85","1","MRI","MP-RAGE","Original","4/18/2006",""',
        f'"99999","{PATIENT}","AD","F","85","1","MRI","MPR","Original","4/18/2006",""',
    ]
    table.write_text("\n".join(lines))
    rows = tree.cohort("adni", "--collection", str(table))
    new = next(row for row in rows if "I70000" in row["scan"])
    assert (new["time_days"], new["visit"], new["age"]) == ("624", "2", "87")
    assert new["acquisition"].endswith("_3T")
    assert "images are not in the table of the collection: 2" in tree.said
    assert "images of the collection are not here: 1\n" in tree.said  # a copy left out is here


def test_raw_tables_are_dated_by_their_visits(tree):
    folder = tree.root.parent
    mmse = tree.csv(
        folder / "MMSE.csv",
        "Phase,RID,SITEID,VISCODE,VISCODE2,USERDATE,EXAMDATE,MMSCORE",
        "ADNI1,295,2,sc,sc,2005-09-08,2005-09-08,28",
        "ADNI1,295,2,m06,m06,2006-05-02,,27",  # 6 months on: 2006-03-10
        "ADNI1,295,2,m20,m20,2007-06-30,2007-06-30,-1",
        "ADNI1,777,2,m06,m06,2006-05-02,,27",
    )
    cdr = tree.csv(folder / "CDR.csv", "RID,VISCODE2,EXAMDATE,CDGLOBAL,CDRSB", "295,m18,2007-05-20,0.5,2.5")
    rows = tree.cohort("adni", "--mmse", str(mmse), "--cdr", str(cdr))
    assert column(rows, "mmse", "cdrsb") == [("27", ""), ("27", ""), ("", "2.5")]
    assert "rows of the table of mmse cannot be dated: 1" in tree.said
    exams = adni_exams.read("", str(mmse), "", Counter()).by_patient[295]
    assert [exam.day for exam in exams] == [datetime.date(2005, 9, 8), datetime.date(2006, 3, 10), exams[2].day]


def test_faults_are_said(tree):
    tree.cohort("adni", "--adnimerge", str(tree.root / "no.csv"), code=2)
    assert "there is no table" in tree.said
    assert "--adnimerge" in tree.said
    wrong = tree.csv(tree.root.parent / "x.csv", "RID,VISCODE,EXAMDATE,AGE,MMSCORE,CDRSB,Years_bl", "1,bl,,,,,")
    tree.cohort("adni", "--adnimerge", str(wrong), code=2)
    assert "has no column 'MMSE'; did you mean 'MMSCORE'?" in tree.said
    tree.cohort("adni", "--collection", str(wrong), code=2)
    assert "has no column 'Image Data ID'" in tree.said


def test_another_series_of_the_same_moment_is_another_image(archive):
    base = archive.root / PATIENT
    for series, description, image in (("S1", "MP-RAGE__br_raw", 1), ("S2", "Field_Mapping__br_raw", 2)):
        name = loni.nifti_name(PATIENT, description, "20060418193713091_1", series, image)
        archive.nifti(base / description / FIRST / f"I{image}" / name)
    rows = archive.cohort("adni")
    assert column(rows, "view", "processing") == [("Field_Mapping", "raw"), ("T1", "raw")]


def test_slices_without_names_are_a_copy_of_the_only_series_of_their_moment(archive):
    pipeline = "MPR____N3__Scaled_2"
    name = f"ADNI_{PATIENT}_MR_{pipeline}_Br_20070319113623975_S13408_I45108.nii"
    archive.nifti(archive.root / PATIENT / pipeline / FIRST / "I45108" / name)
    slices = archive.root / PATIENT / "MP-RAGE" / FIRST / "I13722"
    slices.mkdir(parents=True)
    (slices / "1.dcm").write_bytes(b"")
    (archive.root / "1.dcm").write_bytes(b"")
    archive.nifti(archive.root / "mine.nii.gz")
    rows = archive.cohort("adni")
    assert column(rows, "view", "acquisition", "processing") == [("T1", "MPR", "N3+Scaled")]
    assert "copies of an image are left out (--prefer processed): 1" in archive.said
    assert "images kept are N3+Scaled: 1" in archive.said
    assert "NIfTI files are left out: their names are not as LONI gives them: 1" in archive.said
    assert "folders of DICOM slices are left out: no folder above names their patient and image: 1" in archive.said
    assert column(archive.cohort("adni", "--prefer", "raw"), "scan") == [
        slices.relative_to(archive.root).as_posix(),
    ]


def test_long_descriptions_stay_apart(archive):
    names = ("Accelerated_Sagittal_MPRAGE_MPR_Cor", "Accelerated_Sagittal_MPRAGE_MPR_Tra")
    for series, description in enumerate(names, 1):
        name = loni.nifti_name(PATIENT, f"{description}__br_raw", "20180418193713091_1", f"S{series}", series)
        archive.nifti(archive.root / PATIENT / description / FIRST / f"I{series}" / name)
    merge = archive.csv(archive.root.parent / "m.csv", MERGE, f"295,{PATIENT},bl,2,4/18/2006,84.8,1,28,3 Tesla MRI,0")
    rows = archive.cohort("adni", "--adnimerge", str(merge))
    assert column(rows, "acquisition") == [f"{name}_3T" for name in names]


def test_a_step_that_no_image_has_is_not_preferred(tree):
    tree.cohort("adni", "--prefer", "Gradwrap", code=2)
    assert "--prefer is 'Gradwrap', a step that no image has; did you mean 'GradWarp'?" in tree.said


def test_codes_for_missing_and_numbers_that_a_spreadsheet_has_changed(tree):
    merge = tree.csv(
        tree.merge,
        MERGE,
        f"295.0,{PATIENT},m0,2,4/10/2006,84.8,-4.0,28.0,,",
        f"295.0,{PATIENT},m06,2,4/17/2006,84.8,-1,-1.0,,0.5",
        "unknown,,m06,2,4/17/2006,84.8,-1,-1.0,,0.5",
    )
    rows = tree.cohort("adni", "--adnimerge", str(merge))
    assert column(rows, "mmse", "cdrsb", "age")[0] == ("28", "", "85.3")
    assert "rows of ADNIMERGE have no date or no RID that can be read: 1" in tree.said


def test_a_folder_of_slices_is_read(archive):
    folder = archive.root / PATIENT / "MP-RAGE" / FIRST / "I13722"
    folder.parent.mkdir(parents=True)
    for path in list(write_series(folder).iterdir()):
        path.rename(path.with_suffix(".dcm"))
    rows = archive.cohort("adni", "--check")
    assert column(rows, "scan", "view") == [(f"{PATIENT}/MP-RAGE/{FIRST}/I13722", "T1")]
    assert "1 scan can be read" in archive.said
