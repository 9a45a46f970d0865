"""Weights & Biases offline: one run of two processes, without a word on the machine. Needs the extra `wandb`."""

import getpass
import json
import os
import socket
import struct

import pytest

from tests.report.trackers.conftest import SECRET

wandb = pytest.importorskip("wandb")
pytestmark = pytest.mark.filterwarnings("ignore")  # its own


@pytest.fixture
def files(twice, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    return sorted(twice("wandb").glob("wandb/offline-run-*/*.wandb"))


def test_both_processes_are_one_run_with_all_steps(files):
    from wandb.proto import wandb_internal_pb2

    told, codes = [], []
    for path in files:
        for data in _records(path.read_bytes()):
            record = wandb_internal_pb2.Record.FromString(data)
            if record.WhichOneof("record_type") == "run":
                told.append(record.run.run_id)
            elif record.WhichOneof("record_type") == "history":
                values = {(item.key or item.nested_key[0]): json.loads(item.value_json) for item in record.history.item}
                told.append((values["step"], values["loss"]))
            elif record.WhichOneof("record_type") == "exit":
                codes.append(record.exit.exit_code)
    (name,) = {item for item in told if isinstance(item, str)}
    assert name in files[0].name
    steps = [item for item in told if not isinstance(item, str)]
    assert steps == [(step, step / 10) for step in (1, 2, 3, 4, 5, 4, 5, 6)]
    assert codes == [1, 0], "the first was killed"


def test_nothing_of_the_machine_is_in_what_would_be_sent(files):
    everything = b"".join(path.read_bytes() for path in files)
    assert b"learning_rate" in everything
    run = files[0].parents[2]
    for word in (SECRET, str(run), os.getcwd(), socket.gethostname() + ".", getpass.getuser() + "@"):
        assert word.encode() not in everything, word
    sent = [path for path in run.rglob("wandb/*/files/**/*") if path.is_file()]  # W&B uploads this folder
    assert not any(SECRET in path.read_text(errors="replace") for path in sent)
    assert not any(path.name in ("wandb-metadata.json", "requirements.txt", "output.log") for path in sent)


def test_without_a_key_it_is_dropped_and_does_not_ask(tmp_path, monkeypatch):
    from learner_jax.config import Config
    from learner_jax.report import trackers

    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    wandb.teardown()  # else the settings of the tests before hold
    said = []
    with trackers.opened(Config(trackers="wandb"), tmp_path, 0, said.append) as (tracker,):
        tracker.write(1, {"loss": 1.0})
    assert len(said) == 1
    assert "knows no key; run `wandb login` before, or set WANDB_MODE=offline; training goes on" in said[0]


def _records(data):
    """Of a log in LevelDB's format behind 7 bytes of W&B's: blocks of 32 KiB; parts of records with a header of 7."""
    parts, at = [], 7
    while at < len(data):
        if 32768 - at % 32768 < 7:  # no room for a header: the block ends
            at += 32768 - at % 32768
            continue
        length, kind = struct.unpack("<HB", data[at + 4 : at + 7])
        if kind not in (1, 2, 3, 4):
            return
        parts.append(data[at + 7 : at + 7 + length])
        at += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield b"".join(parts)
            parts = []
