"""Restrict what training sees of its patients: fewer patients, one visit of each, scores coarsened to grades.

Then training sees large differences between patients and none within them, the setting in which the paper asks its
question. The draw of patients and visits depends only on their hashes and ``data.draw``, so it is the same for all arms
and seeds.
"""

import hashlib
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from learner_jax.config import DataConfig
from tfds_builders.errors import InputError


def training_rows(
    rows: Int[np.ndarray, " r"],
    config: DataConfig,
    patients: tuple[str, ...],
    patient: Int[np.ndarray, " n"],
    visit: Int[np.ndarray, " n"],
    labeled: np.ndarray,
) -> Int[np.ndarray, " s"]:
    """The rows that training sees, ascending.

    Args:
      rows: cohort rows of the training part.
      config: ``visits_per_patient``, ``train_patients`` and ``draw``.
      patients: keyed hashes.
      patient: index into ``patients`` of each cohort row.
      visit: of each cohort row.
      labeled: bool ``[n]``; patients without a labeled scan are not drawn.

    Raises:
      InputError: fewer labeled training patients than ``train_patients``.
    """

    def lot(what: str, p: int) -> int:
        return int(hashlib.sha256(f"{what} {config.draw} {patients[p]}".encode()).hexdigest(), 16)

    if config.train_patients:
        known = np.unique(patient[rows[labeled[rows]]])
        if len(known) < config.train_patients:
            raise InputError(
                f"config.data.train_patients is {config.train_patients}, but only {len(known)} training patients carry "
                f"the score {config.score!r}. Set --config.data.train_patients={len(known)} or fewer, or 0 for all"
            )
        drawn = sorted(known.tolist(), key=lambda p: lot("patient", p))[: config.train_patients]
        rows = rows[np.isin(patient[rows], drawn)]
    if config.visits_per_patient == "one":
        rows = _one_visit(rows, patient, visit, labeled, lambda p: lot("visit", p))
    return rows


def in_grades(
    score: Float[np.ndarray, " n"], cuts: str, seen: Int[np.ndarray, " s"], rows: Int[np.ndarray, " r"]
) -> Float[np.ndarray, " n"]:
    """The scores, in score units, with those of training patients replaced by the mean score of their grade.

    Args:
      score: NaN where unlabeled.
      cuts: ascending numbers, comma-separated; a score equal to a cut is in the grade above it.
      seen: rows that training sees; the means are over these.
      rows: of all training patients. Those of other parts keep their scores.

    Raises:
      InputError: ``cuts`` are not ascending numbers.
    """
    try:
        # in the scores' own precision: a cut of 0.7 in float64 would lie above a score of 0.7 in float32
        edges = np.array([float(cut) for cut in cuts.split(",")], score.dtype)
    except ValueError:
        edges = np.array([np.nan])
    if not (np.isfinite(edges).all() and (np.diff(edges) > 0).all()):
        raise InputError(
            f"config.data.score_cuts is {cuts!r}; it takes ascending numbers with commas between, such as "
            "--config.data.score_cuts=190,315"
        )
    score, grade = score.copy(), np.digitize(score, edges)
    for g in np.unique(grade[rows]):
        known = score[seen[(grade[seen] == g) & np.isfinite(score[seen])]]
        mine = rows[(grade[rows] == g) & np.isfinite(score[rows])]
        score[mine] = known.astype(np.float64).mean() if known.size else np.nan  # NaN: training never sees this grade
    return score


def _one_visit(
    rows: np.ndarray, patient: np.ndarray, visit: np.ndarray, labeled: np.ndarray, lot: Callable[[int], int]
) -> np.ndarray:
    """Rows of one visit of each patient, a labeled visit if there is one."""
    by_patient = rows[np.argsort(patient[rows], kind="stable")]
    patients, starts = np.unique(patient[by_patient], return_index=True)
    keep = [rows[:0]]
    parts = np.split(by_patient, starts[1:])  # one part if there are no rows
    for p, mine in zip(patients.tolist(), parts, strict=False):
        visits = np.unique(visit[mine[labeled[mine]] if labeled[mine].any() else mine])
        keep.append(mine[visit[mine] == visits[lot(p) % len(visits)]])
    return np.sort(np.concatenate(keep))
