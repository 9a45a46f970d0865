"""Do the probabilities of a class rank its pairs above all others?"""

import jax
import jax.numpy as jnp

from learner_jax.evaluators.names import WORDS
from learner_jax.evaluators.predictions import Predictions
from learner_jax.evaluators.quantities.api import Family, Prepared, Quantity, contributing, scored_probabilities
from learner_jax.evaluators.ranks import auroc, auroc_data
from learner_jax.evaluators.statistics.bootstrap import Counts

QUANTITIES = {
    "class_auroc": Quantity("one-vs-rest AUROC", 0.5, "undefined: all pairs, or none, are of this class"),
}


def prepare(predictions: Predictions, width: int) -> Prepared | None:
    """Pairs in the order of each class's probability; None without pairs or probabilities."""
    scored = scored_probabilities(predictions)
    if scored is None:
        return None
    patient, p, true = scored
    data = [auroc_data(p[:, c], true == c, patient, width - 1) for c in range(3)]
    return Prepared(data, {"class_auroc": contributing(patient)}, {"class_auroc": WORDS})


def statistic(data: list, counts: Counts) -> dict[str, jax.Array]:
    """AUROC of each class against the other two."""
    return {"class_auroc": jnp.stack([auroc(one, counts) for one in data])}


FAMILY = Family(QUANTITIES, prepare, statistic)
