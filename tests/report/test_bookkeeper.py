"""One life of a run in its books, by a clock that stands still between what is told."""

import pytest

from learner_jax.preemption import Preempted
from learner_jax.report import goodput
from learner_jax.report.bookkeeper import Bookkeeper, keeping
from learner_jax.report.ledger import Ledger


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def steps(books, ledger, clock, numbers, batches=0.5, computing=1.5):
    with ledger.on("steps"):
        for step in numbers:
            with ledger.on("input"):
                clock.now += batches
            clock.now += computing
            books.finished(step, 1.0, 0)


def test_speed_and_input_wait_are_of_what_came_after_the_first_step(tmp_path):
    clock = Clock()
    ledger = Ledger(clock=clock)
    books = Bookkeeper(tmp_path, ledger, 32, lambda seconds: {"mfu": seconds / 10, "of_bound": 0.5})
    books.begin(0)
    assert books.input_wait is None
    steps(books, ledger, clock, [1], batches=100, computing=100)
    assert books.input_wait is None
    steps(books, ledger, clock, [2, 3, 4])
    assert books.input_wait == pytest.approx(0.25)
    with ledger.on("evaluation"):
        clock.now += 2
    steps(books, ledger, clock, [5, 6])  # the newest does not count yet
    books.write()
    (life,) = goodput.read(tmp_path)
    assert life.examples_per_second == pytest.approx(32 / 2), "evaluations do not count as slow steps"
    assert life.input_wait == pytest.approx(4 * 0.5 / (4 * 2 + 2)), "but they are time"
    assert (life.mfu, life.of_bound) == (pytest.approx(0.2), 0.5)
    assert (life.start, life.step, life.ended, life.wall) == (0, 6, "", clock.now)


def test_a_run_of_two_steps_has_no_speed(tmp_path):
    """A CPU computes step 2 before the metrics of step 1 are read."""
    clock = Clock()
    ledger = Ledger(clock=clock)
    books = Bookkeeper(tmp_path, ledger, 32, lambda seconds: {})
    books.begin(0)
    steps(books, ledger, clock, [1, 2], computing=0)
    books.write()
    (life,) = goodput.read(tmp_path)
    assert (life.examples_per_second, life.input_wait) == (None, None)
    steps(books, ledger, clock, [3], computing=9)
    books.write()
    (life,) = goodput.read(tmp_path)
    assert life.examples_per_second == pytest.approx(32 / 0.5)  # of step 2, for which only the input took time


@pytest.mark.parametrize(("now", "told"), [((900, 80), (900, 80)), ((700, 50), (0, None)), ((700, 51), (0, 51))])
def test_memory_is_not_that_of_an_earlier_run_of_the_same_process(tmp_path, monkeypatch, now, told):
    peaks = [(700, 50), now]
    monkeypatch.setattr("learner_jax.report.high_water.of_host", lambda: peaks[0][0])
    monkeypatch.setattr("learner_jax.report.high_water.of_devices", lambda devices: peaks[0][1])
    books = Bookkeeper(tmp_path, Ledger(), 32, lambda seconds: {})
    books.begin(0)
    peaks.pop(0)
    books.write()
    (life,) = goodput.read(tmp_path)
    assert (life.host_peak_bytes, life.device_peak_bytes) == told


def test_a_sign_of_life_comes_every_ten_seconds(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("learner_jax.report.bookkeeper.time.monotonic", lambda: now[0])
    books, seen = Bookkeeper(tmp_path, Ledger(), 1, lambda seconds: {}), []
    books.begin(0)
    for step in range(1, 61):
        now[0] += 0.5
        books.finished(step, float("nan"), step)
        books.beat(7.0)
        seen.append(goodput.read(tmp_path)[0].step)
    assert sorted(set(seen)) == [1, 21, 41]
    (life,) = goodput.read(tmp_path)
    assert (life.loss, life.skipped, life.recent_examples_per_second) == (None, 41, 7.0)


@pytest.mark.parametrize(
    ("fault", "ended"), [(None, "finished"), (Preempted("told"), "preempted"), (ValueError("x"), "ValueError")]
)
def test_how_a_process_ended_is_in_the_books_and_the_table_is_printed(tmp_path, capsys, fault, ended):
    def live():
        with keeping(tmp_path, Ledger(), 32, lambda seconds: {}) as books:
            books.begin(0)
            books.finished(1, 0.5, 0)
            if fault:
                raise fault

    if fault:
        with pytest.raises(type(fault)):
            live()
    else:
        live()
    (life,) = goodput.read(tmp_path)
    assert (life.ended, life.step) == (ended, 1)
    assert "where the time went" in capsys.readouterr().out


def test_a_process_with_nothing_to_do_leaves_the_books_alone(tmp_path, capsys):
    with keeping(tmp_path, Ledger(), 32, lambda seconds: {}) as books:
        books.begin(4)
    with pytest.raises(ValueError, match="bad"), keeping(tmp_path, Ledger(), 32, lambda seconds: {}):
        raise ValueError("bad before it began")
    assert goodput.read(tmp_path) == []
    assert capsys.readouterr().out == ""


def test_a_kill_loses_what_metrics_show_beyond_the_last_sign_of_life(tmp_path):
    def live(start, steps, seen, ended):
        books = Bookkeeper(tmp_path, Ledger(), 32, lambda seconds: {})
        books.begin(start, seen)
        for step in steps:
            books.finished(step, 1.0, 0)
        books.write(ended)

    live(0, range(1, 11), 0, "")  # killed after its last sign at step 10, having done 13
    live(8, range(9, 16), 13, "preempted")
    live(15, range(16, 21), 15, "finished")
    lives = goodput.read(tmp_path)
    assert [(life.start, life.step) for life in lives] == [(0, 13), (8, 15), (15, 20)]
    assert goodput.total(lives).repeated == 5
