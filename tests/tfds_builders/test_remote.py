"""Datasets in a bucket. The logic runs on folders; the bucket itself where an emulator is installed."""

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.tfds_builders.test_build import SYNTHETIC
from tfds_builders import build, remote
from tfds_builders.errors import InputError
from tfds_builders.record import MARKER, DatasetMeta, check_complete


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def built(tmp_path) -> Path:
    assert build.main([*SYNTHETIC, "--data_dir", str(tmp_path / "here")]) == 0
    return tmp_path / "here"


@pytest.mark.parametrize("place", ["gs://", "gs:///lus", "gs:////"])
def test_a_place_without_a_bucket_is_refused(place, capsys):  # as of a variable of the shell that is not set
    assert build.main([*SYNTHETIC, "--data_dir", place]) == 2
    assert f"--data_dir is {place!r} and names no bucket; write gs://BUCKET/NAME" in capsys.readouterr().err


def test_what_arrives_is_what_was_built_and_nothing_of_before(built, tmp_path):
    there = tmp_path / "there"
    (there / "splits").mkdir(parents=True)
    for name in (MARKER, "dataset.json", "splits/old.json", "old.array_record"):
        (there / name).write_text("old")
    remote.upload(built, str(there))
    assert files(there) == files(built)
    check_complete(there)


def test_while_it_is_copied_nothing_opens_and_the_marker_comes_last(built, tmp_path, monkeypatch):
    there = tmp_path / "there"
    remote.upload(built, str(there))
    order, copy = [], type(remote.epath.Path(built)).copy

    def watched(self, target, overwrite):
        order.append(target.name)
        assert not (there / MARKER).exists()
        if len(order) == 4:
            raise OSError("the line is cut")
        return copy(self, target, overwrite=overwrite)

    with monkeypatch.context() as patch:
        patch.setattr(type(remote.epath.Path(built)), "copy", watched)
        with pytest.raises(InputError, match=r"cannot be used .OSError: the line is cut"):
            remote.upload(built, str(there))
    with pytest.raises(InputError, match="half-written"):
        check_complete(there)
    meta = DatasetMeta.read(built)
    assert not remote.is_built(str(there), meta, overwrite=False)  # may be gone on with
    remote.upload(built, str(there))
    assert remote.is_built(str(there), meta, overwrite=False)
    assert not remote.is_built(str(there), meta, overwrite=True)


def test_what_is_no_dataset_or_another_is_refused(built, tmp_path):
    meta = DatasetMeta.read(built)
    assert not remote.is_built(str(tmp_path / "nothing"), meta, overwrite=False)
    with pytest.raises(InputError, match="holds a dataset built from other files"):
        remote.is_built(str(built), type(meta)(**{**vars(meta), "inputs": "other"}), overwrite=False)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match="exists and is not a dataset"):
        remote.is_built(str(tmp_path / "mine"), meta, overwrite=True)


_EMULATOR = all(importlib.util.find_spec(name) for name in ("gcsfs", "gcp_storage_emulator"))


@pytest.mark.skipif(not _EMULATOR, reason="needs gcsfs (extra `gcs`) and gcp-storage-emulator")
def test_a_bucket_of_an_emulator(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    serve = [sys.executable, "-m", "gcp_storage_emulator", "start", "--host=localhost", f"--port={port}", "--in-memory"]
    server = subprocess.Popen([*serve, "--default-bucket=lab"], stderr=subprocess.DEVNULL)
    environment = {
        **os.environ,
        "STORAGE_EMULATOR_HOST": f"http://localhost:{port}",
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",  # its question for the kind of bucket waits a minute
    }
    try:
        for _ in range(100):
            try:
                urllib.request.urlopen(f"http://localhost:{port}/storage/v1/b", timeout=1)
                break
            except OSError:
                time.sleep(0.1)

        def command(*more: str) -> subprocess.CompletedProcess:
            arguments = [*SYNTHETIC, "--data_dir", "gs://lab/deep/lus", *more]
            return subprocess.run(
                [sys.executable, "-W", "ignore", "-m", "tfds_builders.build", *arguments],
                **{"cwd": tmp_path, "env": environment | {"PYTHONPATH": os.getcwd()}, "text": True},
                capture_output=True,
                check=False,
                timeout=300,
            )

        first = command()
        assert first.returncode == 0, first.stderr
        assert "MiB in gs://lab/deep/lus" in first.stdout
        assert "nothing to do" in command().stdout
        other = command("--seed", "9")
        assert other.returncode == 2
        assert "holds a dataset built from other files" in other.stderr
        stored = f"http://localhost:{port}/storage/v1/b/lab/o/deep%2Flus%2Fsplits%2F{{}}.json?alt=media"
        with urllib.request.urlopen(stored.format("default")) as split:
            content = split.read()
        upload = f"http://localhost:{port}/upload/storage/v1/b/lab/o?uploadType=media&name=deep/lus/splits/mine.json"
        urllib.request.urlopen(urllib.request.Request(upload, content, method="POST")).close()
        again = command("--seed", "9", "--overwrite")
        assert again.returncode == 0
        assert "split mine" in again.stdout
        with urllib.request.urlopen(stored.format("mine")) as split:
            assert split.read() == content
        assert list(tmp_path.glob("*lus*")) == [tmp_path / ".lus.building"] or not list(tmp_path.glob("*lus*"))
    finally:
        server.terminate()
        server.wait()
