"""``config.objective`` -> Objective: one part, or a weighted sum of parts that share projection, queue and heads."""

import dataclasses
import zlib
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from learner_jax.config import ObjectiveConfig
from learner_jax.mesh import everywhere
from learner_jax.objectives import queue as queues
from learner_jax.objectives.api import Objective, Projected, over_anchors, projected
from learner_jax.objectives.heads import Params, init_projection
from learner_jax.objectives.health import health
from learner_jax.objectives.identity import centre_patients
from learner_jax.objectives.parts import Part, Shared, parts
from tfds_builders.errors import InputError


def list_objectives() -> list[str]:
    """Names for ``config.objective.name``; several joined by ``+`` are a sum."""
    return parts.list()


def create(config: ObjectiveConfig, mesh: Mesh, n_patients: int) -> Objective:
    """The objective that the config names, for a cohort of ``n_patients``.

    Raises:
      InputError: a name is unknown or named twice, or a part that regularises a regression is without one.
    """
    chosen = _chosen(config.name)
    compares = any(part.pairwise and part.compares == "z" for part in chosen)

    def init(rng: jax.Array, dim: int) -> tuple[Params, Params]:
        key = partial(_key, rng)
        width = config.projection if compares else 0
        params = {"projection": init_projection(key("projection"), dim, width)} if width else {}
        for part in chosen:
            params |= part.init(key(part.name), dim, n_patients, config)
        return params, queues.empty(config.queue, width or dim) if compares and config.queue else {}

    def loss(params, state, z, u, batch, rng, progress):
        u = u.astype(z.dtype)
        rows = {"z": projected(z, batch), "u": projected(u, batch)}
        everyone = everywhere(rows, mesh)
        alive = health(everyone["z"], config.similar)
        if config.centre_patients:
            rows = everyone = {vectors: centre_patients(own) for vectors, own in everyone.items()}
        total, metrics = jnp.zeros((), z.dtype), {}
        for part in chosen:
            if part.pairwise:
                tau = temperature(part, config, progress)
                queue = queues.rows(state) if part.compares == "z" else None
                both = rows[part.compares], everyone[part.compares]
                value, idle = _compare(part, config, params, tau, *both, u, queue, mesh)
            else:
                value, idle = _mean_of(_sums(*part.function(config, params, u, batch), rows["u"].mask))
            factor = 1.0 if part.regression else ramp(config, progress)
            total += factor * getattr(config.weights, part.name, 1.0) * value
            metrics |= {part.name: value, "zero_loss_share": jnp.maximum(metrics.get("zero_loss_share", 0.0), idle)}
        return total, metrics | alive, queues.push(state, everyone["z"])

    return Objective(init, loss, max(config.augmentations, *(part.augmentations for part in chosen)))


def temperature(part: Part, config: ObjectiveConfig, progress: Any) -> jax.Array:
    """A part's temperature: constant, or geometric from ``temperature`` to ``temperature_end`` over the run."""
    start = config.temperature or part.temperature or 1.0
    end = config.temperature_end or start
    return start * jnp.power(end / start, jnp.asarray(progress, jnp.result_type(float)))


def ramp(config: ObjectiveConfig, progress: Any) -> jax.Array:
    """Factor of all but the regression parts: 1, or rising from 0 at the start, or falling to 0 at the end of a run."""
    progress = jnp.asarray(progress, jnp.result_type(float))
    if config.ramp == "rise":
        return jnp.clip(progress / config.ramp_share, 0, 1)
    if config.ramp == "fall":
        return jnp.clip((1 - progress) / config.ramp_share, 0, 1)
    return jnp.ones_like(progress)


def _chosen(name: str) -> list[Part]:
    chosen = [part for word in name.split("+") for part in parts.get(word).members]
    names = [part.name for part in chosen]
    twice = sorted({word for word in names if names.count(word) > 1})
    if twice:
        raise InputError(f"config.objective.name is {name!r}, which holds {', '.join(twice)} more than once")
    for part in chosen:
        if part.regularises and not any(other.regression for other in chosen):
            raise InputError(
                f"config.objective.name is {name!r}, but {part.name} regularises a regression and fits no score "
                f"itself. Set --config.objective.name=mse+{part.name}"
            )
    return chosen


def _compare(part, config, params, tau, rows: Projected, everyone: Projected, u, queue: Projected | None, mesh: Mesh):
    if part.predict:
        prediction = part.predict(params, u)
        rows = dataclasses.replace(rows, prediction=prediction)
        everyone = dataclasses.replace(everyone, prediction=everywhere(prediction, mesh))
    if queue is not None:
        everyone = jax.tree.map(lambda batch, old: jnp.concatenate([batch, old]), everyone, queue)

    survey = None
    if part.survey:

        def count(anchors, everyone, _):
            return part.survey(config, anchors, everyone)

        survey = over_anchors(count, *jax.lax.stop_gradient((rows, everyone)), None, mesh, config.block)

    def block(anchors, everyone, shared):
        return _sums(*part.function(config, shared, anchors, everyone), anchors.mask)

    shared = Shared(params, tau, survey)
    return _mean_of(over_anchors(block, rows, everyone, shared, mesh, config.block, part.prepare))


def _sums(loss: jax.Array, weight: jax.Array, mask: jax.Array) -> dict[str, jax.Array]:
    idle = mask & (loss == 0)  # rows without a gradient: satisfied, or with nothing to compare
    return {"loss": loss.sum(), "weight": weight.sum(), "idle": idle.sum(dtype=loss.dtype), "rows": mask.sum()}


def _mean_of(sums: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
    weight = jnp.where(sums["weight"] > 0, sums["weight"], 1)
    return sums["loss"] / weight, sums["idle"] / jnp.maximum(sums["rows"], 1)


def _key(rng: jax.Array, name: str) -> jax.Array:
    # derived from the name, so that a head starts the same in any sum
    return jax.random.fold_in(rng, zlib.crc32(name.encode()))
