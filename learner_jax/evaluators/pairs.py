"""Observations and the pairs of them that are compared, fine and coarse.

A repeated scan is not a second visit. So scans become observations first, and only observations form pairs.
"""

import dataclasses

import numpy as np
from jaxtyping import Float, Float32, Float64, Int, Num

from learner_jax.evaluators.blockwise import blocks
from tfds_builders.wording import plural

MODES = ("visits", "scans")
ORDERS = ("all", "consecutive")
_SEED = 0  # one for all runs, so that two arms are scored on the same pairs


@dataclasses.dataclass(frozen=True)
class Observations:
    """What is scored: visits, or single scans. :func:`observe` orders them by patient, visit, time and row."""

    u: Float32[np.ndarray, "m d"]
    score: Float32[np.ndarray, " m"]  # score units, NaN where unlabeled
    patient: Int[np.ndarray, " m"]
    visit: Int[np.ndarray, " m"]
    time_days: Float32[np.ndarray, " m"]
    view: Int[np.ndarray, " m"]  # -1 where views were averaged
    rows: tuple[tuple[int, ...], ...]  # of the cohort table, behind each observation, ascending

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labeled(self) -> np.ndarray:
        """Bool ``[m]``: whether an observation carries the score."""
        return ~np.isnan(self.score)

    def take(self, index: np.ndarray) -> "Observations":
        """The observations at ``index``, in that order."""
        arrays = {f.name: getattr(self, f.name)[index] for f in dataclasses.fields(self) if f.name != "rows"}
        return Observations(**arrays, rows=tuple(self.rows[i] for i in index))

    def labeled_only(self) -> "Observations":
        """The observations that carry the score; not a copy if all do."""
        return self if self.labeled.all() else self.take(np.flatnonzero(self.labeled))

    def sorted(self) -> "Observations":
        """The same observations in the canonical order, in which everything is computed."""
        return self.take(canonical_order(self))


@dataclasses.dataclass(frozen=True)
class FinePairs:
    """Pairs of observations of one patient: indices into the observations, earlier -> later."""

    first: Int[np.ndarray, " k"]
    second: Int[np.ndarray, " k"]
    patient: Int[np.ndarray, " k"]

    def __len__(self) -> int:
        return len(self.patient)


def observe(
    u: Float[np.ndarray, "n d"],
    score: Float[np.ndarray, " n"],
    patient: Int[np.ndarray, " n"],
    visit: Int[np.ndarray, " n"],
    time_days: Float[np.ndarray, " n"],
    view: Int[np.ndarray, " n"],
    row: Int[np.ndarray, " n"],
    mode: str,
    view_weight: Float[np.ndarray, " v"] | None = None,
) -> Observations:
    """Turn ``n`` scans into ``m`` observations; any order of the scans gives the same bits.

    Args:
      u: embeddings. Under ``visits`` they are averaged per (patient, visit, view), then over the views of a visit, so
        that a view scanned three times counts once.
      score: score units, NaN unlabeled. The score of a visit is the mean over its labeled scans.
      patient, visit, time_days, view: of each scan.
      row: of each scan in the cohort table.
      mode: ``visits``, or ``scans``: every scan is an observation of its own.
      view_weight: of each view (``fusion.view_weights``); None: all weigh the same.

    Raises:
      ValueError: for another ``mode``.
    """
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}; it is one of {', '.join(MODES)}")
    order = np.lexsort((row, view, visit, patient) if mode == "visits" else (row, visit, patient))
    u, score, patient, visit, time_days, view, row = (
        x[order] for x in (u, score, patient, visit, time_days, view, row)
    )
    if mode == "scans" or len(row) == 0:
        rows = tuple((int(r),) for r in row)
        return Observations(
            u.astype(np.float32), score.astype(np.float32), patient, visit, time_days.astype(np.float32), view, rows
        )
    per_view, scans_in_view = group_means(u, group_starts(patient, visit, view))
    first_of_view = np.cumsum(scans_in_view) - scans_in_view
    visits = group_starts(patient[first_of_view], visit[first_of_view])
    weight = np.ones(len(per_view)) if view_weight is None else view_weight[view[first_of_view]]
    # a visit whose views all weigh 0 still gets a mean
    weight = np.where(np.repeat(group_means(weight, visits)[0], np.diff([*visits, len(weight)])) > 0, weight, 1.0)
    per_visit = group_means(per_view * weight[:, None], visits)[0] / group_means(weight, visits)[0][:, None]
    starts = group_starts(patient, visit)
    labeled = ~np.isnan(score)
    total = np.add.reduceat(np.where(labeled, score, 0).astype(np.float64), starts)
    count = np.add.reduceat(labeled.astype(np.int64), starts)
    return Observations(
        u=per_visit.astype(np.float32),
        score=np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32),
        patient=patient[starts],
        visit=visit[starts],
        time_days=group_means(time_days, starts)[0].astype(np.float32),
        view=np.full(len(starts), -1, np.int32),
        rows=tuple(tuple(sorted(map(int, part))) for part in np.split(row, starts[1:])),
    )


def fine_pairs(observations: Observations, mode: str, order: str) -> FinePairs:
    """Pairs of labeled observations of one patient, sorted by patient and then by time.

    Args:
      mode: ``visits``: earlier -> later visit. ``scans``: each two scans of a visit once, in the order of their rows;
        they differ in place, not in time.
      order: ``all`` pairs, or ``consecutive``: neighbours among the labeled visits. Scans of one visit have no
        neighbours, so for them both mean all pairs.

    Raises:
      ValueError: for another ``mode`` or ``order``.
    """
    if mode not in MODES or order not in ORDERS:
        raise ValueError(f"mode is {mode!r} ({', '.join(MODES)}), order is {order!r} ({', '.join(ORDERS)})")
    index = canonical_order(observations)
    index = index[observations.labeled[index]]
    group = observations.patient[index][:, None]
    if mode == "scans":
        group = np.stack([observations.patient[index], observations.visit[index]], axis=1)
    found = [np.zeros((0, 2), np.int64)]
    for gap in range(1, len(index)):
        at = np.flatnonzero((group[gap:] == group[:-gap]).all(axis=1))
        if at.size == 0 or (gap > 1 and mode == "visits" and order == "consecutive"):
            break
        found.append(np.stack([at, at + gap], axis=1))
    position = np.concatenate(found)
    position = position[np.lexsort((position[:, 1], position[:, 0]))]
    first, second = index[position[:, 0]], index[position[:, 1]]
    return FinePairs(first, second, observations.patient[first])


def coarse_pairs(patient: Int[np.ndarray, " m"], most: int) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """Distinct pairs of observations of different patients, ``first < second``: all of them, or at most ``most``.

    Drawn uniformly with a fixed seed. If there are too many to enumerate, three times ``most`` are drawn with
    replacement, and repeats dropped.

    Args:
      patient: of each observation, sorted.
      most: how many pairs at most.
    """
    m = len(patient)
    start, end = (np.searchsorted(patient, patient, side) for side in ("left", "right"))
    others = m - (end - start)
    total = int(others.sum())  # of ordered pairs, numbered in the order of their first observation
    few = total <= 8 * most
    number = np.arange(total) if few else np.random.default_rng(_SEED).integers(0, total, 3 * most)
    ends = np.cumsum(others)
    a = np.searchsorted(ends, number, "right")
    b = number - (ends[a] - others[a])
    b = np.where(b < start[a], b, b + (end - start)[a])  # skips the patient's own observations
    code = np.unique(np.minimum(a, b) * m + np.maximum(a, b))
    code = code[draw(len(code), most)]
    return code // m, code % m


def draw(n: int, most: int) -> Int[np.ndarray, " k"]:
    """Ascending indices of ``most`` of ``n`` items, drawn with a fixed seed; of all ``n`` if these are no more."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(_SEED).choice(n, most, replace=False))


def describe_no_pairs(observations: Observations, mode: str = "visits") -> str:
    """Why there are no fine pairs: ``no fine pairs: 5 patients, 1 visit each``."""
    if len(observations) == 0:
        return "no fine pairs: no patients"
    patients = len(np.unique(observations.patient))
    if mode == "scans":
        group, noun, where = np.stack([observations.patient, observations.visit]), "scan", " per visit"
    else:
        group, noun, where = observations.patient[None], "visit", " each" if patients > 1 else ""
    counts = np.unique(group, axis=1, return_counts=True)[1]
    low, high = counts.min(), counts.max()
    span = plural(high, noun) if low == high else f"{low}–{plural(high, noun)}"
    sentence = f"no fine pairs: {plural(patients, 'patient')}, {span}{where}"
    labeled = int(observations.labeled.sum())
    return sentence if labeled == len(observations) else f"{sentence}, {labeled} of {len(observations)} labeled"


def canonical_order(observations: Observations) -> np.ndarray:
    """Indices that sort by patient, visit, time and first row."""
    first_row = np.array([rows[0] for rows in observations.rows], np.int64)
    return np.lexsort((first_row, observations.time_days, observations.visit, observations.patient))


def group_starts(*keys: Int[np.ndarray, " m"]) -> Int[np.ndarray, " g"]:
    """The first index of each run of entries that are equal in all keys."""
    changed = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    return np.flatnonzero(np.append(True, changed))


def group_means(
    values: Num[np.ndarray, " m *d"], starts: Int[np.ndarray, " g"]
) -> tuple[Float64[np.ndarray, " g *d"], Int[np.ndarray, " g"]]:
    """Means and sizes of the groups that begin at ``starts``, summed in float64 a block of groups at a time."""
    ends = np.append(starts[1:], len(values))
    sums, sizes = np.empty((len(starts), *values.shape[1:])), ends - starts
    for at in blocks(len(starts)):
        own = slice(starts[at][0], ends[at][-1])
        sums[at] = np.add.reduceat(values[own].astype(np.float64), starts[at] - own.start, axis=0)
    sums /= sizes.reshape(-1, *[1] * (values.ndim - 1))
    return sums, sizes
