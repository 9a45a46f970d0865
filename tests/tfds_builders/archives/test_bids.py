import pytest

from tests.tfds_builders.archives.conftest import column


def image(archive, subject: str, session: str = "", name: str = "T1w", suffix: str = ".nii.gz"):
    stem = "_".join(filter(None, (subject, session)))
    return archive.nifti(archive.root / subject / session / "anat" / f"{stem}_{name}{suffix}")


def table(archive, path: str, *lines: str):
    return archive.csv(archive.root / path, *lines, separator="\t")


def test_clinicas_adni_months_and_scores_of_sessions(archive):
    for session in ("ses-M000", "ses-M006", "ses-M024"):
        image(archive, "sub-ADNI002S0295", session)
    table(archive, "participants.tsv", "participant_id,sex,age_bl", "sub-ADNI002S0295,F,84.8")
    table(
        archive,
        "sub-ADNI002S0295/sub-ADNI002S0295_sessions.tsv",
        "session_id,age,MMSE,cdr_global,examination_date",
        "ses-M000,84.8,28 ,0.5,2005-09-08",
        "ses-M006,85.4,27,0.5,2006-03-20",
        "ses-M024,86.8,n/a,1.0,2007-09-10",
    )
    rows = archive.cohort("bids", "--scores", "MMSE", "cdr_global", "--covariates", "age", "age_bl")
    assert column(rows, "MMSE", "cdr_global") == [("28", "0.5"), ("27", "0.5"), ("", "1")]
    assert column(rows, "visit", "time_days") == [("0", "0"), ("1", "193"), ("2", "732")]
    assert column(rows, "age", "age_bl")[2] == ("86.8", "84.8")
    assert column(rows, "view") == ["T1w"] * 3


def test_days_and_months_in_labels(archive):
    for session in ("ses-d0129", "ses-d0757"):
        image(archive, "sub-OAS30001", session)
    for session in ("ses-M06", "ses-M12"):
        image(archive, "sub-B", session)
    table(archive, "participants.tsv", "participant_id,mmse", "sub-OAS30001,28", "sub-B,20")
    rows = archive.cohort("bids", "--scores", "mmse")
    assert column(rows, "patient", "time_days") == [
        *(("sub-B", "0"), ("sub-B", "182")),
        *(("sub-OAS30001", "0"), ("sub-OAS30001", "628")),
    ]


def test_acquisition_times_come_first_and_labels_that_tell_nothing_give_an_order(archive):
    for session in ("ses-2", "ses-10"):
        image(archive, "sub-1", session)
        image(archive, "sub-2", session)
    for session, time in (("ses-2", "1880-05-03T10:00:00"), ("ses-10", "1880-04-01T10:00:00")):
        stem = f"sub-1/{session}/sub-1_{session}_scans.tsv"
        table(archive, stem, "filename,acq_time", f"anat/sub-1_{session}_T1w.nii.gz,{time}")
    table(archive, "participants.tsv", "participant_id,age", "sub-1,50", "sub-2,60")
    rows = archive.cohort("bids", "--scores", "age")
    mine = {tuple(row["scan"].split("/")[:2]): (row["visit"], row["time_days"]) for row in rows}
    assert mine == {
        ("sub-1", "ses-10"): ("0", "0"),
        ("sub-1", "ses-2"): ("1", "32"),
        ("sub-2", "ses-2"): ("0", ""),
        ("sub-2", "ses-10"): ("1", ""),
    }
    assert "people have sessions without a time: their days are blank: 1" in archive.said


def test_runs_and_suffixes_and_no_sessions(archive):
    image(archive, "sub-1", name="acq-mprage_run-2_T1w")
    image(archive, "sub-1", name="FLAIR", suffix=".nii")
    image(archive, "sub-1", name="T2w")
    archive.nifti(archive.root / "derivatives" / "x" / "sub-1" / "anat" / "sub-1_T1w.nii.gz")
    table(archive, "participants.tsv", "participant_id,age", "sub-1,50")
    rows = archive.cohort("bids", "--scores", "age", "--suffixes", "T1w", "FLAIR")
    assert column(rows, "view", "acquisition") == [("FLAIR", ""), ("T1w", "acq-mprage_run-2")]


def test_labels_with_a_date_are_left_out_and_counted(archive):
    image(archive, "sub-1", name="acq-20190305_run-2_T1w")
    image(archive, "sub-1", name="acq-mprage05MAR2019_T1w")
    image(archive, "sub-1", name="acq-190305_T1w")
    table(archive, "participants.tsv", "participant_id,age", "sub-1,50")
    assert column(archive.cohort("bids", "--scores", "age"), "acquisition") == ["acq-190305", "run-2", ""]
    assert "labels of file names may be dates and are left out of acquisition: 2" in archive.said


@pytest.mark.parametrize("flags", [(), ("--scores", "mmse")])
def test_what_scores_there_are_is_said(archive, flags):
    image(archive, "sub-1")
    table(archive, "participants.tsv", "participant_id,sex,age", "sub-1,F,50")
    archive.cohort("bids", *flags, code=2)
    assert ("has no column 'mmse'" if flags else "was asked for no score") in archive.said
    assert "its tables have numbers in: age. See --scores" in archive.said


def test_no_image_is_said(archive):
    archive.cohort("bids", "--scores", "x", code=2)
    assert "holds no sub-*/…/anat/*_T1w.nii.gz" in archive.said


def test_all_sessions_of_a_person_take_their_time_from_one_source(archive):
    for session in ("ses-M000", "ses-M006"):
        image(archive, "sub-1", session)
    table(archive, "participants.tsv", "participant_id,MMSE", "sub-1,29")
    lines = ("session_id,examination_date", "ses-M000,n/a", "ses-M006,2006-03-20")
    table(archive, "sub-1/sub-1_sessions.tsv", *lines)
    rows = archive.cohort("bids", "--scores", "MMSE")
    assert column(rows, "visit", "time_days") == [("0", "0"), ("1", "183")]


def test_a_blank_of_a_session_is_not_filled_from_participants(archive):
    for subject in ("sub-1", "sub-2"):
        for session in ("ses-M000", "ses-M006"):
            image(archive, subject, session)
    table(archive, "participants.tsv", "participant_id,MMSE,site", "sub-1,29,n/a", "2,30,B", "sub-3,1,C")
    table(archive, "sub-1/sub-1_sessions.tsv", "session_id,MMSE", "M000,28", "ses-M006,", "ses-M012,about 20")
    rows = archive.cohort("bids", "--scores", "MMSE")
    assert column(rows, "MMSE", "site") == [("28", ""), ("", ""), ("", "B"), ("", "B")]
    assert "people of participants.tsv have no image here: 1" in archive.said
    image(archive, "sub-1", "ses-M012")
    archive.cohort("bids", "--scores", "MMSE")
    assert "cells of MMSE hold no number and are left blank: 1" in archive.said


def test_a_root_below_derivatives_and_a_sessions_table_with_subjects_and_blanks(archive):
    archive.root = archive.root / "derivatives" / "bids"
    for session in ("ses-V01", "ses-V02"):
        image(archive, "sub-0001", session)
    rows_of_table = ("sub-0001,ses-V01,6 ", "sub-0001,ses-V02,6 ")
    table(archive, "sub-0001/sub-0001_sessions.tsv", "subject,session_id,age", *rows_of_table)
    rows = archive.cohort("bids", "--scores", "age")
    assert column(rows, "visit", "time_days", "age") == [("0", "", "6"), ("1", "", "6")]


def test_a_column_of_words_is_no_score(archive):
    image(archive, "sub-1")
    table(archive, "participants.tsv", "participant_id,sex,age", "sub-1,F,50")
    archive.cohort("bids", "--scores", "sex", code=2)
    assert "has no number in column 'sex'; its tables have numbers in: age" in archive.said


def test_two_rows_of_one_person_that_differ_are_refused(archive):
    image(archive, "sub-1")
    table(archive, "participants.tsv", "participant_id,age", "sub-1,50", "1,50")
    assert column(archive.cohort("bids", "--scores", "age"), "age") == ["50"]
    table(archive, "participants.tsv", "participant_id,age", "sub-1,50", "1,60")
    archive.out.unlink()
    archive.cohort("bids", "--scores", "age", code=2)
    assert "participants.tsv has two rows of sub-1 that differ" in archive.said
