import numpy as np
import pytest

from tfds_builders import cohort
from tfds_builders.errors import InputError

KEY = bytes(32)


def test_what_leaves_holds_no_clear_identity(table, make):
    rows = [{**row, "source": "hospital", "site": "ward"} for row in make.rows()]
    out = cohort.deidentify(table(rows), KEY)
    assert out.columns == [
        *("patient", "scan_id", "site", "visit", "time_days", "view", "acquisition", "processing", "score.severity")
    ]
    text = str(out.to_dicts())
    assert not any(word in text for word in ("patient_a", "hospital", "ward", "clips", "Secret"))
    assert out["patient"].n_unique() == 4
    assert out["scan_id"].n_unique() == 12
    assert out["site"].n_unique() == 1


def test_time_starts_at_each_patients_first_visit(table, make):
    rows = make.rows()
    rows[4]["time_days"] = ""
    for row in rows[9:]:
        row["time_days"] = ""
    days = cohort.deidentify(table(rows), KEY)["time_days"].to_numpy()
    np.testing.assert_array_equal(days, np.array([0, 3, 6, 0, np.nan, 6, 0, 3, 6, *[np.nan] * 3], np.float32))


def test_one_id_in_two_sources_is_two_patients(table, make):
    rows = [{**row, "patient": "7", "source": row["patient"]} for row in make.rows(patients=2)]
    out = cohort.deidentify(table(rows), KEY)
    assert out["patient"].n_unique() == 2
    assert out["time_days"].to_list() == [0, 3, 6, 0, 3, 6]


def test_the_table_comes_back_as_written(table, make, tmp_path):
    out = cohort.deidentify(table([{**row, "split": "train"} for row in make.rows()]), KEY)
    cohort.write_table(out, tmp_path)
    assert cohort.read_table(tmp_path).equals(out.drop("split"))
    assert cohort.canonical_bytes(cohort.read_table(tmp_path)) == cohort.canonical_bytes(out.drop("split"))
    (tmp_path / "cohort.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="cannot be read"):
        cohort.read_table(tmp_path)


def test_the_summary_counts_pairs_of_labeled_visits(table, make):
    rows = make.rows()
    rows[0]["severity"] = ""
    assert cohort.summary(table(rows)) == [
        "12 scans of 4 patients, 12 visits, 1 view",
        "score severity: 11 of 12 scans labeled, 0 to 3, 10 fine pairs",
    ]
    apart = [rows[0], {**rows[1], "visit": 0, "time_days": 400}]
    assert cohort.summary(table(apart))[1] == "scans of one visit are up to 400 days apart"
    assert cohort.summary(table(make.rows(visits=1)))[1].endswith("no fine pairs: 4 patients, 1 visit each")
    assert cohort.summary(table([{**row, "severity": ""} for row in rows]))[1] == "score severity: no scan is labeled"
