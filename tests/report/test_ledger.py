"""The wall time, all of it, on one account each."""

import contextlib

import pytest

from learner_jax.report.ledger import ACCOUNTS, Ledger


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


def test_the_sum_is_the_wall_time_whatever_happens(clock):
    ledger = Ledger(began=90.0, clock=clock)
    with contextlib.suppress(ZeroDivisionError), ledger.on("steps", then="other"):
        clock.sleep(4)
        with ledger.on("checkpoint"):
            clock.sleep(1)
        with contextlib.suppress(KeyError), ledger.on("evaluation"):
            clock.sleep(3)
            raise KeyError
        clock.sleep(2)
        raise ZeroDivisionError
    clock.sleep(5)
    spent = ledger.seconds()
    expected = {"start": 10.0, "steps": 6.0, "checkpoint": 1.0, "evaluation": 3.0, "other": 5.0}
    assert spent == dict.fromkeys(ACCOUNTS, 0.0) | expected
    assert sum(spent.values()) == clock.now - 90.0


def test_waiting_for_the_first_batch_is_start_up_and_for_others_input_wait(clock):
    def batches():
        for number in range(3):
            clock.sleep(7 if number == 0 else 0.5)
            yield number
        clock.sleep(0.25)

    ledger, seen = Ledger(clock=clock), []
    with ledger.on("steps"):
        for batch in ledger.waited(batches()):
            seen.append(batch)
            clock.sleep(2)
    assert seen == [0, 1, 2]
    assert ledger.seconds() == dict.fromkeys(ACCOUNTS, 0.0) | {"start": 7.0, "input": 1.25, "steps": 6.0}


@pytest.mark.parametrize("fault", [None, ValueError])
def test_leaving_takes_its_own_time_also_after_a_fault(clock, fault):
    @contextlib.contextmanager
    def resource():
        try:
            yield "it"
        finally:
            clock.sleep(3)

    ledger = Ledger(clock=clock)
    with contextlib.suppress(ValueError), ledger.leaving("checkpoint", resource()) as it:
        assert it == "it"
        clock.sleep(1)
        if fault:
            raise fault
    assert ledger.seconds()["checkpoint"] == 3
    clock.sleep(2)
    assert ledger.seconds()["checkpoint"] == 3, "what comes afterwards is not the resource's"
