"""What every backbone gives: ``init``, ``apply``, ``dim`` and ``flops``, with plain dicts of arrays at the boundary.

Layers are Flax NNX modules; the trainer, the optimizer and the checkpoints only see the dicts. Splitting and merging
happen while tracing, so a compiled step pays nothing for them (``nnx.jit`` costs 20 ms a step, measured November 2026).
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.extend.core import jaxprs_in_params
from jaxtyping import Array, Bool, Float

from learner_jax.batch import BatchSpec
from learner_jax.registry import Registry
from tfds_builders.errors import InputError

Variables = dict[str, dict[str, Any]]  # {"params": nested dict, "stats": nested dict}


@dataclasses.dataclass(frozen=True)
class Backbone:
    """An encoder of scans.

    Attributes:
      name: its registered name.
      build: ``(channels, rngs) -> module``; the module maps ``(scan [b t h w c], mask [b], train)`` to ``[b dim]``.
      dim: width of the embedding.
      least: smallest (frames, size) that it takes.
    """

    name: str
    build: Callable[[int, nnx.Rngs], nnx.Module]
    dim: int
    least: tuple[int, int] = (1, 32)

    def init(self, rng: jax.Array, spec: BatchSpec) -> Variables:
        """Fresh parameters and statistics; jit it.

        Raises:
          InputError: when the backbone cannot take scans of this shape.
        """
        self.check(spec)
        params, stats = nnx.state(self.build(spec.c, nnx.Rngs(params=rng)), nnx.Param, nnx.BatchStat)
        return {"params": nnx.to_pure_dict(params), "stats": nnx.to_pure_dict(stats)}

    def apply(
        self,
        variables: Variables,
        scan: Float[Array, "b t h w c"],
        mask: Bool[Array, " b"],
        *,
        train: bool,
        rng: jax.Array | None = None,
    ) -> tuple[Float[Array, "b d"], dict]:
        """Embeddings and new statistics. Masked rows do not enter batch statistics; ``rng`` feeds stochastic layers."""
        module = nnx.merge(self._graph(scan.shape[-1]), variables["params"], variables["stats"])
        u = module(scan, mask, train=train, rngs=None if rng is None else nnx.Rngs(rng))
        return u, nnx.to_pure_dict(nnx.state(module, nnx.BatchStat))

    def check(self, spec: BatchSpec) -> None:
        """Refuse a shape that the backbone cannot take.

        Raises:
          InputError: with what it takes.
        """
        frames, size = self.least
        if spec.t < frames or min(spec.h, spec.w) < size:
            raise InputError(
                f"{self.name} takes at least {frames} frames of {size}x{size}; the config gives {spec.t} of "
                f"{spec.h}x{spec.w}. Set --config.data.frames=… and --config.data.size=…"
            )

    def flops(self, spec: BatchSpec) -> int:
        """Operations of one forward pass over the batch: 2 per multiply-add of convolutions and products."""
        variables = jax.eval_shape(functools.partial(self.init, spec=spec), jax.random.key(0))
        scan = jax.ShapeDtypeStruct(spec.shape, jnp.float32)
        mask = jax.ShapeDtypeStruct((spec.b,), jnp.bool_)
        forward = functools.partial(self.apply, train=False)
        return _count(jax.make_jaxpr(forward)(variables, scan, mask).jaxpr)

    def _graph(self, channels: int) -> nnx.GraphDef:
        module = nnx.eval_shape(lambda: self.build(channels, nnx.Rngs(0)))
        return nnx.split(module, nnx.Param, nnx.BatchStat)[0]


backbones: Registry[Callable[..., Backbone]] = Registry("backbone", "config.backbone.name")


def create(name: str, norm: str = "batch") -> Backbone:
    """The backbone of that name, with mask-aware ``batch`` norm or ``group`` norm.

    Raises:
      InputError: for an unknown name.
    """
    return backbones.get(name)(norm=norm)


def list_backbones() -> list[str]:
    """Names for ``config.backbone.name``; the tiny ``*_test`` variants are not listed."""
    return [name for name in backbones.list() if not name.endswith("_test")]


def _count(jaxpr: Any) -> int:
    total = 0
    for eqn in jaxpr.eqns:
        out = math.prod(eqn.outvars[0].aval.shape)
        if eqn.primitive.name == "conv_general_dilated":
            kernel = eqn.invars[1].aval.shape
            total += 2 * out * math.prod(kernel) // kernel[eqn.params["dimension_numbers"].rhs_spec[0]]
        elif eqn.primitive.name == "dot_general":
            (contracted, _), _ = eqn.params["dimension_numbers"]
            total += 2 * out * math.prod(eqn.invars[0].aval.shape[i] for i in contracted)
        for inner in jaxprs_in_params(eqn.params):
            total += _count(inner)
    return total
