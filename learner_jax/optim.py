"""Config -> optax optimizer with its schedule, and how far it moves which parameters."""

import dataclasses
import fnmatch
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax.traverse_util import flatten_dict

from learner_jax.config import OptimConfig
from learner_jax.pytree import path_text
from tfds_builders.errors import InputError

_BACKBONE = "backbone/"  # prefix of a backbone's parameters among those of a whole state


def schedule(config: OptimConfig, steps: int) -> optax.Schedule:
    """Learning rate by step: linear warm-up over the first ``warmup`` fraction, then cosine to 0, or constant."""
    warm = round(config.warmup * steps)
    rise = optax.linear_schedule(0.0, config.learning_rate, max(warm, 1))
    if config.schedule == "cosine":
        after = optax.cosine_decay_schedule(config.learning_rate, max(steps - warm, 1))
    else:
        after = optax.constant_schedule(config.learning_rate)
    return optax.join_schedules([rise, after], [warm]) if warm else after


def decayed(params: Any) -> Any:
    """True for parameters subject to weight decay: kernels, but no biases, scales, tokens or tables of positions."""
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1] == jax.tree_util.DictKey("kernel"), params)


def make_optimizer(
    config: OptimConfig, steps: int, distances: Mapping[str, int] | None = None
) -> optax.GradientTransformation:
    """AdamW, SGD with Nesterov momentum, or LAMB, after clipping the global gradient norm, at a peak rate of 1.

    The train step multiplies the updates by ``config.learning_rate``. In all three optimizers they are proportional to
    it, weight decay included, so runs with different rates share a program that takes the rate as an input.

    Args:
      config: with ``layer_decay``, a parameter's rate is ``layer_decay ** distance`` times the schedule's; parameters
        that match ``freeze`` are not updated and have no moments.
      steps: of the whole run; with ``accumulate`` = k every k-th is an update, by the mean of k gradients.
      distances: of the backbone's parameters from the embedding, by path; 0 for any that are missing.
    """
    rate = schedule(dataclasses.replace(config, learning_rate=1.0), steps // config.accumulate)
    if config.name == "adamw":
        update = optax.adamw(rate, weight_decay=config.weight_decay, mask=decayed)
    elif config.name == "lamb":
        update = optax.lamb(rate, weight_decay=config.weight_decay, mask=decayed)
    else:
        update = optax.chain(
            optax.add_decayed_weights(config.weight_decay, mask=decayed),
            optax.sgd(rate, momentum=config.momentum, nesterov=True),
        )
    # Chained or not, the tree of the state is the same, so that a run can go on with another value.
    clip = optax.clip_by_global_norm(config.clip_norm) if config.clip_norm else optax.identity()
    update = optax.chain(clip, update)
    if distances and config.layer_decay < 1:
        update = _then(update, _scaled({path: config.layer_decay**n for path, n in distances.items()}))
    if config.freeze:
        parts = {"learns": update, "stays": optax.set_to_zero()}

        def labels(params: Any) -> Any:
            return _by_path(lambda path, _: "stays" if stays(path, config.freeze) else "learns", params)

        update = optax.partition(parts, labels)
    if config.accumulate > 1:
        update = optax.MultiSteps(update, config.accumulate).gradient_transformation()
    return update


def moving_average(config: OptimConfig, average: Any, params: Any, batches: Any) -> Any:
    """The moving average of the parameters after one more batch.

    After the n-th update ``a <- d a + (1 - d) p`` with ``d = min(config.average, (1 + n) / (10 + n))``: a smaller decay
    at first keeps the initial parameters from dominating. As in ``tf.train.ExponentialMovingAverage``.

    Args:
      config: ``average`` is the decay; only every ``accumulate``-th batch is an update.
      average: before the batch.
      params: after it.
      batches: how many had a finite loss and gradient so far, this one included.
    """
    n, rest = jnp.divmod(batches, config.accumulate)
    decay = jnp.minimum(config.average, (1 + n) / (10 + n))
    keep = jnp.where(rest == 0, decay, 1.0)  # between updates the parameters have not moved
    return jax.tree.map(lambda a, p: keep * a + (1 - keep) * p, average, params)


def _then(update: optax.GradientTransformation, stateless: Callable[[Any], Any]) -> optax.GradientTransformation:
    def both(gradients: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        updates, state = update.update(gradients, state, params)
        return stateless(updates), state

    return optax.GradientTransformation(update.init, both)


def _scaled(factors: Mapping[str, float]) -> Callable[[Any], Any]:
    def scale(updates: Any) -> Any:
        return _by_path(lambda path, update: update * factors.get(path.removeprefix(_BACKBONE), 1.0), updates)

    return scale


def hold(params: Any, freeze: str) -> Any:
    """The parameters ``{"backbone": …, "objective": …}``, with the gradient stopped at those that ``freeze`` names."""
    if not freeze:
        return params
    return _by_path(lambda path, leaf: jax.lax.stop_gradient(leaf) if stays(path, freeze) else leaf, params)


def stays(path: str, freeze: str) -> bool:
    """Whether a parameter's path is in the backbone and matches one of the comma-separated patterns."""
    within = path.removeprefix(_BACKBONE)
    return within != path and any(fnmatch.fnmatchcase(within, pattern) for pattern in _patterns(freeze))


def check_freeze(freeze: str, params: Any) -> None:
    """Refuse patterns that match nothing.

    Args:
      freeze: ``config.optim.freeze``.
      params: of the backbone, arrays or shapes.

    Raises:
      InputError: with the parameters that exist.
    """
    paths = list(flatten_dict(params, sep="/"))
    for pattern in _patterns(freeze):
        if not fnmatch.filter(paths, pattern):
            tops = ", ".join(dict.fromkeys(f"{path.partition('/')[0]}/*" for path in paths))
            raise InputError(
                f"config.optim.freeze names {pattern!r}, which no parameter of the backbone fits; there are {tops} "
                f"(one of them: {paths[0]}). Set --config.optim.freeze=…"
            )


def _patterns(freeze: str) -> list[str]:
    return [pattern.strip() for pattern in freeze.split(",") if pattern.strip()]


def _by_path(function: Callable[[str, Any], Any], tree: Any) -> Any:
    return jax.tree_util.tree_map_with_path(lambda path, leaf: function(path_text(path), leaf), tree)
