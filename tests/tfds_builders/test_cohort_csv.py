import math
import os

import pytest

from tfds_builders import cohort, cohort_csv
from tfds_builders.errors import InputError


def test_a_sound_table_keeps_only_what_is_named(table, make):
    frame = table(make.rows(), covariates=("age",))
    assert set(frame.columns) == {
        *("line", "scan", "path", "source", "patient", "site", "visit", "time_days", "view"),
        *("acquisition", "processing", "score.severity", "covariate.age"),
    }
    assert frame["line"].to_list() == list(range(2, 14))
    assert frame["score.severity"].to_list() == [float(row["severity"]) for row in make.rows()]


@pytest.mark.parametrize("blank", ["", " ", "NA", "nan", "n/a", "None", "."])
def test_a_blank_score_is_unlabeled(table, make, blank):
    rows = make.rows()
    rows[0]["severity"] = rows[1]["time_days"] = blank
    frame = table(rows)
    assert math.isnan(frame["score.severity"][0])
    assert math.isnan(frame["time_days"][1])


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        ("severity", "mild", "line 3: score severity is 'mild'; it is a number, or blank when unknown"),
        (
            "severity",
            "1,5",
            "line 3: score severity is '1,5'; it is a number, with a point for decimals and no comma, or",
        ),
        (
            "age",
            "250,000",
            "line 3: covariate age is '250,000'; it is a number, with a point for decimals and no comma",
        ),
        (
            "age",
            "1,095,000",
            "line 3: covariate age is '1,095,000'; it is a number, with a point for decimals and no c",
        ),
        ("severity", "inf", "line 3: score severity is 'inf'"),
        ("severity", "1e999", "line 3: score severity is '1e999'"),
        ("severity", "3.5e38", "line 3: score severity is '3.5e38'; it is a number up to 3.4e38"),
        ("severity", "1_0", "line 3: score severity is '1_0'"),
        (
            "age",
            "19500412",
            "line 3: covariate age is '19500412', which may be a date; give an age or a number of days",
        ),
        ("severity", "19500412.0", "line 3: score severity is '19500412.0', which may be a date"),
        ("age", "old", "line 3: covariate age is 'old'"),
        ("time_days", "monday", "line 3: time_days is 'monday'"),
        (
            "time_days",
            "20060418",
            "line 3: time_days is '20060418', which is not a number of days; give days, not a date",
        ),
        ("visit", "first", "line 3: visit is 'first'; it must be an integer"),
        ("visit", "1.5", "line 3: visit is '1.5'"),
        ("visit", "20060418", "line 3: visit is '20060418', which may be a date; number the visits, up to 9999"),
        (
            "visit",
            "1900",
            "line 3: visit is '1900', which may be a date; number the visits, up to 9999 and not from 1900",
        ),
        ("visit", "2099", "line 3: visit is '2099', which may be a date"),
        ("patient", " ", "line 3: patient is empty"),
        ("patient", "NA", "line 3: patient is NA; a scan must have a patient"),
        ("view", "left upper", "line 3: view is 'left upper'; it must be one word of 1 to 64 letters"),
        ("view", "", "line 3: view is ''"),
        ("view", "v" * 65, "line 3: view is 'vvv"),
        ("acquisition", "John Smith", "line 3: acquisition is 'John Smith'"),
        (
            "view",
            "L1_5.3.2019",
            "line 3: view is 'L1_5.3.2019', which may hold a date; it is stored as it is: leave the",
        ),
        ("acquisition", "20190411", "line 3: acquisition is '20190411', which may hold a date"),
        ("processing", "DOB-1954-01-31", "line 3: processing is 'DOB-1954-01-31', which may hold a date"),
        ("split", "trian", "line 3: split is 'trian'; did you mean 'train'?"),
        ("scan", "", "line 3: scan is empty"),
        ("scan", "x" * 999, "line 3: scan 'xxx"),
        ("scan", "loop/a.mp4", "line 3: scan 'loop/a.mp4' is not a path that can be followed"),
        ("scan", "absent.mp4", "line 3: scan 'absent.mp4' is missing: /"),
        ("scan", "clips/a_0.mp4", "line 3: scan 'clips/a_0.mp4' is already on line 2"),
        ("scan", "clips/../clips/a_0.mp4", "line 3: scan 'clips/../clips/a_0.mp4' is already on line 2"),
        ("time_days", "-4", "line 3: visit 1 of patient 'patient_a' is at day -4, before visit 0 at day 0 on line 2"),
    ],
)
def test_every_fault_has_its_sentence_and_line(table, make, tmp_path, column, value, sentence):
    rows = [{**row, "acquisition": "", "processing": "", "split": "test"} for row in make.rows()]
    table(rows)  # sound before the fault
    rows[1][column] = value
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError) as caught:
        table(rows, covariates=("age",), files=False)
    assert sentence in str(caught.value)
    assert "has 1 fault:" in str(caught.value)


def test_words_and_visits_that_are_no_date_are_taken(table, make):
    rows = make.rows(patients=1)
    rows[1] |= {"visit": 1899, "view": "acq-1mm", "severity": "1954"}
    rows[2] |= {"visit": 2100, "view": 58 * "v" + "190305", "severity": "0.19500412"}
    frame = table(rows)
    assert frame.select("visit", "view").rows() == [(0, "L1"), (1899, "acq-1mm"), (2100, 58 * "v" + "190305")]
    assert frame["score.severity"].to_list() == pytest.approx([0, 1954, 0.19500412])


def test_all_faults_come_at_once_and_the_list_ends(table, make):
    rows = make.rows(patients=30, visits=1)
    for row in rows:
        row["severity"] = "x"
    with pytest.raises(InputError, match="has 30 faults:") as caught:
        table(rows)
    lines = str(caught.value).splitlines()
    assert len(lines) == 22
    assert lines[1].strip().startswith("line 2: ")
    assert lines[-1].strip() == "and 10 more"


def test_a_missing_column_is_named_with_the_nearest(table, make):
    rows = [{("patient_id" if k == "patient" else k): v for k, v in row.items()} for row in make.rows()]
    with pytest.raises(InputError, match=r"no column 'patient'; did you mean 'patient_id'\? possible: age, name, "):
        table(rows)
    with pytest.raises(InputError, match=r"no column 'severty'; did you mean 'severity'\? .*See --scores"):
        table(make.rows(), scores=("severty",))
    with pytest.raises(InputError, match=r"no column 'sex'; possible: age, name, severity\. See --covariates"):
        table(make.rows(), covariates=("sex",))


@pytest.mark.parametrize("name", ["Split", "SOURCE"])
def test_an_optional_column_in_capitals_is_not_passed_over(table, make, name):
    rows = [row | {name: "train"} for row in make.rows()]
    with pytest.raises(InputError, match=f"names a column '{name}'; write it '{name.lower()}', or call it something"):
        table(rows)


def test_identifying_columns_cannot_pass_as_scores(table, make):
    with pytest.raises(InputError, match="'patient' cannot be a covariate"):
        table(make.rows(), covariates=("patient",))
    with pytest.raises(InputError, match="'severity' is named twice"):
        table(make.rows(), covariates=("severity",))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty; its first line names the columns scan, patient"),
        ("scan,patient,visit,time_days,view,severity\n\n", "is empty: it has a header and no scan below it"),
        ("scan;patient;visit\na;b;1\n", "separates its columns by ';'"),
        ("scan\tpatient\tvisit\na\tb\t1\n", "separates its columns by tabs"),
        ("scan,patient,visit,time_days,view,view,severity\na,b,1,0,L1,L1,0\n", "names the column 'view' twice"),
        ("scan,patient,visit,time_days,view,severity\na,b,1\n", "line 2: 3 cells, but the header names 6 columns"),
        ("scan,patient,visit,time_days,view,severity\n\xff\n", "is not UTF-8"),
    ],
)
def test_a_file_that_is_no_table_says_so(tmp_path, text, sentence):
    (tmp_path / "cohort.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError) as caught:
        cohort_csv.read(tmp_path / "cohort.csv", ("severity",))
    assert sentence in str(caught.value)
    with pytest.raises(InputError, match="cannot be opened"):
        cohort_csv.read(tmp_path / "absent.csv", ("severity",))


def test_a_byte_order_mark_and_line_breaks_in_quotes_are_no_trouble(tmp_path):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "b.mp4").touch()
    text = 'scan,patient,visit,time_days,view,severity,note\na.mp4,p,0,0,L1,1,"two\nlines"\nb.mp4,p,x,1,L1,1,\n'
    (tmp_path / "cohort.csv").write_text("\ufeff" + text)
    with pytest.raises(InputError, match="line 4: visit is 'x'"):
        cohort_csv.read(tmp_path / "cohort.csv", ("severity",))


def test_empty_columns_of_a_spreadsheet_are_no_trouble(tmp_path):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "cohort.csv").write_text("scan,patient,visit,time_days,view,severity,,\na.mp4,p,0,0,L1,1,,\n")
    assert cohort_csv.read(tmp_path / "cohort.csv", ("severity",))["score.severity"].to_list() == [1]


def test_a_scan_is_a_file_or_a_folder(tmp_path, make):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "series").mkdir()
    with pytest.raises(InputError, match="line 2: scan 'pipe' is neither file nor folder"):
        cohort_csv.read(make.cohort(tmp_path / "a.csv", [{**make.rows()[0], "scan": "pipe"}]), ("severity",))
    frame = cohort_csv.read(make.cohort(tmp_path / "b.csv", [{**make.rows()[0], "scan": "series"}]), ("severity",))
    assert frame["path"].to_list() == [str(tmp_path / "series")]


def test_paths_may_start_from_another_folder(tmp_path, make):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.mp4").touch()
    table = make.cohort(tmp_path / "cohort.csv", [{**make.rows()[0], "scan": "a.mp4"}])
    frame = cohort_csv.read(table, ("severity",), root=tmp_path / "scans")
    assert frame["path"].to_list() == [str(tmp_path / "scans" / "a.mp4")]


def test_scans_outside_the_folder_need_leave(tmp_path, make):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "a.mp4").touch()
    (inside / "link.mp4").symlink_to(outside / "a.mp4")
    for scan, how in (("../outside/a.mp4", "leads out"), (str(outside / "a.mp4"), "absolute"), ("link.mp4", "leads")):
        path = make.cohort(inside / "cohort.csv", [{**make.rows()[0], "scan": scan}])
        with pytest.raises(InputError, match=f"is outside .*{how}.*--root.*--allow_outside"):
            cohort_csv.read(path, ("severity",))
        frame = cohort_csv.read(path, ("severity",), allow_outside=True)
        assert frame["path"][0] == str(outside / "a.mp4")


@pytest.mark.parametrize(
    ("one", "other"), [("P01", "p01"), ("Ann Lee", "Ann  lee"), ("7", "007"), ("12", "12.0"), ("Weiß", "WEISS")]
)
def test_a_name_spelled_in_two_ways_is_a_fault(table, make, one, other):
    rows = [{**row, "patient": one} for row in make.rows(patients=1)]
    rows[1]["patient"] = other
    with pytest.raises(InputError) as caught:
        table(rows)
    assert f"line 3: patient {other!r} is {one!r} on line 2; spell one person the same way, and two differently" in str(
        caught.value
    )
    for row, source in zip(rows, ("a", "b", "a"), strict=True):
        row["source"] = source
    assert table(rows)["patient"].n_unique() == 2  # of two sources: two people


@pytest.mark.parametrize(("one", "other"), [("ADNI", "adni"), ("Site A", "site  a"), ("2", "2.0"), ("", "NA")])
def test_a_source_spelled_in_two_ways_is_a_fault(table, make, one, other):
    rows = [{**row, "source": one} for row in make.rows(patients=2)]
    rows[1]["source"] = rows[4]["source"] = other
    with pytest.raises(InputError, match="has 2 faults") as caught:
        table(rows)
    for line in (3, 6):
        assert f"line {line}: source {other!r} is {one!r} on line 2; spell one source the same way, and two" in str(
            caught.value
        )


@pytest.mark.parametrize(("one", "other"), [("ADNI", ""), ("", "ADNI"), ("ADNI", "n/a")])
def test_a_patient_with_and_without_a_source_is_a_fault(table, make, one, other):
    rows = [{**row, "source": one, "patient": "P1"} for row in make.rows(patients=1)]
    rows[2] |= {"source": other, "patient": "p1"}
    sentence = (
        f"line 4: patient 'p1' is of source {other!r} here and of {one!r} on line 2; give all rows a source, or none"
    )
    with pytest.raises(InputError, match="has 1 fault:") as caught:
        table(rows)
    assert sentence in str(caught.value)
    rows[2]["patient"] = "P2"
    assert table(rows)["patient"].n_unique() == 2


@pytest.mark.parametrize(("one", "other"), [("1-11", "11-1"), ("0", "00a"), ("P1", "P01"), ("1.5", "15")])
def test_names_that_differ_are_two_people(table, make, one, other):
    rows = [{**row, "patient": one} for row in make.rows(patients=1)]
    rows[1]["patient"] = other
    assert table(rows)["patient"].n_unique() == 2


def test_a_patient_of_two_splits_is_a_fault(table, make):
    rows = [{**row, "split": "train"} for row in make.rows()]
    rows[2]["split"] = "test"
    with pytest.raises(
        InputError, match="line 4: patient 'patient_a' is in split 'test' here and in 'train' on line 2"
    ):
        table(rows)


def test_a_name_is_the_same_however_its_accents_are_typed(table, make, tmp_path):
    one, two = "Mu\u0308ller", "M\u00fcller"  # as a Mac writes it, and as a spreadsheet does
    rows = [{**row, "patient": one, "source": one, "site": one} for row in make.rows(patients=1)]
    rows[1] |= {"patient": two, "source": two, "site": two, "scan": f"clips/{two}.mp4"}
    (tmp_path / "clips").mkdir()
    for name in (one, "a_0", "a_2"):
        (tmp_path / "clips" / f"{name}.mp4").touch()
    frame = table(rows, files=False)
    assert frame["path"][1] == str(tmp_path / "clips" / f"{one}.mp4")
    hidden = cohort.deidentify(frame, bytes(32))
    assert hidden["patient"].n_unique() == hidden["site"].n_unique() == 1
    assert hidden["time_days"].to_list() == [0, 3, 6]
