"""The archives of which real files are here: their tables as they really come, each scan read."""

import collections
import csv
import itertools
import shutil

import pytest

from tfds_builders import build
from tfds_builders.archives import command

pytestmark = pytest.mark.real_data


@pytest.fixture
def cohort(tmp_path, capsys):
    """Write the cohort of an archive and read every scan of it; gives its rows and what was printed."""

    def make(name: str, root, *flags: object) -> tuple[list[dict[str, str]], str]:
        out = tmp_path / "cohort.csv"
        out.unlink(missing_ok=True)
        assert command.main([name, str(root), "-o", str(out), "--check", *map(str, flags)]) == 0
        with out.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file)), capsys.readouterr().out

    return make


def test_covid_blues(real_data, cohort):
    rows, said = cohort("covid_blues", real_data, "--severity", real_data / "tables" / "blues_severity_SUBSET.csv")
    assert "74 scans can be read\n74 scans of 13 patients, 13 visits, 6 views\n" in said
    assert "score severity: 74 of 74 scans labeled, 0 to 3" in said
    assert "score sf: 74 of 74 scans labeled" in said
    assert {row["patient"]: round(float(row["sf"])) for row in rows} == {
        **{"47": 324, "15": 324, "50": 232, "17": 471, "30": 229, "14": 303, "33": 153},  # by hand from the table
        **{"53": 457, "42": 471, "32": 471, "40": 476, "1": 392, "39": 251},
    }
    assert len({(row["patient"], row["sf"]) for row in rows}) == 13  # one S/F for each patient
    assert collections.Counter(row["severity"] for row in rows) == {"0": 33, "1": 30, "2": 7, "3": 4}
    pairs = itertools.combinations(rows, 2)
    assert sum(a["patient"] == b["patient"] and a["severity"] != b["severity"] for a, b in pairs) == 100


def test_covid_blues_finds_its_tables_among_others(real_data, cohort):
    rows, _ = cohort("covid_blues", real_data)
    assert len(rows) == 74


def test_ixi(real_data, cohort):
    rows, said = cohort("ixi", real_data)
    assert {row["patient"]: row["age"] for row in rows} == {
        **{"IXI012": "38.78", "IXI014": "34.24", "IXI033": "24.76", "IXI039": "23.35", "IXI049": "31.85"},
    }
    assert "people of the table have rows that disagree in age, which is then unknown: 2\n" in said
    assert "people of the table have no scan here: 588\n" in said  # 619 rows, 26 of them second ones, 5 scans


def test_headers_of_adni_oasis_and_bids_as_they_come(real_data, cohort, tmp_path):
    scan, tables, root = next((real_data / "mri" / "ixi_2mm").glob("*.nii")), real_data / "tables", tmp_path / "root"

    def place(name: str) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(scan, root / name)

    def filled(name: str, **cells: str):
        header = (tables / name).read_text().strip()
        row = [cells.get(column, "") for column in next(csv.reader([header]))]
        (tmp_path / name).write_text(f"{header}\n{','.join(row)}\n")
        return tmp_path / name

    moment, name = "2006-04-18_08_20_30.0", "ADNI_002_S_0295_MR_MP-RAGE__br_raw_20060418193713091_1_S13408_I13722.nii"
    place(f"ADNI/002_S_0295/MP-RAGE/{moment}/S13408/{name}")
    exam = {"RID": "295", "VISCODE": "bl", "EXAMDATE": "4/10/2006", "AGE": "84.8", "MMSE": "28", "Years_bl": "0"}
    merge = filled("FORMATS_ADNI_header_only.csv", **exam)
    listed = {"Image Data ID": "13722", "Acq Date": "4/18/2006", "Age": "85"}
    collection = filled("FORMATS_LONI_collection_header_only.csv", **listed)
    rows, _ = cohort("adni", root, "--adnimerge", merge, "--collection", collection)
    assert [(row["mmse"], row["cdrsb"], row["age"], row["processing"]) for row in rows] == [("28", "", "84.8", "raw")]

    place("OAS2_0001_MR1/RAW/mpr-1.nii")
    session = {"Subject ID": "OAS2_0001", "MRI ID": "OAS2_0001_MR1", "MR Delay": "0", "MMSE": "27", "Age": "87"}
    rows, _ = cohort("oasis", root, "--table", filled("FORMATS_OASIS2_longitudinal_header_only.csv", **session))
    assert [(row["mmse"], row["cdr"], row["age"], row["time_days"]) for row in rows] == [("27", "", "87", "0")]

    for visit in ("V01", "V02"):
        place(f"sub-0001/ses-{visit}/anat/sub-0001_ses-{visit}_T1w.nii")
    shutil.copyfile(tables / "bmex_sub-0001_sessions.tsv", root / "sub-0001" / "sub-0001_sessions.tsv")
    rows, _ = cohort("bids", root, "--scores", "age")
    assert [(row["visit"], row["time_days"], row["age"]) for row in rows] == [("0", "", "6"), ("1", "", "6")]


def test_pocus(real_data, cohort):
    rows, said = cohort("pocus", real_data / "lus" / "pocus", "--table", _pocus_table(real_data))
    assert "28 scans of 17 patients, 20 visits, 2 views\n" in said
    assert "score severity: 19 of 28 scans labeled, 0 to 3, 6 fine pairs\n" in said
    days = [(row["visit"], row["time_days"], row["severity"]) for row in rows if "Day+" in row["scan"]]
    assert days == [("0", "0", "0"), ("1", "1", "1"), ("2", "2", "1"), ("3", "3", "3")]


def _pocus_table(real_data):
    return real_data / "tables" / "pocus_dataset_metadata_SUBSET.csv"


def test_open_ms(real_data, cohort):
    rows, said = cohort("open_ms", real_data)
    assert "6 scans of 2 patients, 4 visits, 2 views\n" in said
    assert {row["time_days"] for row in rows} == {"0", "203", "671"}


def test_colonies_become_a_dataset(real_data, cohort, tmp_path, capsys):
    _, said = cohort("growth", real_data / "aux_growth", "--pictures", tmp_path / "stills")
    assert "5376 scans of 384 patients, 5376 visits, 1 view\n" in said
    assert "34944 fine pairs" in said
    flags = ["--root", str(tmp_path / "stills"), "--scores", "growth", "--data_dir", str(tmp_path / "growth")]
    assert build.main(["stills", "--cohort", str(tmp_path / "cohort.csv"), *flags]) == 0
    assert "5376 scans of 384 patients" in capsys.readouterr().out
