"""What is minimised in pretraining. ``python -m learner_jax.objectives`` lists all with formula and source."""

from learner_jax.objectives import (  # noqa: F401  importing a module registers its objectives
    adacon,
    conr,
    identity,
    kernels,
    learner,
    ordinal,
    pair_heads,
    rank_n_contrast,
    ranksim,
    regression,
    siamese,
    simclr,
)
from learner_jax.objectives.api import Objective
from learner_jax.objectives.sums import create, list_objectives

__all__ = ["Objective", "create", "list_objectives"]
