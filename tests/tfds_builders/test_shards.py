import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tfds_builders import build, cohort, dataset_dir, shards, write
from tfds_builders.errors import InputError
from tfds_builders.readers import video
from tfds_builders.record import DatasetMeta, Record, check_complete
from tfds_builders.shards import KeepingWriter, Note, Refusal, ranges
from tfds_builders.ultrasound_clips.ultrasound_clips_dataset_builder import Builder as Clips

REPOSITORY = Path(__file__).parents[2]


def command(clips: Path, out: Path, *more: str) -> list[str]:
    given = ["ultrasound_clips", "--cohort", str(clips), "--data_dir", str(out), "--scores", "severity"]
    return [*given, "--frames", "4", "--size", "32", "--processes", "1", *more]


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def four_shards(monkeypatch):
    """Three clips in each shard of the twelve."""
    monkeypatch.setattr(shards, "_BYTES", 3 * 4 * 32 * 32)


@pytest.mark.parametrize(("n_scans", "scan_bytes"), [(1, 10**9), (1000, 200_704), (3_000_000, 1_032_192), (0, 1)])
def test_every_row_is_in_one_shard(n_scans, scan_bytes):
    plan = ranges(n_scans, scan_bytes)
    assert [row for rows in plan for row in rows] == list(range(n_scans))
    assert len(plan) <= 512
    assert all(len(rows) * scan_bytes <= 64 << 20 or len(rows) == 1 or len(plan) > 500 for rows in plan)


def test_a_note_survives_its_file_and_a_damaged_one_does_not(tmp_path):
    note = Note("key", (0, 2), ("a", "b"), ("c", "d"), (Refusal(1, "TooLarge", "is too large"),))
    note.write(tmp_path / "note.json")
    assert Note.read(tmp_path / "note.json") == note
    for text in ("", "[]", '{"key": "key"}', (tmp_path / "note.json").read_text()[:-9]):
        (tmp_path / "damaged.json").write_text(text)
        assert Note.read(tmp_path / "damaged.json") is None
    assert Note.read(tmp_path / "absent.json") is None


def test_a_build_that_stopped_goes_on_after_its_last_finished_shard(clips, tmp_path, four_shards, monkeypatch, capsys):
    assert build.main(command(clips, tmp_path / "whole")) == 0
    read, paths = Clips.read, []

    def until_the_eighth(row, options):
        if len(paths) == 7:
            raise KeyboardInterrupt
        paths.append(Path(row["path"]).name)
        return read(row, options)

    with monkeypatch.context() as patched:
        patched.setattr(Clips, "read", staticmethod(until_the_eighth))
        assert build.main(command(clips, tmp_path / "lus")) == 130
    work = tmp_path / ".lus.building"
    assert f"2 finished shards kept in {work}: the same command continues from there" in capsys.readouterr().err
    assert not (tmp_path / "lus").exists()
    with pytest.raises(InputError, match="is not a dataset"):
        check_complete(work)

    read_again = []
    with monkeypatch.context() as patched:
        patched.setattr(Clips, "read", staticmethod(lambda row, options: read_again.append(row) or read(row, options)))
        assert build.main(command(clips, tmp_path / "lus")) == 0
    assert len(read_again) == 6
    assert not work.exists()
    whole, resumed = content(tmp_path / "whole"), content(tmp_path / "lus")
    assert whole == resumed


def test_only_the_shard_of_a_changed_file_is_made_again(clips, tmp_path, four_shards, monkeypatch, make):
    def failing(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(cohort, "write_table", failing)  # all four shards are finished by then
        assert build.main(command(clips, tmp_path / "lus")) == 130
    make.video(clips.parent / "clips" / "b_1.mp4", make.bar(seed=99))
    read, read_again = Clips.read, []
    with monkeypatch.context() as patched:
        patched.setattr(Clips, "read", staticmethod(lambda row, options: read_again.append(row) or read(row, options)))
        assert build.main(command(clips, tmp_path / "lus")) == 0
    assert [Path(row["path"]).name for row in read_again] == ["b_0.mp4", "b_1.mp4", "b_2.mp4"]
    scan = tfds.builder_from_directory(str(tmp_path / "lus")).as_data_source("scans")[4]["scan"]
    want = Clips.read({"path": clips.parent / "clips" / "b_1.mp4"}, Clips.OPTIONS(frames=4, size=32)).scan
    np.testing.assert_array_equal(scan, want)


def test_a_shard_that_found_no_room_is_not_called_finished(clips, tmp_path, monkeypatch, capsys):
    def full(writer, path, examples):
        assert len(list(examples)) == 12
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(tfds.core.ExampleWriter, "write", full)
    assert build.main(command(clips, tmp_path / "lus")) == 2
    said = capsys.readouterr().err
    assert "no space is left on the disk" in said
    assert "finished" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_build_that_was_killed_leaves_nothing_that_opens_and_goes_on(tmp_path):
    def start() -> subprocess.Popen:
        knobs = ["--n_patients", "40", "--visits", "4", "--frames", "8", "--size", "64", "--processes", "1"]
        given = ["synthetic_lus", *knobs, "--data_dir", str(tmp_path / "data")]
        code = f"from tfds_builders import build, shards; shards._BYTES = 40 * 8 * 64 * 64; build.main({given!r})"
        return subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stderr=subprocess.DEVNULL)

    work = tmp_path / ".data.building" / "shards"
    killed = start()
    deadline = time.monotonic() + 120
    while len(list(work.glob("*.json"))) < 2:
        assert time.monotonic() < deadline
        assert killed.poll() is None
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "data").exists()
    first = min(work.glob("*.array_record-*-of-*[0-9]"))
    before = first.stat().st_ino
    assert start().wait(timeout=120) == 0
    assert (tmp_path / "data" / first.name).stat().st_ino == before  # the same file, linked and not written again
    assert not work.exists()


def test_another_process_writes_the_same_bytes(tmp_path):
    given = ["synthetic_lus", "--n_patients", "4", "--frames", "2", "--size", "32", "--processes", "1", "--data_dir"]
    for name, start in (("a", "0"), ("b", "1")):
        command = [sys.executable, "-m", "tfds_builders.build", *given, str(tmp_path / name)]
        subprocess.run(command, cwd=REPOSITORY, env={**os.environ, "PYTHONHASHSEED": start}, check=True)
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_bad_files_cost_a_sample_and_not_the_build(clips, tmp_path, capsys):
    for name in ("a_1", "c_2"):
        (clips.parent / "clips" / f"{name}.mp4").write_bytes(b"not a video")
    assert build.main(command(clips, tmp_path / "lus", "--max_bad_fraction", "0.1")) == 2
    assert "2 of 12 scans cannot be used:" in capsys.readouterr().err
    assert build.main(command(clips, tmp_path / "lus", "--max_bad_fraction", "0.2")) == 0
    said = capsys.readouterr()
    assert "left out: line 3: " in said.err
    assert "10 scans of 4 patients" in said.out
    table, meta = cohort.read_table(tmp_path / "lus"), DatasetMeta.read(tmp_path / "lus")
    source = tfds.builder_from_directory(str(tmp_path / "lus")).as_data_source("scans")
    assert [scan["scan_id"].decode() for scan in source.__getitems__(range(10))] == table["scan_id"].to_list()
    assert meta.n_scans == len(source) == table.height == 10
    report = json.loads((tmp_path / "lus" / "build_report.json").read_text())
    assert (report["n_rows"], report["n_scans"]) == (12, 10)
    assert [(bad["row"], bad["line"], bad["error"]) for bad in report["refused"]] == [
        (1, 3, "UnreadableScan"),
        (8, 10, "UnreadableScan"),
    ]
    assert report["refused"][0]["reason"].startswith("is not ")
    assert str(tmp_path) not in json.dumps(report)
    assert build.main(command(clips, tmp_path / "lus", "--max_bad_fraction", "0.2")) == 0
    assert "is already built" in capsys.readouterr().out
    assert build.main(command(clips, tmp_path / "lus", "--max_bad_fraction", "0.1")) == 2
    told = "was built without 2 of its 12 scans, and --max_bad_fraction allows 1; allow more, or mend those in its"
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(("percent", "n_scans"), [(29, 100), (7, 100), (58, 50), (1, 12345), (0, 9), (99, 3)])
def test_a_fraction_of_scans_is_counted_as_it_is_written(percent, n_scans):
    assert write.How(max_bad_fraction=percent / 100).max_bad(n_scans) == percent * n_scans // 100


def test_no_usable_scan_is_an_error(clips, tmp_path, capsys, monkeypatch):
    for path in (clips.parent / "clips").iterdir():
        path.write_bytes(b"not a video")
    assert build.main(command(clips, tmp_path / "lus", "--max_bad_fraction", "0.99")) == 2
    assert "12 of 12 scans cannot be used" in capsys.readouterr().err


def test_identical_pixels_under_two_patients_are_said_and_kept_together(clips, tmp_path, capsys):
    (clips.parent / "clips" / "d_1.mp4").write_bytes((clips.parent / "clips" / "a_2.mp4").read_bytes())
    assert build.main(command(clips, tmp_path / "lus")) == 0
    assert "identical pixels under different patients: lines 4, 12 of the cohort" in capsys.readouterr().err
    assert json.loads((tmp_path / "lus" / "duplicates.json").read_text()) == [[2, 10]]
    assert json.loads((tmp_path / "lus" / "build_report.json").read_text())["identical_pixels"] == [[2, 10]]


def test_identical_pixels_at_two_visits_of_a_patient_are_said(clips, tmp_path, capsys):
    (clips.parent / "clips" / "a_1.mp4").write_bytes((clips.parent / "clips" / "a_2.mp4").read_bytes())
    assert build.main(command(clips, tmp_path / "lus")) == 0
    said = capsys.readouterr().err
    assert "warning: identical pixels in different visits of a patient: lines 3, 4 of the cohort" in said
    assert "1 picture in different visits of a patient in all; these scans show no change" in said
    assert "under different patients" not in said
    clips.write_text(clips.read_text().replace("a_2.mp4,patient_a,2,6", "a_2.mp4,patient_a,1,3"))
    assert build.main(command(clips, tmp_path / "lus", "--overwrite")) == 0
    assert "identical pixels" not in capsys.readouterr().err  # of one visit


def test_identical_pixels_in_two_parts_of_a_given_split_are_said_with_their_lines(clips, tmp_path, capsys):
    (clips.parent / "clips" / "d_1.mp4").write_bytes((clips.parent / "clips" / "a_2.mp4").read_bytes())
    header, *lines = clips.read_text().splitlines()
    given = ["train"] * 6 + ["val"] * 3 + ["test"] * 3
    clips.write_text("\n".join([header + ",split", *map(",".join, zip(lines, given, strict=True))]))
    assert build.main(command(clips, tmp_path / "lus")) == 2
    said = capsys.readouterr().err
    assert "leaks: 1 picture with identical pixels in more than one part" in said
    assert "identical pixels under different patients: lines 4, 12 of the cohort" in said


def test_two_builds_of_one_dataset_do_not_meet(clips, tmp_path, capsys):
    with dataset_dir.work_folder(tmp_path / "lus"):
        assert build.main(command(clips, tmp_path / "lus")) == 2
    assert "is being built by another process; wait for it" in capsys.readouterr().err


def test_a_build_that_comes_as_another_ends_is_told_so(clips, tmp_path, monkeypatch, capsys):
    def late(lock, _):
        shutil.rmtree(Path(lock.name).parent)  # the other one ends between our look at the folder and our lock

    monkeypatch.setattr(dataset_dir.fcntl, "flock", late)
    assert build.main(command(clips, tmp_path / "lus")) == 2
    assert "was being built by another process, which has just ended; run the same command" in capsys.readouterr().err


def test_a_filesystem_without_links_gets_a_copy(tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError("not supported")

    monkeypatch.setattr(os, "link", no_links)
    (tmp_path / "work").mkdir()
    KeepingWriter(tmp_path / "work").write(tmp_path / "x", iter([(0, b""), (1, b"")]))
    assert (tmp_path / "x").read_bytes() == (tmp_path / "work" / "x").read_bytes() != b""


def test_the_order_of_the_files_is_kept_where_the_pool_runs_ahead(clips, tmp_path, four_shards, monkeypatch):
    from tfds_builders import builder

    monkeypatch.setattr(builder, "_WORTH_A_PROCESS", 1)
    assert build.main(command(clips, tmp_path / "one")) == 0
    assert build.main(command(clips, tmp_path / "two", "--processes", "2")) == 0
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_beam_writes_the_same_bytes(clips, tmp_path, four_shards, capsys):
    pytest.importorskip("apache_beam", reason="needs the extra `beam`")
    (clips.parent / "clips" / "a_1.mp4").write_bytes(b"not a video")
    bad = ("--max_bad_fraction", "0.1")
    assert build.main(command(clips, tmp_path / "here", *bad)) == 0
    assert build.main(command(clips, tmp_path / "beam", "--beam", "runner=DirectRunner", *bad)) == 0
    assert content(tmp_path / "here") == content(tmp_path / "beam")


def test_records_are_what_the_reader_gives(clips):
    row = {"path": clips.parent / "clips" / "a_0.mp4"}
    (record,) = Clips.records([row], Clips.OPTIONS(frames=4, size=32))
    assert isinstance(record, Record)
    (error,) = Clips.records([{"path": clips}], Clips.OPTIONS())
    assert isinstance(error, video.UnreadableScan)
    assert str(clips) in str(error)
    assert str(clips) not in error.reason
