"""The quantities that are scored, one family per file. A new family is a file and a line in ``FAMILIES``."""

from learner_jax.evaluators.quantities import (
    amount,
    class_auroc,
    coarse,
    controls,
    direction,
    embedding,
    order,
    probability,
    psychometric,
    three_way,
)
from learner_jax.evaluators.quantities.api import Family, Prepared, Quantity

FAMILIES: dict[str, Family] = {
    "order": order.FAMILY,
    "direction": direction.FAMILY,
    "psychometric": psychometric.FAMILY,
    "three_way": three_way.FAMILY,
    "probability": probability.FAMILY,
    "class_auroc": class_auroc.FAMILY,
    "amount": amount.FAMILY,
    "coarse": coarse.FAMILY,
    "controls": controls.FAMILY,
    "embedding": embedding.FAMILY,
}
QUANTITIES: dict[str, Quantity] = {name: q for family in FAMILIES.values() for name, q in family.quantities.items()}

__all__ = ["FAMILIES", "QUANTITIES", "Family", "Prepared", "Quantity"]
