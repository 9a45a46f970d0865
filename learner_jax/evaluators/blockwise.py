"""Rows of big float32 arrays, processed in float64, a block at a time and each row by itself.

100,000 embeddings of width 768 are 300 MB; a float64 copy would be 600 MB. And BLAS may round equal rows differently,
while two equal scans must tie. So the number computed for a row is either a sum over that row, or a product of whole
numbers, which is not rounded at all.
"""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float, Float64, Int, Num, Shaped

SIZE = 2048  # rows at once: 12 MB of float64 at width 768
_CONSTANT = 1e-6  # SD over mean below which a dimension is float32 noise around a constant
_BITS = 26  # dot products of two rows of such numbers, each of norm at most 1, stay below 2^53


def blocks(n: int, size: int | None = None) -> Iterator[slice]:
    """Slices that cover ``n`` rows, ``size`` (default ``SIZE``) each."""
    size = size or SIZE
    return (slice(at, at + size) for at in range(0, n, size))


def float64(x: Num[np.ndarray, "n d"]) -> Float64[np.ndarray, "n d"]:
    """A float64 copy of a block in C order: the order in memory decides in which order a row is summed."""
    return np.array(x, np.float64, order="C")


def over_rows(
    function: Callable[..., Float64[np.ndarray, "b ..."]], *arrays: Float[np.ndarray, "n d"], size: int | None = None
) -> Float64[np.ndarray, "n ..."]:
    """``function`` of the rows of all arrays; it is given float64 blocks, which it may overwrite."""
    if not len(arrays[0]):
        return function(*(float64(x) for x in arrays))
    return np.concatenate([function(*(float64(x[at]) for x in arrays)) for at in blocks(len(arrays[0]), size)])


def over_pairs(
    function: Callable[[np.ndarray, np.ndarray], Shaped[np.ndarray, "b ..."]],
    u: Float[np.ndarray, "n d"],
    first: Int[np.ndarray, " k"],
    second: Int[np.ndarray, " k"],
) -> Shaped[np.ndarray, "k ..."]:
    """``function(u[first], u[second])`` without the ``[k d]`` arrays: there can be many times more pairs than rows."""
    if not len(first):
        return function(u[first], u[second])
    return np.concatenate([function(u[first[at]], u[second[at]]) for at in blocks(len(first))])


def moments(
    u: Float[np.ndarray, "n d"],
) -> tuple[Float64[np.ndarray, " d"], Float64[np.ndarray, " d"], np.ndarray]:
    """Mean and SD of each dimension, and whether it varies (bool ``[d]``).

    Two passes, so that a large mean costs no digits of the SD. The SD of a dimension that does not vary is set to 1.
    """
    n = max(len(u), 1)
    mean = sum((float64(u[at]).sum(axis=0) for at in blocks(len(u))), np.zeros(u.shape[1])) / n
    squares = sum((np.square(float64(u[at]) - mean).sum(axis=0) for at in blocks(len(u))), np.zeros(u.shape[1]))
    std = np.sqrt(squares / n)
    varies = std > _CONSTANT * np.abs(mean)
    return mean, np.where(varies, std, 1.0), varies


def unit(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Rows divided by their Euclidean norm; a zero row stays zero."""
    norm = np.sqrt(np.square(x).sum(axis=1, keepdims=True))
    return x / np.where(norm > 0, norm, 1)


def cosine_distance(a: Float64[np.ndarray, "#n d"], b: Float64[np.ndarray, "#n d"]) -> Float64[np.ndarray, " #n"]:
    """``1 - cos(a, b)`` of rows, between 0 and 2: exactly 0 for equal rows, and 1 between a zero row and any other.

    Computed as ``|a/|a| - b/|b||^2 / 2``: ``1 - cos`` has no digits left for the small distances that matter here.
    """
    unit_a, unit_b = unit(a), unit(b)
    distance = np.square(unit_a - unit_b).sum(axis=1) / 2
    directed = unit_a.any(axis=1) & unit_b.any(axis=1)
    return np.where((a == b).all(axis=1), 0.0, np.where(directed, distance, 1.0))


def pair_distance(
    u: Float[np.ndarray, "n d"], first: Int[np.ndarray, " k"], second: Int[np.ndarray, " k"]
) -> Float64[np.ndarray, " k"]:
    """Cosine distance of the two rows of each pair."""
    return over_pairs(lambda a, b: cosine_distance(float64(a), float64(b)), u, first, second)


def exponents(x: Float64[np.ndarray, "n d"]) -> Int[np.ndarray, " n"]:
    """For each row, the least ``e`` such that its norm is below ``2^e``."""
    return np.frexp(np.sqrt(np.square(x).sum(axis=1)))[1]


def whole(x: Float64[np.ndarray, "n d"], exponent: int | Int[np.ndarray, "n 1"] = 0) -> Float64[np.ndarray, "n d"]:
    """Whole numbers ``round(x · 2^(26 - exponent))`` from rows whose norms are at most ``2^exponent``.

    ``a @ b.T`` of two such arrays is exact in float64 in whichever order BLAS adds: every partial sum is a whole
    number, and by the Cauchy–Schwarz inequality below ``2^53``. So its bits depend on the two rows alone.
    Source: the error-free products of Ozaki et al., doi 10.1007/s11075-011-9478-1, with one slice.
    """
    return np.rint(np.ldexp(x, _BITS - exponent))
