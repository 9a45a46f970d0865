"""TrainState: everything a step changes, and the numbers in which runs that share a compiled program may differ."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from learner_jax import programs
from learner_jax.backbones import Backbone
from learner_jax.backbones.api import Variables
from learner_jax.batch import BatchSpec
from learner_jax.objectives import Objective
from learner_jax.placement import places
from learner_jax.trail import START


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """State after ``step`` updates. Leaves are arrays, or what JAX puts in their place, such as shapes or shardings."""

    step: Any  # i32 []
    params: dict[str, Any]  # {"backbone": …, "objective": …}
    average: dict[str, Any]  # moving average of params; {} without config.optim.average
    stats: dict[str, Any]  # batch statistics of the backbone
    optimizer: Any  # state of the optax optimizer
    objective: dict[str, Any]  # state of the objective: queues and the like
    skipped: Any  # i32 []: steps without effect, as their loss or gradient was not finite
    trail: Any  # u32 []: identifies the rows seen so far, see learner_jax/trail.py
    seed: Any  # u32 []: of all random numbers that a step draws
    learning_rate: Any  # f32 []: at the peak of the schedule

    @property
    def scored(self) -> dict[str, Any]:
        """The parameters that scoring, prediction and export use."""
        return self.average or self.params


def init_state(
    seed: int,
    learning_rate: float,
    backbone: Backbone,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    spec: BatchSpec,
    mesh: Mesh,
    start: Variables | None = None,
    averaged: bool = False,
) -> TrainState:
    """Initial state, created in place on the devices of the mesh.

    The backbone's weights depend on ``seed`` alone, so runs with different objectives start from the same encoder (and
    share its compiled program).

    Args:
      seed: of the initial weights, and kept for the steps.
      learning_rate: at the peak of the schedule.
      backbone: what encodes scans.
      objective: whose heads and state are initialised too.
      optimizer: likewise.
      spec: shape of the global batch.
      mesh: devices on which the state lives.
      start: variables of the backbone to use instead of fresh ones.
      averaged: whether to keep a moving average of the parameters.
    """
    key = jax.random.key(seed)
    if start is None:
        start = fresh(backbone, spec, mesh)(jax.random.fold_in(key, 0))
    build = _state_from(backbone, objective, optimizer, spec, mesh, averaged)
    return build((start, key, jnp.asarray(seed, jnp.uint32), jnp.asarray(learning_rate, jnp.float32)))


@functools.lru_cache(maxsize=programs.KEPT)
def fresh(backbone: Backbone, spec: BatchSpec, mesh: Mesh) -> Callable[[jax.Array], Variables]:
    """The program ``key -> variables`` of an untrained backbone, which creates them on the devices of the mesh."""
    return _created_in_place(functools.partial(backbone.init, spec=spec), mesh, jax.random.key(0))


@functools.lru_cache(maxsize=programs.KEPT)
def _state_from(
    backbone: Backbone,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    spec: BatchSpec,
    mesh: Mesh,
    averaged: bool,
) -> Callable[[tuple[Variables, jax.Array, jax.Array, jax.Array]], TrainState]:
    """The program ``(variables, key, seed, learning rate) -> state``."""

    def build(given: tuple[Variables, jax.Array, jax.Array, jax.Array]) -> TrainState:
        variables, key, seed, learning_rate = given
        heads, queue = objective.init(jax.random.fold_in(key, 1), backbone.dim)
        params = {"backbone": variables["params"], "objective": heads}
        zero = jnp.zeros((), jnp.int32)
        return TrainState(
            step=zero,
            params=params,
            average=jax.tree.map(jnp.copy, params) if averaged else {},
            stats=variables["stats"],
            optimizer=optimizer.init(params),
            objective=queue,
            skipped=zero,
            trail=jnp.asarray(START, jnp.uint32),
            seed=seed,
            learning_rate=learning_rate,
        )

    start = jax.eval_shape(fresh(backbone, spec, mesh), jax.random.key(0))
    return _created_in_place(build, mesh, (start, jax.random.key(0), jnp.uint32(0), jnp.float32(0)))


def _created_in_place(build: Callable[[Any], Any], mesh: Mesh, of: Any) -> Callable[[Any], Any]:
    return jax.jit(build, out_shardings=places(jax.eval_shape(build, of), mesh))
