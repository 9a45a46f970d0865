"""Counting pairs of entries without looking at each pair: 25,000 observations have 300 million."""

import numpy as np
from jaxtyping import Int, Num


def ties(*keys: Num[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """How many entries are equal to each in all keys, itself counted."""
    code = np.zeros(len(keys[0]), np.int64)
    for key in keys:
        rank = _rank(key)
        code = code * (rank.max(initial=0) + 1) + rank
    _, which, sizes = np.unique(code, return_inverse=True, return_counts=True)
    return sizes[which]


def ordered_alike(
    x: Num[np.ndarray, " n"], y: Num[np.ndarray, " n"], group: Int[np.ndarray, " n"]
) -> Int[np.ndarray, " n"]:
    """How many entries of its group lie on the same side of each in ``x`` and in ``y``: both above, or both below.

    Knight's way to Kendall's τ (doi 10.1080/01621459.1966.10480879), kept apart for each entry. In the order of x,
    equal ones from the largest y down, the entries below in both are the smaller y that come before.
    """
    group, total = _rank(group), np.zeros(len(x), np.int64)
    for sign in (1, -1):  # those below, those above
        rank = _rank(sign * y)
        order = np.lexsort((-rank, sign * x, group))
        own = group[order]
        before = smaller_before(own * (rank.max(initial=0) + 1) + rank[order])
        total[order] += before - np.searchsorted(own, own)  # all of the groups before are smaller
    return total


def smaller_before(values: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """How many of the entries before each are smaller than it; ``n log² n``.

    A merge sort from the bottom up, all blocks of a level at once: the right half of a block counts in its left half.

    Args:
      values: not negative; their largest times n is below 2^63.
    """
    n = len(values)
    place, found, half = np.arange(n), np.zeros(n, np.int64), 1
    top = int(values.max(initial=0)) + 1
    while half < n:
        block, right = place // (2 * half), place // half % 2 == 1
        key = block * top + values  # blocks one after the other, and sorted within each
        found[right] += np.searchsorted(np.sort(key[~right]), key[right]) - block[right] * half
        half *= 2
    return found


def _rank(key: Num[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    return np.unique(key, return_inverse=True)[1]
