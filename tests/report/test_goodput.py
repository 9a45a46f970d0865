"""goodput.json: sums over the processes of a run, and which steps were computed in vain."""

import dataclasses

import numpy as np
import pytest

from learner_jax.report import goodput
from learner_jax.report.goodput import Life
from learner_jax.report.ledger import ACCOUNTS
from tfds_builders.errors import InputError


def life(start, step, **fields):
    seconds = dict.fromkeys(ACCOUNTS, 0.0) | {"start": 5.0, "steps": 2.0 * (step - start)}
    return Life(start, step, seconds, 0.0, 0.0, **fields)


def test_lost_steps_are_those_that_a_later_process_computed_again():
    rng = np.random.default_rng(0)
    for _ in range(200):
        lives, computed = [], []
        start = 0
        for _ in range(rng.integers(1, 6)):
            step = start + int(rng.integers(0, 20))
            lives.append(life(start, step))
            computed += [(number, s) for s in range(start + 1, step + 1) for number in [len(lives)]]
            start = int(rng.integers(0, step + 1))  # a damaged checkpoint may lead back beyond the last start
        # a step is kept when no later process began before it
        kept = [s for number, s in computed if all(later.start >= s for later in lives[number:])]
        whole = goodput.total(lives)
        assert whole.repeated == len(computed) - len(kept)
        assert whole.productive == pytest.approx(2.0 * len(kept))
        assert whole.wall == 5.0 * len(lives) + 2.0 * len(computed)
        assert whole.goodput == pytest.approx(whole.productive / whole.wall)


def test_what_is_written_is_read(tmp_path):
    assert goodput.read(tmp_path) == []
    lives = [life(0, 12, loss=0.5, ended="preempted"), life(10, 20, mfu=0.4, device_peak_bytes=2**30)]
    goodput.write(tmp_path, lives)
    assert goodput.read(tmp_path) == lives
    assert [path.name for path in tmp_path.iterdir()] == ["goodput.json"]


@pytest.mark.parametrize("text", ["", "[]", '{"processes": [{"start": 1}]}', '{"processes": 3}'])
def test_a_damaged_file_is_a_sentence(tmp_path, text):
    (tmp_path / "goodput.json").write_text(text)
    with pytest.raises(InputError, match=r"goodput.json cannot be read .* it only records time: remove it"):
        goodput.read(tmp_path)


def test_the_table_of_one_process():
    one = life(0, 10, examples_per_second=160.0, input_wait=0.003, host_peak_bytes=3 * 2**29)
    lines = goodput.table([one]).splitlines()
    assert lines[0].split() == ["where", "the", "time", "went", "this", "process"]
    assert lines[4].split() == ["steps", "20.0", "s", "80.0", "%"]
    assert lines[8].split() == ["wall", "time", "25.0", "s"]
    assert lines[9:] == [
        "goodput 80.0 % (time on steps that were kept, over wall time)",
        "after the first step: 160 examples/s, input wait 0.3 %",
        "most memory: host 1.50 GiB, a device not known",
    ]


def test_the_table_of_a_run_that_was_killed_and_went_on():
    last = life(8, 20, skipped=2, mfu=0.41, of_bound=0.5, device_peak_bytes=2**31)
    lines = goodput.table([life(0, 10), last]).splitlines()
    assert lines[0].endswith("all 2 processes")
    assert lines[8].split() == ["wall", "time", "29.0", "s", "54.0", "s"]
    assert "2 steps were lost and computed again" in lines
    assert "2 steps changed nothing, as their loss or gradient was not finite" in lines
    assert "after the first step: MFU 41.0 %, 50.0 % of the roofline bound" in lines
    assert lines[-1].endswith("a device 2.00 GiB")
    assert max(map(len, lines)) <= 80


def test_a_file_of_a_later_version_is_read(tmp_path):
    goodput.write(tmp_path, [life(0, 1)])
    path = tmp_path / "goodput.json"
    path.write_text(path.read_text().replace('"start": 0', '"start": 0, "hue": 3', 1))
    assert [dataclasses.replace(one) for one in goodput.read(tmp_path)] == [life(0, 1)]
