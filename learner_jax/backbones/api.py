"""The contract of a backbone: ``init``, ``apply``, ``dim`` and ``flops``, with plain dicts of arrays at the boundary.

Layers are Flax NNX modules; trainer, optimizer and checkpoints only see the dicts. Modules are split and merged while
tracing, at no cost in the compiled step (``nnx.jit`` costs 20 ms a step, measured November 2026).
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from flax.traverse_util import flatten_dict
from jaxtyping import Array, Bool, Float

from learner_jax.backbones import flops as costs
from learner_jax.backbones.distances import distances
from learner_jax.backbones.layers.platform import tracing_for
from learner_jax.backbones.names import Names
from learner_jax.batch import BatchSpec
from learner_jax.registry import Registry
from tfds_builders.errors import InputError
from tfds_builders.wording import plural

Variables = dict[str, dict[str, Any]]  # {"params": nested dict, "stats": nested dict}
Shape = tuple[int, int, int, int]  # of one scan: frames or slices, height, width, channels


@dataclasses.dataclass(frozen=True)
class Takes:
    """The shapes of scans that a backbone can take, in frames (or slices), height and width.

    Attributes:
      least: smallest size of each.
      multiple: each must be a multiple of it.
    """

    least: tuple[int, int, int] = (1, 32, 32)
    multiple: tuple[int, int, int] = (1, 1, 1)

    def __str__(self) -> str:
        (t, h, w), (frames, rows, columns) = self.least, self.multiple
        steps = []
        if frames > 1:
            steps.append(f"{frames} frames")
        if (rows, columns) != (1, 1):
            steps.append(f"{rows}x{columns} pixels")
        least = f"at least {plural(t, 'frame')} of {h}x{w}"
        return f"{least}, in multiples of {' and '.join(steps)}" if steps else least

    def fits(self, size: tuple[int, int, int]) -> bool:
        """Whether the backbone takes scans of this size."""
        return all(n >= least and n % m == 0 for n, least, m in zip(size, self.least, self.multiple, strict=True))


@dataclasses.dataclass(frozen=True)
class Stem:
    """Where a backbone reads the pixels, as paths of parameters such as ``conv1/kernel``.

    Attributes:
      kernel: the first kernel.
      offset: what can absorb a constant added to all of its outputs: the bias after it or, by subtraction, the running
        mean of the batch norm after it.
    """

    kernel: str
    offset: str


@dataclasses.dataclass(frozen=True, eq=False)
class Backbone:
    """An encoder of scans.

    Attributes:
      name: its registered name.
      build: ``(shape of one scan (t, h, w, c), rngs) -> module``; the module maps ``(scan [b t h w c], mask [b], train,
        rngs)`` to ``[b dim]``.
      dim: width of the embedding.
      takes: the shapes of scans that it can take.
      names: by library, the names of the parameters in the weights that it publishes.
      stems: where pixels are read.
    """

    name: str
    build: Callable[[Shape, nnx.Rngs], nnx.Module]
    dim: int
    takes: Takes = Takes()
    names: Mapping[str, Names] = dataclasses.field(default_factory=dict)
    stems: tuple[Stem, ...] = ()

    def init(self, rng: jax.Array, spec: BatchSpec) -> Variables:
        """Fresh parameters and statistics; to be jitted.

        Raises:
          InputError: the backbone cannot take scans of this shape.
        """
        self.check(spec)
        params, stats = nnx.state(self.build(spec.shape[1:], _keys(params=rng)), nnx.Param, nnx.BatchStat)
        return {"params": nnx.to_pure_dict(params), "stats": nnx.to_pure_dict(stats)}

    def shapes(self, spec: BatchSpec) -> Variables:
        """``jax.ShapeDtypeStruct`` of everything that :meth:`init` returns."""
        return jax.eval_shape(functools.partial(self.init, spec=spec), jax.random.key(0))

    def apply(
        self,
        variables: Variables,
        scan: Float[Array, "b t h w c"],
        mask: Bool[Array, " b"],
        *,
        train: bool,
        rng: jax.Array | None = None,
    ) -> tuple[Float[Array, "b d"], dict]:
        """Embeddings, and the new batch statistics, which masked rows do not affect; ``rng`` is for random layers."""
        module = nnx.merge(self._graph(scan.shape[1:]), variables["params"], variables["stats"])
        u = module(scan, mask, train=train, rngs=None if rng is None else _keys(default=rng))
        return u, nnx.to_pure_dict(nnx.state(module, nnx.BatchStat))

    def check(self, spec: BatchSpec) -> None:
        """Refuse a shape that the backbone cannot take.

        Raises:
          InputError: with what it takes.
        """
        if not self.takes.fits((spec.t, spec.h, spec.w)):
            raise InputError(
                f"{self.name} takes {self.takes}; the config gives {spec.t} of {spec.h}x{spec.w}. "
                "Set --config.data.frames=… and --config.data.size=…"
            )

    def flops(self, spec: BatchSpec) -> int:
        """Operations of one forward pass over the batch: 2 per multiply-add of convolutions and products."""
        return sum(layer.flops for layer in self.layers(spec))

    def layers(self, spec: BatchSpec) -> list[costs.Layer]:
        """Operations and memory traffic of each layer of one forward pass over the batch in training."""
        return list(_layers(self, spec))

    def distances(self, spec: BatchSpec) -> dict[str, int]:
        """Number of blocks between each parameter and the embedding, by path, such as ``layer1/0/conv1/kernel``."""
        return distances(self._trace(spec), flatten_dict(self.shapes(spec)["params"], sep="/"))

    def _trace(self, spec: BatchSpec) -> Any:
        """The jaxpr of a forward pass in training; its arguments are parameters, scan, statistics and mask."""
        variables = self.shapes(spec)
        scan = jax.ShapeDtypeStruct(spec.shape, jnp.float32)
        mask = jax.ShapeDtypeStruct((spec.b,), jnp.bool_)

        def forward(params: Any, scan: Array, stats: Any, mask: Array) -> tuple[Array, dict]:
            return self.apply({"params": params, "stats": stats}, scan, mask, train=True)

        with tracing_for("any"):  # the formulations for particular devices have other operations
            return jax.make_jaxpr(forward)(variables["params"], scan, variables["stats"], mask).jaxpr

    def _graph(self, shape: Shape) -> nnx.GraphDef:
        module = nnx.eval_shape(lambda: self.build(shape, _keys(params=jax.random.key(0))))
        return nnx.split(module, nnx.Param, nnx.BatchStat)[0]


@functools.lru_cache(maxsize=64)
def _layers(backbone: Backbone, spec: BatchSpec) -> tuple[costs.Layer, ...]:
    return tuple(costs.layers(backbone._trace(spec)))


class _Stream(nnx.RngStream):
    """Flax's stream of keys, but with its counter outside of the trace.

    Flax counts in an array. Updating that asks a tracer for its sharding, for which JAX goes through the whole trace.
    """

    def __init__(self, key: jax.Array, *, tag: str):
        super().__init__(key, tag=tag)
        self.drawn = 0

    def __call__(self) -> jax.Array:
        key = jax.random.fold_in(self.key[...], self.drawn)
        self.drawn += 1
        return key


def _keys(**keys: jax.Array) -> nnx.Rngs:
    rngs = nnx.Rngs()
    for name, key in keys.items():
        setattr(rngs, name, _Stream(key, tag=name))
    return rngs


backbones: Registry[Callable[..., Backbone]] = Registry("backbone", "config.backbone.name")


def create(name: str, norm: str = "batch") -> Backbone:
    """The backbone of that name, with mask-aware ``batch`` norm or with ``group`` norm, if it has a choice.

    Raises:
      InputError: the name is unknown.
    """
    return _created(backbones.get(name), norm)


@functools.lru_cache(maxsize=64)
def _created(make: Callable[..., Backbone], norm: str) -> Backbone:
    """The same object for the same backbone, so that it can key compiled programs."""
    return make(norm=norm)


def list_backbones() -> list[str]:
    """Names for ``config.backbone.name``, without the tiny ``*-test`` variants."""
    return [name for name in backbones.list() if not name.endswith("-test")]
