"""A sweep file -> datasets -> runs -> a choice on validation patients -> test scores -> a board."""

from learner_jax.sweep.plan import Budget, Study, Sweep, grid, load

__all__ = ["Budget", "Study", "Sweep", "grid", "load"]
