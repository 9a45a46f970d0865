"""One update: (state, batch) -> (state, metrics). A pure function: tests call it directly, training compiles it."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from learner_jax.augment import Augmentation
from learner_jax.augment.api import on_each_device
from learner_jax.backbones import Backbone
from learner_jax.backbones.layers.rows import rows_over
from learner_jax.batch import Batch
from learner_jax.config import Config
from learner_jax.encoder import copies, encode, encode_in_chunks
from learner_jax.mesh import everywhere
from learner_jax.objectives import Objective
from learner_jax.objectives.api import Metrics
from learner_jax.objectives.heads import project
from learner_jax.optim import hold, moving_average
from learner_jax.placement import places
from learner_jax.state import TrainState
from learner_jax.trail import follow


@dataclasses.dataclass(frozen=True, eq=False)
class Recipe:
    """The parts of a step that do not change during a run; steps with the same recipe share a program."""

    config: Config
    backbone: Backbone
    objective: Objective
    optimizer: optax.GradientTransformation
    augmentation: Augmentation
    mesh: Mesh


def train_step(recipe: Recipe, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """One update of the parameters.

    If the loss or the gradient is not finite, only the step number, the count of skipped steps and the trail change.

    Args:
      recipe: config, backbone, objective, optimizer, augmentation and mesh.
      state: donated when jitted.
      batch: the global batch, scans as stored.

    Returns:
      The new state, and scalar metrics: ``loss``, ``gradient_norm``, ``skipped`` and those of the objective, all f32;
      and ``trail``, u32, which identifies the rows seen so far.
    """
    config = recipe.config
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(state.seed), 2), state.step)
    trail = follow(state.trail, batch.row, batch.mask)
    batch, draw = copies(batch, recipe.objective.n_augmentations, recipe.mesh)
    progress = state.step / config.steps

    augmentation = on_each_device(recipe.augmentation, recipe.mesh)

    def encode_rows(variables, rows):
        return encode(config, recipe.backbone, augmentation, variables, *rows, key)

    def embed(params):
        with rows_over(recipe.mesh):
            if size := config.train.grad_cache_chunk:
                return encode_in_chunks(encode_rows, params, state.stats, (batch, draw), size, recipe.mesh)
            return encode_rows({"params": params, "stats": state.stats}, (batch, draw))

    def loss_of(params):
        params = hold(params, config.optim.freeze)
        backbone = jax.tree.map(lambda leaf: leaf.astype(config.train.compute), params["backbone"])
        # Without this, XLA gathers the parameters again in the backward pass, or shards products like their parameters
        # and exchanges activations: VideoMAE-B then sends 1,150 MB over the links of each of 16 TPUs instead of 519
        # (by libtpu's account, November 2026).
        backbone, heads = everywhere((backbone, params["objective"]), recipe.mesh)
        u, stats = embed(backbone)
        z = project(heads, u)
        loss, metrics, objective = recipe.objective.loss(
            heads, state.objective, z, u, batch, jax.random.fold_in(key, 1), progress
        )
        return loss, (metrics, stats, objective)

    (loss, (metrics, stats, objective)), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    gradients = jax.lax.with_sharding_constraint(gradients, places(gradients, recipe.mesh))
    norm = optax.tree.norm(gradients)
    updates, optimizer = recipe.optimizer.update(gradients, state.optimizer, state.params)
    params = optax.apply_updates(state.params, optax.tree.scale(state.learning_rate, updates))

    finite = jnp.isfinite(loss) & jnp.isfinite(norm)
    average = state.average
    if average:
        average = moving_average(config.optim, average, params, state.step + 1 - state.skipped)
    new = (params, average, stats, optimizer, objective)
    old = (state.params, state.average, state.stats, state.optimizer, state.objective)
    params, average, stats, optimizer, objective = jax.tree.map(partial(jnp.where, finite), new, old)
    skipped = state.skipped + ~finite
    state = TrainState(
        step=state.step + 1,
        params=params,
        average=average,
        stats=stats,
        optimizer=optimizer,
        objective=objective,
        skipped=skipped,
        trail=trail,
        seed=state.seed,
        learning_rate=state.learning_rate,
    )
    state = jax.lax.with_sharding_constraint(state, places(state, recipe.mesh))
    own = {"loss": loss, "gradient_norm": norm, "skipped": state.skipped.astype(jnp.float32), "trail": trail}
    return state, metrics | own
