"""Which rows of the cohort make up the batch of a step: ``rows(seed, step)``, pure and the same on every host."""

from learner_jax.data.samplers import groups, pairs, patients, shuffled, sites, views  # noqa: F401  to register them
from learner_jax.data.samplers.api import Sampler, create, list_samplers

__all__ = ["Sampler", "create", "list_samplers"]
