"""The train step as a compiled program, shared by the runs of a process that need the same one."""

import functools
from collections.abc import Callable

import jax

from learner_jax import programs
from learner_jax.backbones.layers.platform import compiler_options
from learner_jax.batch import Batch
from learner_jax.distributed import meet
from learner_jax.objectives.api import Metrics
from learner_jax.state import TrainState
from learner_jax.step import Recipe, train_step


def compiled(
    recipe: Recipe, state: TrainState, batch: Batch
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """The step for arrays like these, or for their shapes; returns once every process has compiled it.

    The first collective on a CPU waits only 30 s for the other processes, but their compile times can differ by far
    more: only the first process writes JAX's compilation cache, and the others may not share its folder.
    """
    leaves, tree = jax.tree.flatten((state, batch))
    program = _program(recipe, tree, tuple((leaf.shape, leaf.dtype, leaf.sharding) for leaf in leaves))
    meet("compiled", seconds=3600)
    return program


@functools.lru_cache(maxsize=programs.KEPT)
def _program(recipe: Recipe, tree: jax.tree_util.PyTreeDef, leaves: tuple) -> jax.stages.Compiled:
    shapes = tree.unflatten(jax.ShapeDtypeStruct(shape, dtype, sharding=place) for shape, dtype, place in leaves)
    update = jax.jit(functools.partial(train_step, recipe), donate_argnums=0)
    return update.lower(*shapes).compile(compiler_options())
