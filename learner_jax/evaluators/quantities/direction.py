"""Direction of change: does the predicted difference separate pairs that rose from pairs that fell?"""

import jax

from learner_jax.evaluators.predictions import Predictions
from learner_jax.evaluators.quantities.api import Family, Prepared, Quantity, contributing
from learner_jax.evaluators.ranks import auroc, auroc_data
from learner_jax.evaluators.statistics.bootstrap import Counts

QUANTITIES = {
    "direction_auroc": Quantity(
        "direction AUROC", 0.5, "undefined: no pair rises, or none falls, by more than the threshold", scale_free=True
    )
}


def prepare(predictions: Predictions, width: int) -> Prepared | None:
    """Changed pairs in the order of their predicted differences; None without pairs."""
    truth = predictions.truth
    if len(truth) == 0:
        return None
    changed = (truth.change != 0) & truth.scored
    data = auroc_data(predictions.delta[changed], truth.change[changed] > 0, truth.patient[changed], width - 1)
    return Prepared(data, {"direction_auroc": contributing(truth.patient, changed)})


def statistic(data: dict, counts: Counts) -> dict[str, jax.Array]:
    """AUROC of the predicted difference: pairs whose score rose beyond the threshold against pairs whose score fell."""
    return {"direction_auroc": auroc(data, counts)}


FAMILY = Family(QUANTITIES, prepare, statistic)
