"""What the command does for all archives: links, faults, places to write to."""

import argparse
import os
import shlex

import pytest

from tests.tfds_builders.archives.conftest import column
from tfds_builders import build, flags
from tfds_builders.archives import ARCHIVES, command


@pytest.fixture
def ixi(archive):
    archive.nifti(archive.root / "IXI012-HH-1211-T1.nii.gz")
    archive.csv(archive.root / "IXI.csv", "IXI_ID,AGE", "12,38.78")
    archive.flags = ("--table", str(archive.root / "IXI.csv"))
    return archive


def test_an_unknown_archive_is_named_with_the_nearest(tmp_path, capsys):
    assert command.main(["pocsu", str(tmp_path), "-o", str(tmp_path / "c.csv")]) == 2
    assert "no archive is called 'pocsu'; did you mean 'pocus'? possible: adni, bids, " in capsys.readouterr().err


@pytest.mark.parametrize("options", [*ARCHIVES.values(), *(builder.OPTIONS for builder in build.BUILDERS.values())])
def test_every_flag_of_an_archive_and_of_a_dataset_has_help(options):
    parser = argparse.ArgumentParser()
    flags.add(parser, options)
    assert [action.option_strings for action in parser._actions if not action.help] == []


def test_links_out_of_the_archive_and_to_nothing_are_left_out_and_counted(ixi):
    outside = ixi.nifti(ixi.root.parent / "outside.nii.gz")
    (ixi.root / "IXI013-HH-1-T1.nii.gz").symlink_to(outside)
    (ixi.root / "IXI014-HH-1-T1.nii.gz").symlink_to(ixi.root / ".git" / "annex" / "x")
    (ixi.root / "IXI015-HH-1-T1.nii.gz").symlink_to("IXI012-HH-1211-T1.nii.gz")
    elsewhere = ixi.root.parent / "elsewhere"
    ixi.nifti(elsewhere / "IXI016-HH-1-T1.nii.gz")
    (ixi.root / "more").symlink_to(elsewhere)
    ixi.cohort("ixi", *ixi.flags, code=2)  # 12 and 15 are one file
    assert "IXI015-HH-1-T1.nii.gz: scan 'IXI015-HH-1-T1.nii.gz' is already on line 2" in ixi.said
    (ixi.root / "IXI015-HH-1-T1.nii.gz").unlink()
    assert column(ixi.cohort("ixi", *ixi.flags), "patient") == ["IXI012"]
    assert "scans are links that lead out of ROOT and are left out: 1" in ixi.said
    assert "scans are links to nothing, as of files that git-annex has not fetched, and are left out: 1" in ixi.said


def test_nothing_is_left_of_a_command_that_fails(ixi):
    (ixi.root / "IXI012-HH-1211-T1.nii.gz").write_bytes(b"nothing")
    ixi.out.write_text("the one before")
    assert command.main(["ixi", str(ixi.root), "-o", str(ixi.out), *ixi.flags, "--overwrite", "--check"]) == 2
    assert ixi.out.read_text() == "the one before"
    assert sorted(os.listdir(ixi.root.parent)) == ["cohort.csv", "root"]


def test_places_that_cannot_be_written_to(ixi, capsys):
    for out, said in (
        (ixi.root, "is a folder; name the CSV in it with -o"),
        ("/proc/no/c.csv", "cannot be written to"),
    ):
        assert command.main(["ixi", str(ixi.root), "-o", str(out), *ixi.flags, "--overwrite"]) == 2
        assert said in capsys.readouterr().err


def test_an_archive_of_which_nothing_is_left_says_why(archive):
    (archive.root / "a.mp4").touch()
    archive.csv(
        archive.root / "dataset_metadata.csv",
        "Filename,Lung Severity Score,Source ID,Patient ID / Name,Probe,Age",
    )
    archive.cohort("pocus", code=2)
    assert "can be taken over:\n  clips without a row in the table are left out: their patient is unknown: 1" in (
        archive.said
    )


def test_several_tables_are_named(archive):
    archive.nifti(archive.root / "IXI012-HH-1211-T1.nii.gz")
    for folder in ("a", "b"):
        archive.csv(archive.root / folder / "IXI.xls", "IXI_ID,AGE")
    archive.cohort("ixi", code=2)
    assert r"holds 2 tables whose name is like IXI\.xlsx? (a/IXI.xls, b/IXI.xls); name it with --table" in archive.said


def test_the_table_that_it_is_made_from_is_not_replaced(ixi, capsys):
    table = ixi.root / "IXI.csv"
    before = table.read_bytes()
    (ixi.root / "link.csv").symlink_to(table)
    for out in (table, ixi.root / "link.csv"):
        assert command.main(["ixi", str(ixi.root), "-o", str(out), *ixi.flags, "--overwrite"]) == 2
        assert "is a table that the cohort is made from; choose another place with -o" in capsys.readouterr().err
    assert table.read_bytes() == before


def test_what_to_do_next_can_be_pasted(ixi, tmp_path):
    ixi.out = tmp_path / "my cohort's table.csv"
    ixi.cohort("ixi", *ixi.flags)
    command_line = shlex.split(ixi.said.split("then: ")[1])
    args = build.parser().parse_args(command_line[3:])
    assert (args.cohort, args.root, args.scores) == (ixi.out, ixi.root, ["age"])


def test_a_name_that_is_not_utf8_is_said(ixi):
    with open(os.fsencode(ixi.root) + b"/IXI013-HH-1-T1\xfd.nii.gz", "wb"):
        pass
    ixi.cohort("ixi", *ixi.flags, code=2)
    assert "has a name that is not UTF-8" in ixi.said
