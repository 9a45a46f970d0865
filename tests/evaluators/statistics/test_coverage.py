"""Intervals hold the truth as often as they claim (simulated patients; benchmarks/coverage.py)."""

import pytest

from benchmarks.coverage import coverage

# CCC weighs patients by the squares of their changes: a few who move far decide, and 100 patients hold few of these.
_LEAST = {"delta_ccc": 0.90}


@pytest.mark.slow
def test_ninety_five_per_cent_intervals_at_100_patients():
    held = coverage(100, 1000)["percentile"]
    for name, share in held.items():
        assert _LEAST.get(name, 0.925) <= share <= 0.97, name


def test_intervals_are_not_far_off():
    held = coverage(60, 60, of=3000)["percentile"]
    assert all(share > 0.8 for share in held.values()), held
    assert sum(held.values()) / len(held) > 0.88
