"""Runs on the same patients: the mean over seeds, and whether two arms differ.

An arm is one run, or several that differ only in their seed. Intervals are over patients and conditional on the trained
models; the SD over seeds says how much training again would change.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from learner_jax.config import EvalConfig
from learner_jax.evaluators.predictions import Predictions, Truth
from learner_jax.evaluators.quantities import FAMILIES, QUANTITIES, coarse
from learner_jax.evaluators.rows import Row
from learner_jax.evaluators.scoring import SEED, Estimate, draws, estimate, mean_of
from learner_jax.evaluators.statistics.bootstrap import Replicates, Resampling, padded
from learner_jax.evaluators.statistics.multiple import holm
from learner_jax.evaluators.subsets import estimate_with_late
from tfds_builders.errors import InputError

_ROUNDING = 1e-5  # of a figure in float32: exchanges that are equal up to it are ties, and ties count
_EXACT = 10  # patients up to which all 2^p exchanges are tried


@dataclasses.dataclass(frozen=True)
class Difference:
    """How one quantity differs between two arms; interval and p are conditional on the trained models.

    Attributes:
      row: the difference, first - second, with its interval over patients.
      first: value of the first arm.
      second: value of the second.
      sd_over_seeds: SD of the differences between runs of the same seed; None with fewer than two seeds in common.
      p: of the permutation test of :func:`differences`.
      p_holm: ``p`` adjusted over all differences of one table.
    """

    row: Row
    first: float
    second: float
    sd_over_seeds: float | None
    p: float
    p_holm: float


@dataclasses.dataclass(frozen=True)
class Averaged:
    """An arm, averaged over its runs.

    Attributes:
      predictions: of each run, in the order of their seeds.
      estimates: the mean of each quantity over the runs, in the value and in every draw of patients.
      spread: SD of each quantity over the runs, by name and label, over n - 1; empty for an arm of one run.
      seeds: of each run.
    """

    predictions: Sequence[Predictions]
    estimates: list[Estimate]
    spread: dict[tuple[str, str], float]
    seeds: Sequence[int]


def over_seeds(arm: Sequence[Predictions], config: EvalConfig, seeds: Sequence[int] = ()) -> Averaged:
    """Average each quantity, also those of late visits alone, over the runs of an arm.

    A patient is drawn with its predictions of all seeds, so seeds do not count as patients.

    Args:
      arm: predictions of each run.
      config: ``bootstrap`` and ``late_from_days``.
      seeds: of each run; empty: 0, 1, 2 and so on.

    Raises:
      InputError: the runs were not scored on the same pairs of the same patients.
    """
    for other in arm[1:]:
        check_same(arm[0].truth, other.truth)
    resampling = draws(arm[0].truth.n_patients, config)
    runs = [estimate_with_late(predictions, resampling, config) for predictions in arm]
    values: dict[tuple[str, str], list[float]] = {}
    for one in (one for run in runs for one in run):
        values.setdefault((one.name, one.at), []).append(one.replicates.value)
    whole = {key: x for key, x in values.items() if len(x) == len(runs) > 1 and np.isfinite(x).all()}
    spread = {key: float(np.std(x, ddof=1)) for key, x in whole.items()}
    return Averaged(arm, mean_of(runs), spread, seeds or range(len(arm)))


def differences(first: Averaged, second: Averaged, names: Sequence[str], config: EvalConfig) -> list[Difference]:
    """Whether two arms differ on the same patients.

    The interval is that of the bootstrap over patients, for the difference between the two means over seeds. The
    p-value is that of a permutation test: if the arms were alike, they could be exchanged in any patient, with all its
    pairs and seeds. ``p = (1 + #{|d*| >= |d|}) / (1 + n)`` over ``config.bootstrap`` random exchanges; with at most 10
    patients, the share among all 2^p exchanges. Good, Permutation, Parametric and Bootstrap Tests of Hypotheses (2005),
    chapter 3. Figures that do not depend on an arm's scale are tested with both arms on one scale (:func:`rescaled`):
    else a mixture of two arms would mostly show the difference of their scales.

    The coarse C-index compares patients of an arm with one another, so exchanging some of p patients needs its sums for
    every two of 2p. These are kept for fewer than 2,048 (above, the C-index is linear in the counts, which is good near
    1, and here the counts are 0 and 1); with more, it is left out.

    Args:
      first, second: the arms; their runs are matched by seed. If one has a seed that the other lacks, p compares every
        run of one with every run of the other, so that it still belongs to the difference of the two means.
      names: quantities; those with several values are left out.
      config: ``bootstrap``, ``interval``, ``confidence``.

    Raises:
      InputError: the arms were not scored on the same pairs of the same patients.
    """
    truth = first.predictions[0].truth
    check_same(truth, second.predictions[0].truth)
    means = [{one.name: one for one in arm.estimates if not one.at} for arm in (first, second)]
    if padded(2 * truth.n_patients + 1) > coarse.MOST_PATIENTS:
        names = [name for name in names if name != "coarse_c_index"]
    matched, n = _matched(first.seeds, second.seeds), [len(arm.predictions) for arm in (first, second)]
    runs = matched if n == [len(matched)] * 2 else itertools.product(*map(range, n))
    exchanged = {(i, j): _exchanged(first.predictions[i], second.predictions[j], names, config) for i, j in runs}
    found = []
    for name in names:
        if any(name not in mean or not np.isfinite(mean[name].replicates.value) for mean in means):
            continue  # an arm lacks it
        a, b = (mean[name] for mean in means)
        apart = _apart(a.replicates, b.replicates)
        row = dataclasses.replace(a, replicates=apart).row(config)
        sd = float(np.std([exchanged[pair][name][0] for pair in matched], ddof=1)) if len(matched) > 1 else None
        size = max(abs(a.replicates.value), abs(b.replicates.value))
        p = _p_value(np.mean([one[name] for one in exchanged.values()], axis=0), size)
        found.append(Difference(row, a.replicates.value, b.replicates.value, sd, p, p))
    adjusted = holm(np.array([one.p for one in found]))
    return [dataclasses.replace(one, p_holm=float(p)) for one, p in zip(found, adjusted, strict=True)]


def check_same(first: Truth, second: Truth) -> None:
    """Refuse to compare what was scored on different patients or pairs.

    Raises:
      InputError: says what differs.
    """
    if first.change_threshold != second.change_threshold:
        raise InputError(
            f"one run was scored with a change threshold of {first.change_threshold:g} and another with "
            f"{second.change_threshold:g}; score both with the same --config.eval.change_threshold=…"
        )
    same = first.n_patients == second.n_patients and len(first) == len(second)
    same = same and np.array_equal(first.observations.score, second.observations.score)
    if not (same and np.array_equal(first.patient, second.patient) and np.array_equal(first.scored, second.scored)):
        raise InputError(
            f"the runs were scored on different pairs ({len(first)} of {first.n_patients} patients, {len(second)} of "
            f"{second.n_patients}); score both on one dataset, split, score and --config.eval.pairs"
        )


def _matched(first: Sequence[int], second: Sequence[int]) -> list[tuple[int, int]]:
    """Positions in ``first`` and ``second`` of runs with equal seeds, each run once."""
    left = {seed: [at for at, other in enumerate(second) if other == seed] for seed in second}
    return [(at, left[seed].pop(0)) for at, seed in enumerate(first) if left.get(seed)]


def _exchanged(a: Predictions, b: Predictions, names: Sequence[str], config: EvalConfig) -> dict[str, np.ndarray]:
    """``a - b`` of each quantity ``[1 + n]``: first as it is, then with a and b exchanged in some of the patients."""
    p = a.truth.n_patients
    if p <= _EXACT:
        swap = (np.arange(2**p)[:, None] >> np.arange(p)) & 1
    else:
        swap = np.random.default_rng(SEED).integers(0, 2, (config.bootstrap + 1, p))
        swap[0] = 0
    width = padded(2 * p + 1)
    kept = np.zeros((width, len(swap)), np.float32)
    kept[: 2 * p] = np.concatenate([1 - swap, swap], axis=1).T
    other = np.zeros_like(kept)
    other[: 2 * p] = np.concatenate([swap, 1 - swap], axis=1).T
    free = {name for name in names if QUANTITIES[name].scale_free}
    apart = {}
    for joint, wanted in ((join(a, b), set(names) - free), (join(a, rescaled(b, a)), free)):
        families = [family for family, of in FAMILIES.items() if wanted & set(of.quantities)]
        sides = []
        for counts in (kept, other):
            resampling = Resampling(2 * p, jnp.asarray(counts), len(swap) - 1)
            found = estimate(joint, resampling, families)
            sides.append({f.name: np.append(f.replicates.value, f.replicates.drawn) for f in found if not f.at})
        apart |= {name: sides[0][name] - sides[1][name] for name in sides[0] if name in wanted}
    return apart


def rescaled(b: Predictions, a: Predictions) -> Predictions:
    """``b`` on the scale of ``a``: divided by the median of how many times larger it is, pair by pair.

    What most pairs have in common stays equal to the bit. Scores are also moved so that their median difference is 0.
    """
    times = _times(b.delta, a.delta)
    scores, distance = b.scores, b.distance
    if scores is not None and a.scores is not None:
        scores = scores / times
        scores = scores - np.median(scores - a.scores)
    if distance is not None and a.distance is not None:
        distance = distance / _times(distance, a.distance)
    return dataclasses.replace(b, delta=b.delta / times, scores=scores, distance=distance)


def _times(b: np.ndarray, a: np.ndarray) -> float:
    both = (a != 0) & (b != 0)
    return float(np.exp(np.median(np.log(np.abs(b[both] / a[both]))))) if both.any() else 1.0


def join(a: Predictions, b: Predictions) -> Predictions:
    """One set of predictions with every patient twice: as patient i in ``a`` and as patient p + i in ``b``."""
    truth, p, m = a.truth, a.truth.n_patients, len(a.truth.patient_of)
    twice = np.concatenate([np.arange(m), np.arange(m)])

    def both(x: np.ndarray, shift: int = 0) -> np.ndarray:
        return np.concatenate([x, x + shift if shift else x])

    joint = dataclasses.replace(
        truth,
        # distances belong to the predictions; embeddings of two arms must not be compared
        observations=dataclasses.replace(truth.observations.take(twice), u=np.zeros((2 * m, 0), np.float32)),
        patients=both(truth.patients),
        patient_of=both(truth.patient_of, p),
        patient=both(truth.patient, p),
        group_size=both(truth.group_size),
        first=both(truth.first, m),
        second=both(truth.second, m),
        delta=both(truth.delta),
        change=both(truth.change),
        scored=both(truth.scored),
    )
    fields = {}
    for name in ("delta", "change", "probability", "scores", "distance", "swapped", "with_itself"):
        x, y = getattr(a, name), getattr(b, name)
        fields[name] = None if x is None or y is None else np.concatenate([x, y])
    return Predictions(joint, in_score_units=a.in_score_units and b.in_score_units, **fields)


def _p_value(apart: np.ndarray, size: float) -> float:
    known = np.abs(apart[~np.isnan(apart)])
    rounding = _ROUNDING * max(size, known[np.isfinite(known)].max())
    as_large = known[1:] >= known[0] - rounding
    return float((1 + as_large.sum()) / len(known))


def _apart(a: Replicates, b: Replicates) -> Replicates:
    return Replicates(a.value - b.value, a.drawn - b.drawn, a.left_out - b.left_out)
