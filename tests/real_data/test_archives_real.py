"""The archives of which real files are here: their tables as they really come, each scan read."""

import csv

import pytest

from tfds_builders import build
from tfds_builders.archives import command

pytestmark = pytest.mark.real_data


@pytest.fixture
def cohort(tmp_path, capsys):
    """Write the cohort of an archive, read every scan of it; its rows and what was printed."""

    def make(name: str, root, *flags: object) -> tuple[list[dict[str, str]], str]:
        out = tmp_path / "cohort.csv"
        assert command.main([name, str(root), "-o", str(out), "--check", *map(str, flags)]) == 0
        with out.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file)), capsys.readouterr().out

    return make


def test_covid_blues(real_data, cohort):
    rows, said = cohort("covid_blues", real_data, "--severity", real_data / "tables" / "blues_severity_SUBSET.csv")
    assert "74 scans can be read\n74 scans of 13 patients, 13 visits, 6 views\n" in said
    assert "score severity: 74 of 74 scans labeled, 0 to 3" in said
    assert "score sf: 74 of 74 scans labeled" in said
    assert len({(row["patient"], row["sf"]) for row in rows}) == 13  # one S/F for each patient


def test_ixi(real_data, cohort):
    rows, said = cohort("ixi", real_data)
    assert {row["patient"]: row["age"] for row in rows} == {
        **{"IXI012": "38.78", "IXI014": "34.24", "IXI033": "24.76", "IXI039": "23.35", "IXI049": "31.85"},
    }
    assert "people of the table have rows that disagree in age, which is then unknown: 2\n" in said


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
    rows, said = cohort("growth", real_data / "aux_growth", "--pictures", tmp_path / "stills")
    assert "5376 scans of 384 patients, 5376 visits, 1 view\n" in said
    assert "34944 fine pairs" in said
    flags = ["--root", str(tmp_path / "stills"), "--scores", "growth", "--data_dir", str(tmp_path / "growth")]
    assert build.main(["stills", "--cohort", str(tmp_path / "cohort.csv"), *flags]) == 0
    assert "5376 scans of 384 patients" in capsys.readouterr().out
