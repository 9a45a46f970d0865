"""The real trainer in several processes: the same run as in one, also when their number changes or one is lost."""

import json
import re
import signal
import time

import numpy as np
import pytest

from learner_jax.report.writer import read_metrics
from tests.command import Run, committed
from tests.damage import damaged_copy

pytestmark = pytest.mark.multiprocess
STEPS = 30


@pytest.fixture
def start(tiny_dataset, tmp_path):
    """``start(n, name, …)``: a run of ``n`` processes in a workdir of that name; killed when the test ends."""
    runs = []

    def start(n, name, **flags):
        runs.append(Run(n, tmp_path / name, tiny_dataset, tmp_path, **flags))
        return runs[-1]

    yield start
    for run in runs:
        for process in run.processes:
            process.kill()
            process.wait()


def test_2_processes_then_1_then_4_are_one_run(start):
    about = {"config__steps": STEPS, "config__objective__projection": 1024}  # one kernel is large enough to be cut
    whole = start(1, "whole", **about)
    assert whole.wait() == [0]

    seen = 0
    for n, fsdp in ((2, 1), (1, 2)):  # from whole parameters to parameters cut in two, and on to four
        part = start(n, "parts", **about, config__mesh__fsdp=fsdp)
        part.until(lambda seen=seen, part=part: max(committed(part.workdir), default=0) > seen)
        part.kill()
        seen = max(committed(part.workdir))
        assert 0 < seen < STEPS
    last = start(4, "parts", **about, config__mesh__fsdp=4, config__data__cache="device")
    assert last.wait() == [0, 0, 0, 0], last.said(0)[-3000:]
    assert re.search(r"kernel .*/4.* float32: 0\.\d\d MiB a device", last.said(0))

    one, many = (read_metrics(run.workdir / "metrics.jsonl") for run in (whole, last))
    assert [line["step"] for line in many] == list(range(1, STEPS + 1))
    assert [line["trail"] for line in many] == [line["trail"] for line in one]  # the same scans in the same order
    np.testing.assert_allclose([line["loss"] for line in many], [line["loss"] for line in one], rtol=1e-4)
    scores = [json.loads((run.workdir / f"eval/{STEPS}/scores.json").read_text()) for run in (whole, last)]
    for a, b in zip(*(found["rows"] for found in scores), strict=True):
        assert (a["name"], a["n_patients"], a["n_pairs"]) == (b["name"], b["n_patients"], b["n_pairs"])


def test_sigterm_to_one_stops_all_at_the_same_step(start):
    run = start(2, "stopped", config__steps=100_000, config__checkpoint__every=100_000)
    run.until(lambda: run.steps() > 3)
    run.processes[1].send_signal(signal.SIGTERM)
    told = time.monotonic()
    assert run.wait(60) == [143, 143], run.said(0)[-3000:]
    assert time.monotonic() - told < 25
    (step,) = committed(run.workdir)
    for process in (0, 1):
        assert f"stopped after step {step} of 100000; the checkpoint is committed" in run.said(process)


def test_sigterm_to_one_in_an_evaluation_ends_it_on_all(start):
    about = {"config__eval__every": 3, "config__eval__bootstrap": 100_000}  # of half a minute or more
    run = start(2, "scoring", **about, config__steps=100_000, config__checkpoint__every=100_000)
    run.until(lambda: committed(run.workdir) == [3])
    run.processes[1].send_signal(signal.SIGTERM)
    told = time.monotonic()
    assert run.wait(60) == [143, 143], run.said(0)[-3000:]
    assert time.monotonic() - told < 25
    assert not (run.workdir / "eval").exists()
    for process in (0, 1):
        assert "stopped during an evaluation, which will be repeated; the checkpoint is committed" in run.said(process)


def test_a_dead_process_ends_the_other_with_a_sentence(start):
    run = start(2, "bereft", config__steps=100_000, config__checkpoint__every=100_000)
    run.until(lambda: run.steps() > 3)
    run.processes[1].kill()
    died = time.monotonic()
    assert run.wait(60) == [1, -signal.SIGKILL]
    assert time.monotonic() - died < 60
    assert "process 0 ends: " in run.said(0)
    assert "The same command goes on from the newest checkpoint" in run.said(0)


def test_without_the_device_that_was_asked_for_all_end(start, monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "rocm")
    run = start(2, "nowhere")
    assert run.wait() == [2, 2], run.said(0)[-3000:]
    assert "error: JAX_PLATFORMS is 'rocm', and JAX finds no such device" in run.said(0)
    assert "process 1: JAX_PLATFORMS is 'rocm', and JAX finds no such device" in run.said(1)
    assert "Traceback" not in run.said(0) + run.said(1)


@pytest.mark.parametrize("how", [(), ("--dry_run",)])
def test_processes_that_were_told_different_things_are_refused(start, how):
    run = start(2, "different", config__steps=4, only={1: ["--config.seed=7", "--config.batch_size=32"]}, more=how)
    assert run.wait() == [2, 2], run.said(0)[-3000:]
    told = "on process 1 config.seed is 7 and not 0; config.batch_size is 32 and not 16, as on process 0"
    assert told in run.said(0)


def test_a_dry_run_of_two_processes(start):
    run = start(2, "dry", more=["--dry_run"])
    assert run.wait() == [0, 0], run.said(0)[-3000:]
    assert "2 processes" in run.said(0)
    assert run.said(1).count("\n") == 0  # where it meets the others


def test_a_second_trainer_is_refused_on_all_its_processes(start):
    holder = start(1, "held", config__steps=100_000)
    holder.until(lambda: holder.steps() > 3)
    second = start(2, "held", config__steps=100_000)
    assert second.wait() == [2, 2], second.said(0)[-3000:]
    assert "error: another trainer works in" in second.said(0)


def test_too_many_unreadable_records_end_all(start, tiny_dataset, tmp_path):
    damaged = damaged_copy(tiny_dataset, tmp_path / "damaged", 5)
    about = {"config__data__dir": damaged, "config__steps": 100_000}
    run = start(2, "refused", **about, config__data__max_bad_fraction=0.0)
    codes, said = run.wait(), [run.said(process) for process in (0, 1)]
    assert codes == [2, 2], said  # also of who has not read it yet, and ends because the other one does
    assert any("1 of 42 training scans cannot be read" in one for one in said)


def test_hosts_that_do_not_share_the_work_folder_are_refused(start, tmp_path):
    """Each would hold a part of every checkpoint, and the run would end with code 0."""
    run = start(2, "here", only={1: [f"--workdir={tmp_path / 'elsewhere'}"]})
    assert run.wait() == [2, 2], run.said(0)[-3000:]
    for process in (0, 1):
        told = run.said(process)
        assert "on process 1 the holder of lock in --workdir is 'nobody' and not 'process" in told
        assert "on a disk that all hosts share" in told
    assert not committed(run.workdir)


def test_ctrl_c_to_one_ends_it_with_130_and_no_stack(start):
    run = start(2, "stopped", config__steps=100_000, config__checkpoint__every=100_000)
    run.until(lambda: run.steps() > 3)
    run.processes[1].send_signal(signal.SIGINT)
    codes = run.wait(60)
    assert codes[1] == 130, run.said(1)[-3000:]
    assert "stopped; the same command goes on from the newest checkpoint" in run.said(1)
    assert "stack trace" not in run.said(1)
