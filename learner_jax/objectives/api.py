"""The contract of an objective, and what pairwise objectives share: their rows, masks of pairs, blocks of anchors.

A pairwise objective only says what one block of anchors contributes, given all rows of the *global* batch.
``mesh.everywhere`` gathers the rows, and :func:`over_anchors` bounds the memory to block x batch.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Float, Int32

from learner_jax.batch import Batch
from learner_jax.mesh import BATCH
from learner_jax.objectives.heads import Params
from learner_jax.pytree import array_tree

Metrics = dict[str, jax.Array]

# Elements of one block x batch array: 16 MiB in f32. The backward pass of a Rank-N-Contrast block holds about 25 such
# arrays, so 65,536 rows stay below 1 GiB (64 anchors at once).
_MOST_ELEMENTS = 2**22


@runtime_checkable
class Loss(Protocol):
    """``(params, state, z [b p], u [b d], batch, rng, progress) -> (scalar, metrics, state)`` over the global batch.

    Rows whose mask is False or that have no score have no effect. ``progress`` is the fraction of the run that is done,
    0 to 1. Sums are in float32, or in float64 if ``z`` is.
    """

    def __call__(
        self,
        params: Params,
        state: Params,
        z: Float[Array, "b p"],
        u: Float[Array, "b d"],
        batch: Batch,
        rng: jax.Array | None,
        progress: Any,
    ) -> tuple[jax.Array, Metrics, Params]: ...


@dataclasses.dataclass(frozen=True)
class Objective:
    """A pretraining loss with its own parameters (heads) and state (a queue).

    Attributes:
      init: ``(rng, dim) -> (params, state)`` for embeddings of width ``dim``.
      loss: see :class:`Loss`.
      n_augmentations: augmented copies that a step makes of each scan; they are adjacent in the batch.
    """

    init: Callable[[jax.Array, int], tuple[Params, Params]]
    loss: Loss
    n_augmentations: int = 1


@array_tree
class Projected:
    """Scans as a pairwise objective sees them. Rows of zeros and False pad a block and have no effect."""

    z: Float[Array, "k p"]
    score: Float[Array, " k"]  # standardised; 0 where unlabeled
    prediction: Float[Array, " k"]  # of a head, for objectives that compare predictions; else 0
    patient: Int32[Array, " k"]
    row: Int32[Array, " k"]  # of the cohort table, the same for augmented copies of a scan
    index: Int32[Array, " k"]  # place in the global batch, unique
    labeled: Bool[Array, " k"]  # real and with a score
    mask: Bool[Array, " k"]  # real

    @property
    def unit(self) -> Float[Array, "k p"]:
        """``z`` on the unit sphere. The small constant keeps the gradient at zero finite."""
        return self.z * jax.lax.rsqrt(jnp.square(self.z).sum(-1, keepdims=True) + 1e-12)


def projected(z: Float[Array, "b p"], batch: Batch) -> Projected:
    """The rows of a global batch with their projections."""
    z = z.astype(jnp.promote_types(z.dtype, jnp.float32))
    return Projected(
        z=z,
        score=jnp.nan_to_num(batch.score).astype(z.dtype),
        prediction=jnp.zeros(len(z), z.dtype),
        patient=jnp.asarray(batch.patient),
        row=jnp.asarray(batch.row),
        index=jnp.arange(len(z), dtype=jnp.int32),
        labeled=jnp.asarray(batch.labeled),
        mask=jnp.asarray(batch.mask),
    )


def others(anchors: Projected, everyone: Projected) -> Bool[Array, "k n"]:
    """Pairs of two different labeled rows."""
    pairs = anchors.labeled[:, None] & everyone.labeled[None]
    return pairs & (anchors.index[:, None] != everyone.index[None])


def coarse(anchors: Projected, everyone: Projected) -> Bool[Array, "k n"]:
    """Coarse pairs: labeled rows of two different patients."""
    pairs = anchors.labeled[:, None] & everyone.labeled[None]
    return pairs & (anchors.patient[:, None] != everyone.patient[None])


def fine(anchors: Projected, everyone: Projected) -> Bool[Array, "k n"]:
    """Fine pairs: two different labeled scans of one patient."""
    same = anchors.patient[:, None] == everyone.patient[None]
    return others(anchors, everyone) & same & (anchors.row[:, None] != everyone.row[None])


def similarity(anchors: Float[Array, "k p"], everyone: Float[Array, "n p"]) -> Float[Array, "k n"]:
    """Inner products in full precision; by default a TPU rounds the factors to 8 bits, a GPU to 10."""
    return jnp.matmul(anchors, everyone.T, precision=jax.lax.Precision.HIGHEST)


def euclidean(anchors: Float[Array, "k p"], rows: Float[Array, "n p"], real: Bool[Array, " n"]) -> Float[Array, "k n"]:
    """``|a_i - b_j|₂`` between anchors and rows, with gradient 0 at distance 0; ``real`` rows set the origin."""
    # |a|² + |b|² - 2ab cancels when both are far from the origin and close to each other, so subtract the mean first
    mean = jax.lax.stop_gradient((rows * real[:, None]).sum(0) / jnp.maximum(real.sum(), 1))
    anchors, rows = anchors - mean, rows - mean
    squares = jnp.square(anchors).sum(1)[:, None] + jnp.square(rows).sum(1)[None] - 2 * similarity(anchors, rows)
    apart = squares > 0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, squares, 1)), 0)


def score_distance(anchors: Projected, everyone: Projected) -> Float[Array, "k n"]:
    """``d_ij = |y_i - y_j|`` in SD of the training scores."""
    return jnp.abs(anchors.score[:, None] - everyone.score[None])


def log_sum_exp(logits: Float[Array, "k n"], real: Bool[Array, "k n"]) -> Float[Array, " k"]:
    """``log sum exp(logits)`` over the real pairs of each row; 0 with gradient 0 if there are none."""
    some = real.any(1, keepdims=True)
    inside = jnp.where(real, logits, jnp.where(some, -jnp.inf, 0))
    return jnp.where(some[:, 0], jax.nn.logsumexp(inside, axis=1), 0)


def over_anchors(
    block: Callable[[Any, Any, Any], Any],
    anchors: Any,
    everyone: Any,
    shared: Any,
    mesh: Mesh,
    size: int,
    prepare: Callable[[Any], Any] = lambda everyone: everyone,
) -> Any:
    """Sum of ``block(anchors, prepare(everyone), shared)`` over blocks of anchors of the whole global batch.

    Args:
      block: takes ``k`` anchors as a tree like ``anchors``, the prepared rows and ``shared``; returns a tree of sums
        over its anchors. Blocks are padded with zeros, so an all-zero row must contribute nothing.
      anchors: tree of arrays ``[b …]``, sharded over the mesh; padded if the devices cannot share them evenly.
      everyone: tree of the rows ``[n …]`` to compare with, whole on every device (``mesh.everywhere``).
      shared: tree of arrays that are whole on every device, such as heads and temperatures; gradients reach them.
      mesh: of :func:`learner_jax.mesh.make_mesh`.
      size: largest number of anchors in a block; reduced so that block x batch has at most 4 million elements. The
        backward pass recomputes the activations of a block.
      prepare: applied to ``everyone`` once per device before the first block, for example to sort the rows.

    Returns:
      The sums over all blocks and devices; the same on every device, for any number of devices.
    """

    def device_part(mine: Any, everyone: Any, shared: Any) -> Any:
        n, n_all = (len(jax.tree.leaves(tree)[0]) for tree in (mine, everyone))
        k = min(size, n, max(_MOST_ELEMENTS // n_all, 1))

        def cut(x: jax.Array) -> jax.Array:
            padded = jnp.pad(x, [(0, -n % k)] + [(0, 0)] * (x.ndim - 1))
            return padded.reshape(-1, k, *x.shape[1:])

        known = prepare(everyone)
        sums = jax.lax.map(jax.checkpoint(lambda anchors: block(anchors, known, shared)), jax.tree.map(cut, mine))
        return jax.tree.map(lambda x: jax.lax.psum(x.sum(0), BATCH), sums)

    n = len(jax.tree.leaves(anchors)[0])
    anchors = jax.tree.map(lambda x: jnp.pad(x, [(0, -n % mesh.size)] + [(0, 0)] * (x.ndim - 1)), anchors)
    parts = (P(BATCH), P(), P())
    return jax.shard_map(device_part, mesh=mesh, in_specs=parts, out_specs=P())(anchors, everyone, shared)
