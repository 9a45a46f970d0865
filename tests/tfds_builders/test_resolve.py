"""Whom a hash of a dataset is of, as only the owner of key and table can say."""

import csv

import pytest

from tfds_builders import cohort, cohort_csv, identity
from tfds_builders.resolve import COLUMNS, main

TABLE = "scan,patient,visit,time_days,view,source\na b.avi, P1 ,0,0,L1,x\nb.avi,P1,1,2,L1,x\nc.avi,P1,0,0,L1,y\n"


@pytest.fixture
def table(tmp_path):
    (tmp_path / "cohort.csv").write_text(TABLE)
    return tmp_path / "cohort.csv"


def test_each_hash_is_of_whom_the_dataset_has_it_of(table, identity_key, capsys):
    for name in ("a b.avi", "b.avi", "c.avi"):
        (table.parent / name).write_bytes(b"")
    stored = cohort.deidentify(cohort_csv.read(table, ()), identity.read_key(identity_key))
    for name in ("a b.avi", "b.avi", "c.avi"):
        (table.parent / name).unlink()  # the scans may lie elsewhere by now
    assert main([str(table)]) == 0
    header, *rows = csv.reader(capsys.readouterr().out.splitlines())
    assert tuple(header) == COLUMNS
    hashes = list(zip(stored["patient"], stored["scan_id"], strict=True))
    assert [tuple(row[:2]) for row in rows] == hashes
    said = [["x", "P1", "0", "a b.avi"], ["x", "P1", "1", "b.avi"], ["y", "P1", "0", "c.avi"]]
    assert [row[2:] for row in rows] == said
    for asked, lines in ((hashes[0][0], said[:2]), (hashes[2][1], said[2:])):  # a patient, a scan
        assert main([str(table), asked]) == 0
        assert [row[2:] for row in csv.reader(capsys.readouterr().out.splitlines()[1:])] == lines
    assert sorted(path.name for path in table.parent.iterdir()) == ["cohort.csv"]


def test_a_hash_of_another_key_and_a_key_that_is_not_there_are_said(table, identity_key, tmp_path, capsys):
    assert main([str(table), "0ee2992986e8d948"]) == 2
    said = capsys.readouterr().err
    assert "has no patient and no scan with the hash 0ee2992986e8d948: it is of another cohort, or made with" in said
    assert main([str(table), "--key_file", str(tmp_path / "none")]) == 2
    assert f"the key file {tmp_path / 'none'} cannot be used (No such file" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()  # no new one is made


def test_rows_of_another_length_than_the_header_are_said_with_their_lines(table, capsys):
    table.write_text(TABLE + "d.avi,P1\ne.avi,P1,1,2,L1,x,\n")
    assert main([str(table)]) == 2
    said = capsys.readouterr()
    assert f"error: {table} has 2 faults:\n  line 5: 2 cells, but the header names 6 columns" in said.err
    assert "line 6: 7 cells, but the header names 6 columns" in said.err
    assert not said.out
