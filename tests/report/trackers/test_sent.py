"""A tracker that fails, hangs or leaves is said once and dropped; what it is handed comes in order."""

import threading
import time

import pytest

from learner_jax.config import Config
from learner_jax.preemption import Preempted
from learner_jax.report import trackers
from learner_jax.report.trackers import sent
from learner_jax.report.trackers.sent import Sent


class Kept:
    def __init__(self):
        self.lines, self.finished = [], None

    def write(self, step, values):
        self.lines.append((step, values))

    def close(self, finished):
        self.finished = finished


@pytest.mark.parametrize(("steps", "finished"), [(99, True), (100, False)])
def test_what_is_finite_and_a_quantity_comes_in_order(steps, finished):
    kept, said = Kept(), []
    tracker = Sent("kept", lambda: kept, said.append, steps)
    for step in range(100):
        tracker.write(step, {"loss": float(step), "trail": 7.0, "a": None, "b": float("nan"), "c": float("inf")})
    tracker.end()
    tracker.join(10.0)
    assert kept.lines == [(step, {"loss": float(step)}) for step in range(100)]
    assert kept.finished is finished
    assert said == []


def test_a_run_that_has_nothing_to_tell_opens_no_tracker():
    def opens():
        raise AssertionError

    said = []
    tracker = Sent("never", opens, said.append, 3)
    tracker.end()
    tracker.join(10.0)
    assert said == []


@pytest.mark.parametrize("where", ["open", "write", "close"])
@pytest.mark.parametrize("fault", [ValueError("no\n  network"), SystemExit(3)])
def test_a_fault_is_said_once(where, fault):
    class Failing(Kept):
        def write(self, step, values):
            super().write(step, values)
            if where == "write":
                raise fault

        def close(self, finished):
            if where == "close":
                raise fault

    def opens():
        if where == "open":
            raise fault
        return failing

    failing, said = Failing(), []
    tracker = Sent("wandb", opens, said.append, 3)
    for step in range(3):
        tracker.write(step, {})
    tracker.end()
    tracker.join(10.0)
    tracker.write(4, {})
    words = " ".join(str(fault).split())
    assert said == [f"tracker wandb failed: {type(fault).__name__}: {words}; training goes on without it"]
    assert len(failing.lines) == {"open": 0, "write": 1, "close": 3}[where]


def test_a_tracker_that_hangs_holds_nothing_up(monkeypatch, tmp_path):
    monkeypatch.setattr(sent, "_MOST", 20)
    monkeypatch.setattr(sent, "WAIT", 0.2)
    said, hang = [], threading.Event()

    class Hanging(Kept):
        def write(self, step, values):
            hang.wait(60)

    monkeypatch.setattr(sent, "chosen", lambda names: {"hanging": _kind(Hanging), "full": _kind(Hanging)})
    begun = time.monotonic()
    with trackers.opened(Config(), tmp_path, 0, said.append) as (hanging, full):
        for step in range(5):
            hanging.write(step, {})
        for step in range(50):
            full.write(step, {})
        assert said == ["tracker full failed: 20 lines are waiting for it; training goes on without it"]
    assert time.monotonic() - begun < 5
    assert said[1:] == ["tracker hanging failed: it has not finished 0 s after the end; training goes on without it"]
    hang.set()


def _kind(tracker):
    return trackers.api.Kind(lambda run: tracker(), "sys", "")


def test_a_run_that_is_asked_to_stop_gives_trackers_less_time(monkeypatch, tmp_path):
    """A cluster kills after 30 s, and exit code 143 must come first."""
    given = []
    monkeypatch.setattr(Sent, "join", lambda tracker, seconds, allowed: given.append(allowed))
    monkeypatch.setattr(sent, "chosen", lambda names: {"kept": _kind(Kept)})
    with trackers.opened(Config(), tmp_path, 0, print):
        pass
    with pytest.raises(Preempted), trackers.opened(Config(), tmp_path, 0, print):
        raise Preempted
    assert given == [sent.WAIT, sent.PREEMPTED_WAIT]
    assert sent.PREEMPTED_WAIT <= 5
