"""One trainer in a work folder of a bucket: who comes second is refused, who is silent is succeeded."""

import json
import threading

import fsspec
import pytest

from learner_jax import lease as module
from learner_jax.lease import lease
from tfds_builders.errors import InputError

PATH = "/bucket/run/lock"


@pytest.fixture
def files(monkeypatch):
    """A file system in memory, and a clock that runs 100 times as fast."""
    monkeypatch.setattr(module, "BEAT", 0.1)
    monkeypatch.setattr(module, "SILENT", 0.6)
    files = fsspec.filesystem("memory")
    files.store.clear()
    return files


def test_a_second_trainer_is_refused_while_the_first_lives_and_let_in_after(files):
    refused = pytest.raises(InputError, match=r"another trainer works in .*/run .process \d+ on")
    with lease(files, PATH), refused, lease(files, PATH):
        pass
    assert not files.exists(PATH)
    with lease(files, PATH):
        pass


def test_what_a_dead_trainer_left_is_taken_after_a_time(files, capsys):
    files.pipe_file(PATH, json.dumps({"owner": "process 1 on gone", "id": "x", "beat": 7}).encode())
    with lease(files, PATH):
        assert json.loads(files.cat_file(PATH))["owner"] != "process 1 on gone"
    assert "process 1 on gone" in capsys.readouterr().out
    assert not files.exists(PATH)


def test_of_several_that_find_a_dead_one_one_has_it(files, monkeypatch):
    monkeypatch.setattr(module, "BEAT", 1.0)  # threads that wait for a core write up to a beat apart
    files.pipe_file(PATH, json.dumps({"owner": "gone", "id": "x", "beat": 7}).encode())
    inside, refused, release = [], [], threading.Event()

    def come():
        try:
            with lease(files, PATH):
                inside.append(1)
                release.wait(20)
        except InputError as fault:
            refused.append(fault)
            if len(refused) == 3:
                release.set()

    threads = [threading.Thread(target=come) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(inside), len(refused)) == (1, 3)


def test_who_was_silent_ends_when_another_has_taken_its_place(files, monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(module.os, "_exit", lambda code: ended.set())
    with lease(files, PATH):
        files.pipe_file(PATH, json.dumps({"owner": "another", "id": "y", "beat": 0}).encode())
        assert ended.wait(5)
        files.pipe_file(PATH, json.dumps({"owner": "another", "id": "y", "beat": 1}).encode())
    assert files.exists(PATH)  # what is another's stays


def test_who_comes_too_late_to_succeed_a_dead_one_gives_way_to_who_has(files, monkeypatch):
    files.pipe_file(PATH, json.dumps({"owner": "gone", "id": "x", "beat": 7}).encode())
    sleep, quick, wrote = module.time.sleep, {"owner": "quick", "id": "y", "beat": 0}, []

    def beaten(seconds):
        """The other writes right after us; its first sign of life comes a beat later, as any does."""
        if not wrote and json.loads(files.cat_file(PATH))["id"] != "x":
            wrote.append(quick)
            files.pipe_file(PATH, json.dumps(quick).encode())
            threading.Timer(module.BEAT, files.pipe_file, (PATH, json.dumps(quick | {"beat": 1}).encode())).start()
        sleep(seconds)

    monkeypatch.setattr(module.time, "sleep", beaten)
    with pytest.raises(InputError, match=r"another trainer works in .*quick"), lease(files, PATH):
        pass
    assert json.loads(files.cat_file(PATH)) == quick | {"beat": 1}


def test_a_bucket_that_cannot_be_reached_at_the_end_does_not_hide_how_the_run_ended(files, monkeypatch):
    def unreachable(*_):
        raise ConnectionError("bucket")

    def run():
        with lease(files, PATH):
            monkeypatch.setattr(type(files), "rm_file", unreachable)
            raise KeyError("how it ended")

    with pytest.raises(KeyError, match="how it ended"):
        run()


@pytest.mark.parametrize("fault", [FileNotFoundError, PermissionError])
def test_a_bucket_that_is_not_there_or_not_ones_own_is_the_users_to_mend(files, monkeypatch, fault):
    def refuse(*_, **__):
        raise fault("bucket")

    monkeypatch.setattr(type(files), "pipe_file", refuse)
    with (
        pytest.raises(InputError, match=f"run/lock cannot be written .{fault.__name__}: bucket.; see --workdir"),
        lease(files, PATH),
    ):
        pass
