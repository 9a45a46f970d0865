"""One update: batch in, better state out. Pure, so a test calls it as it is and a pod runs it under jit."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import optax

from learner_jax.augment import Augmentation
from learner_jax.backbones import Backbone
from learner_jax.batch import Batch
from learner_jax.config import Config
from learner_jax.objectives import Objective
from learner_jax.objectives.api import Metrics, project
from learner_jax.preprocess import intensity, normalise
from learner_jax.state import TrainState


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The parts of a step that do not change."""

    config: Config
    backbone: Backbone
    objective: Objective
    optimizer: optax.GradientTransformation
    augmentation: Augmentation


def train_step(recipe: Recipe, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """One update of the parameters.

    A step whose loss or gradient is not finite changes nothing but its number and the count of skipped steps.

    Args:
      recipe: config, backbone, objective, optimizer and augmentation.
      state: donated when jitted.
      batch: the global batch, as stored.

    Returns:
      The new state and scalars f32: ``loss``, ``gradient_norm``, ``skipped`` and what the objective reports.
    """
    config = recipe.config
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(config.seed), 2), state.step)
    scan = recipe.augmentation(intensity(batch), batch.row, batch.view, jax.random.fold_in(key, 2))
    scan = normalise(scan, config.data)

    def loss_of(params):
        variables = {"params": params["backbone"], "stats": state.stats}
        u, stats = recipe.backbone.apply(variables, scan, batch.mask, train=True, rng=jax.random.fold_in(key, 0))
        z = project(params["objective"], u)
        loss, metrics, memory = recipe.objective.loss(
            params["objective"], state.objective, z, u, batch, jax.random.fold_in(key, 1)
        )
        return loss, (metrics, stats, memory)

    (loss, (metrics, stats, memory)), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    norm = optax.tree.norm(gradients)
    updates, optimizer = recipe.optimizer.update(gradients, state.optimizer, state.params)
    params = optax.apply_updates(state.params, updates)

    fine = jnp.isfinite(loss) & jnp.isfinite(norm)
    old = (state.params, state.stats, state.optimizer, state.objective)
    new = jax.tree.map(partial(jnp.where, fine), (params, stats, optimizer, memory), old)
    state = TrainState(state.step + 1, *new, skipped=state.skipped + ~fine)
    return state, metrics | {"loss": loss, "gradient_norm": norm, "skipped": state.skipped.astype(jnp.float32)}
