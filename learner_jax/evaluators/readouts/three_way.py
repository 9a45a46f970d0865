"""What the three-way classifiers of the difference of two embeddings share.

They are fitted to every pair in both orders, and swap their logits when the visits are swapped, to the bit.
"""

import numpy as np
from jaxtyping import Float, Int

from learner_jax.evaluators.blockwise import over_pairs
from learner_jax.evaluators.change import true_change
from learner_jax.evaluators.pairs import Observations, draw, fine_pairs
from learner_jax.evaluators.readouts.api import Compared, Context
from learner_jax.evaluators.readouts.checks import check_change_threshold, labeled
from learner_jax.evaluators.readouts.decision import softmax
from learner_jax.evaluators.readouts.training_pairs import TrainingPairs, training_pairs

MOST_VAL = 16_384  # validation pairs that a penalty or step is chosen by


class ThreeWay:
    """Base of models with logits: the delta is a lean instead of a difference of scores."""

    def scores(self, u: Float[np.ndarray, "n d"]) -> None:
        """None: the model only compares pairs."""
        return None

    def compare(
        self, u: Float[np.ndarray, "n d"], first: Int[np.ndarray, " k"], second: Int[np.ndarray, " k"]
    ) -> Compared:
        """Logits, and as delta the lean ``P(increase) - P(decrease)`` between -1 and 1."""
        logits = over_pairs(self.logits, u, first, second)
        probability = softmax(logits)
        return Compared(probability[:, 2] - probability[:, 0], logits)


def pairs_to_fit(name: str, train: Observations, context: Context) -> TrainingPairs | str:
    """The pairs to fit a read-out to, or one sentence that says why there are none."""
    known = labeled(train, context.score_name)
    threshold = check_change_threshold(context.config.change_threshold, context.score_name)
    pairs = training_pairs(known, context.config.pairs, threshold)
    return f"{name}: {pairs}" if isinstance(pairs, str) else pairs


def pairs_to_judge(val: Observations, context: Context) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``first``, ``second`` and change of the validation pairs that a penalty or step is chosen by."""
    pairs = fine_pairs(val, context.config.pairs, context.config.order)
    chosen = draw(len(pairs), MOST_VAL)
    first, second = pairs.first[chosen], pairs.second[chosen]
    return first, second, true_change(val.score[first], val.score[second], context.config.change_threshold)
