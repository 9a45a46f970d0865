"""The truth about the fine pairs of some patients and a read-out's predictions of them: all that scoring looks at."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int32

from learner_jax.evaluators import change
from learner_jax.evaluators.pairs import Observations, fine_pairs, group_starts
from learner_jax.evaluators.readouts.api import Readout


@dataclasses.dataclass(frozen=True)
class Truth:
    """The ``m`` labeled observations of ``p`` patients and all their ``k`` fine pairs, earlier -> later.

    Both are in canonical order, in whichever order the observations came. Patients are numbered 0 … p - 1.
    """

    observations: Observations  # sorted, only labeled ones
    patients: Int[np.ndarray, " p"]  # their indices in the cohort
    patient_of: Int32[np.ndarray, " m"]
    first: Int[np.ndarray, " k"]  # these two index the observations
    second: Int[np.ndarray, " k"]
    patient: Int32[np.ndarray, " k"]
    group_size: Int32[np.ndarray, " k"]  # observations of the pair's patient; in mode scans, of its visit
    delta: Float64[np.ndarray, " k"]  # score of the second - score of the first, score units
    change: Int32[np.ndarray, " k"]  # -1, 0, 1
    scored: Bool[np.ndarray, " k"]  # all; only neighbouring visits where eval.order is consecutive
    change_threshold: float
    mode: str

    @classmethod
    def of(cls, observations: Observations, mode: str, order: str, change_threshold: float) -> "Truth":
        """The truth about these observations, labeled or not; ``mode`` and ``order`` as in :func:`pairs.fine_pairs`."""
        known = observations.sorted().labeled_only()
        pairs = fine_pairs(known, mode, "all")
        patients, patient_of = np.unique(known.patient, return_inverse=True)
        score = known.score.astype(np.float64)
        keys = (known.patient, known.visit) if mode == "scans" else (known.patient,)
        sizes = np.diff(np.append(group_starts(*keys), len(known)))
        scored = np.ones(len(pairs), bool)
        if order == "consecutive" and mode == "visits":
            scored = pairs.second == pairs.first + 1
        return cls(
            observations=known,
            patients=patients,
            patient_of=patient_of.astype(np.int32),
            first=pairs.first,
            second=pairs.second,
            patient=patient_of[pairs.first].astype(np.int32),
            group_size=np.repeat(sizes, sizes)[pairs.first].astype(np.int32),
            delta=score[pairs.second] - score[pairs.first],
            change=change.true_change(known.score[pairs.first], known.score[pairs.second], change_threshold),
            scored=scored,
            change_threshold=change_threshold,
            mode=mode,
        )

    def __len__(self) -> int:
        return len(self.patient)

    @property
    def n_patients(self) -> int:
        return len(self.patients)

    def days(self) -> Float64[np.ndarray, " k"]:
        """Days from the first to the second observation of each pair."""
        time = self.observations.time_days.astype(np.float64)
        return time[self.second] - time[self.first]


@dataclasses.dataclass(frozen=True)
class Predictions:
    """What one read-out predicts for the pairs of a truth.

    ``delta`` is a predicted difference of scores if ``in_score_units``; otherwise only its sign and rank mean anything.
    """

    truth: Truth
    delta: Float64[np.ndarray, " k"]
    change: Int32[np.ndarray, " k"]
    probability: Float64[np.ndarray, "k 3"] | None = None  # of the classes -1, 0, 1
    scores: Float64[np.ndarray, " m"] | None = None  # predicted score of each observation
    in_score_units: bool = True
    distance: Float[np.ndarray, " k"] | None = None  # cosine distance of the two embeddings
    swapped: Int32[np.ndarray, " k"] | None = None  # class of each pair with its observations swapped
    with_itself: Int32[np.ndarray, " m"] | None = None  # class of each observation against itself


def predict(readout: Readout, truth: Truth, distance: np.ndarray | None = None) -> Predictions:
    """Predictions of a fitted read-out for the pairs of a truth, also swapped, and for observations with themselves.

    Args:
      readout: that predicts.
      truth: with embeddings.
      distance: cosine distances of the pairs, if they are known.

    Raises:
      InputError: the width of the embeddings is not the read-out's.
    """
    k, itself = len(truth), np.arange(len(truth.patient_of))
    first, second = (
        np.concatenate([one, other, itself])
        for one, other in ((truth.first, truth.second), (truth.second, truth.first))
    )
    compared, decision = readout.compare(truth.observations.u, first, second), readout.decision
    change = decision.change(compared.delta, compared.logits)
    delta, logits = compared.delta[:k], None if compared.logits is None else compared.logits[:k]
    return Predictions(
        truth,
        delta,
        change[:k],
        decision.probability(delta, logits),
        compared.scores,
        readout.model.in_score_units,
        distance,
        swapped=change[k : 2 * k],
        with_itself=change[2 * k :],
    )
