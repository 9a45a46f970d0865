"""The local folder that stands for one in a bucket: what is copied and when."""

import fsspec
import pytest

from learner_jax.work import working_in

PLACE = "memory://lab/run"


@pytest.fixture
def objects():
    """``objects()``: path -> bytes of all objects of a file system in memory, without ``PLACE``."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    return lambda: {name.removeprefix("/lab/run/"): files.cat_file(name) for name in files.find("/lab/run")}


def test_what_changed_is_pushed_and_comes_back(objects, monkeypatch):
    with working_in(PLACE) as work:
        assert work.local.name == "run"
        (work.local / "metrics.jsonl").write_text("1\n")
        work.push()
        assert objects() == {"metrics.jsonl": b"1\n"}
        (work.local / "metrics.jsonl").write_text("1\n2\n")
    assert objects() == {"metrics.jsonl": b"1\n2\n"}  # at the end, too

    fsspec.filesystem("memory").pipe_file("/lab/run/checkpoints/1/x", b"large")
    fsspec.filesystem("memory").pipe_file("/lab/run/lock", b"mine")
    with working_in(PLACE) as work:
        assert [path.name for path in work.local.rglob("*")] == ["metrics.jsonl"]
        monkeypatch.setattr(type(work._files), "pipe_file", lambda *_: pytest.fail("nothing has changed"))
        work.push()


def test_what_completes_an_evaluation_is_pushed_last_and_an_error_loses_nothing(objects, monkeypatch):
    order = []
    pipe = fsspec.implementations.memory.MemoryFileSystem.pipe_file
    monkeypatch.setattr(
        fsspec.implementations.memory.MemoryFileSystem,
        "pipe_file",
        lambda self, path, value: (order.append(path), pipe(self, path, value)),
    )

    def fail(work):
        (work.local / "eval" / "2").mkdir(parents=True)
        for name in ("scores.json", "zebra.csv", "pairs.csv"):
            (work.local / "eval" / "2" / name).write_text(name)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), working_in(PLACE) as work:
        fail(work)
    assert [path.rpartition("/")[2] for path in order] == ["pairs.csv", "zebra.csv", "scores.json"]


def test_a_folder_of_this_machine_stands_for_itself(tmp_path):
    with working_in(tmp_path / "run") as work:
        assert work.local == tmp_path / "run"
        work.push()
    assert not (tmp_path / "run").exists()


def test_what_is_set_aside_is_renamed_here_and_there(objects, capsys):
    with working_in(PLACE) as work:
        (work.local / "eval/4").mkdir(parents=True)
        (work.local / "eval/4/scores.json").write_text("old")
    assert objects() == {"eval/4/scores.json": b"old"}
    for scores in ("of another", "of a third"):
        with working_in(PLACE) as work:
            (work.local / "eval/4").mkdir(exist_ok=True)
            (work.local / "eval/4/scores.json").write_text(scores)
            work.push()
            work.set_aside([work.local / "eval/4"])
        assert objects() == {"eval/4.old/scores.json": scores.encode()}
    assert "eval/4 is of a training before this one; it is now eval/4.old" in capsys.readouterr().out


def test_files_that_vanish_are_passed_over(objects, monkeypatch):
    """A database of a tracker makes and removes its journal while checkpoints are pushed."""
    pipe = fsspec.implementations.memory.MemoryFileSystem.pipe_file
    with working_in(PLACE) as work:
        for name in ("a", "b", "c"):
            (work.local / name).write_text(name)

        def piped(files, path, *rest, **more):
            (work.local / "b").unlink(missing_ok=True)
            return pipe(files, path, *rest, **more)

        monkeypatch.setattr(fsspec.implementations.memory.MemoryFileSystem, "pipe_file", piped)
        work.push()
        found = [*work.local.rglob("*"), work.local / "gone"]
        monkeypatch.setattr(type(work.local), "rglob", lambda *_: iter(found))
        work.push()
        monkeypatch.undo()
    assert objects() == {"a": b"a", "c": b"c"}
