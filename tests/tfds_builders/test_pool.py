import os

import pytest

from tfds_builders.pool import cores, ordered_map


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_order_and_few_are_held(processes):
    taken = []

    def items():
        for i in range(40):
            taken.append(i)
            yield -i

    results = ordered_map(abs, items(), processes)
    assert next(results) == 0
    assert len(taken) <= 4 * processes
    assert list(results) == list(range(1, 40))


@pytest.mark.parametrize("processes", [1, 2])
def test_a_failure_reaches_the_caller(processes):
    results = ordered_map(int, ["1", "x", "3"], processes)
    assert next(results) == 1
    with pytest.raises(ValueError, match="'x'"):
        next(results)


def test_cores_are_counted():
    assert 1 <= cores() <= (os.cpu_count() or 1)
