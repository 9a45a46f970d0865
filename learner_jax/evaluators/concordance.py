"""Counts over pairs of entries without visiting each pair: 25,000 observations have 300 million."""

import numpy as np
from jaxtyping import Int, Num


def ties(*keys: Num[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """For each entry, how many entries equal it in all keys, itself included."""
    code = np.zeros(len(keys[0]), np.int64)
    for key in keys:
        rank = _rank(key)
        code = code * (rank.max(initial=0) + 1) + rank
    _, which, sizes = np.unique(code, return_inverse=True, return_counts=True)
    return sizes[which]


def ordered_alike(
    x: Num[np.ndarray, " n"], y: Num[np.ndarray, " n"], group: Int[np.ndarray, " n"]
) -> Int[np.ndarray, " n"]:
    """For each entry, how many of its group lie on the same side of it in ``x`` and in ``y``, above or below in both.

    Knight's algorithm for Kendall's τ (doi 10.1080/01621459.1966.10480879), with a count for each entry. Sorted by x,
    and among equal x by falling y, the entries that are below one in both are those before it with a smaller y.
    """
    group, total = _rank(group), np.zeros(len(x), np.int64)
    for sign in (1, -1):  # those below, those above
        rank = _rank(sign * y)
        order = np.lexsort((-rank, sign * x, group))
        own = group[order]
        before = smaller_before(own * (rank.max(initial=0) + 1) + rank[order])
        total[order] += before - np.searchsorted(own, own)  # less the entries of earlier groups, which all count
    return total


def smaller_before(values: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """For each entry, how many entries before it are smaller; in ``O(n log² n)``.

    A bottom-up merge sort, all blocks of a level at once: entries in the right half of a block count those in its left.

    Args:
      values: not negative, and the largest times n is below 2^63.
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
