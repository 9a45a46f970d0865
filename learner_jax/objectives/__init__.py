"""What is minimised in pretraining. ``list_objectives()`` names them, ``create(config, mesh)`` makes one."""

from learner_jax.objectives import learner as _learner  # noqa: F401  registers its objectives
from learner_jax.objectives import regression as _regression  # noqa: F401
from learner_jax.objectives.api import Objective, create, list_objectives

__all__ = ["Objective", "create", "list_objectives"]
