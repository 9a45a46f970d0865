"""TrainState: everything that a step changes, and the numbers in which runs may differ that share a program."""

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
    """State after ``step`` updates. Leaves are arrays, or what JAX puts in their place: shapes, shardings."""

    step: Any  # i32 []
    params: dict[str, Any]  # {"backbone": …, "objective": …}
    average: dict[str, Any]  # moving average of params; {} without config.optim.average
    stats: dict[str, Any]  # batch statistics of the backbone
    optimizer: Any  # state of the optax optimizer
    objective: dict[str, Any]  # state of the objective: queues and the like
    skipped: Any  # i32 []: steps whose loss or gradient was not finite and which changed nothing
    trail: Any  # u32 []: tells which rows were seen, see learner_jax/trail.py
    seed: Any  # u32 []: of what a step draws
    learning_rate: Any  # f32 []: at the height of the schedule

    @property
    def scored(self) -> dict[str, Any]:
        """The parameters that scoring and whatever comes after training take."""
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
    """Initial state, born on the devices of the mesh.

    The backbone's weights depend on ``seed`` alone, so runs that differ in their objective start from the same encoder
    (and share its compiled program). ``start``, from published weights, takes their place. ``averaged``: a moving
    average of the parameters is kept.
    """
    key, numbers = jax.random.key(seed), (jnp.asarray(seed, jnp.uint32), jnp.asarray(learning_rate, jnp.float32))
    if start is None:
        start = fresh(backbone, spec, mesh)(jax.random.fold_in(key, 0))
    return _rest(backbone, objective, optimizer, spec, mesh, averaged)((start, key, *numbers))


@functools.lru_cache(maxsize=programs.KEPT)
def fresh(backbone: Backbone, spec: BatchSpec, mesh: Mesh) -> Callable[[jax.Array], Variables]:
    """The program ``key -> variables`` of an untrained backbone, born on the devices of the mesh."""
    return _born_in_place(functools.partial(backbone.init, spec=spec), mesh, jax.random.key(0))


@functools.lru_cache(maxsize=programs.KEPT)
def _rest(
    backbone: Backbone,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    spec: BatchSpec,
    mesh: Mesh,
    averaged: bool,
) -> Callable[[tuple[Variables, jax.Array, jax.Array, jax.Array]], TrainState]:
    def build(given: tuple[Variables, jax.Array, jax.Array, jax.Array]) -> TrainState:
        variables, key, *numbers = given
        own, memory = objective.init(jax.random.fold_in(key, 1), backbone.dim)
        params = {"backbone": variables["params"], "objective": own}
        zero = jnp.zeros((), jnp.int32)
        trail = jnp.asarray(START, jnp.uint32)
        average = jax.tree.map(jnp.copy, params) if averaged else {}
        changing = (zero, params, average, variables["stats"], optimizer.init(params), memory, zero, trail)
        return TrainState(*changing, *numbers)

    start = jax.eval_shape(fresh(backbone, spec, mesh), jax.random.key(0))
    return _born_in_place(build, mesh, (start, jax.random.key(0), jnp.uint32(0), jnp.float32(0)))


def _born_in_place(build: Callable[[Any], Any], mesh: Mesh, of: Any) -> Callable[[Any], Any]:
    return jax.jit(build, out_shardings=places(jax.eval_shape(build, of), mesh))
