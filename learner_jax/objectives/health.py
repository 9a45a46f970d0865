"""Has the embedding collapsed? Figures logged with every objective, from at most 1,024 rows of the global batch."""

import jax
import jax.numpy as jnp

from learner_jax.objectives.api import Projected, coarse, score_distance, similarity

_MOST_ROWS = 1024


def health(rows: Projected, similar: float) -> dict[str, jax.Array]:
    """Figures of the projections (or of the embeddings, for objectives without a projection), without a gradient.

    * ``mean_cosine``: mean of cos(z_i, z_j) over pairs of rows; 1 if all have the same direction.
    * ``effective_rank``: (tr C)² / tr C² with C the covariance of z: how many directions are in use, as the
      participation ratio (order-2 form of Roy & Vetterli, EUSIPCO 2007), without eigenvalues; 0 without variance.
    * ``alignment``: mean |ẑ_i - ẑ_j|² over coarse pairs whose scores differ by at most ``similar`` (Wang & Isola,
      arXiv 2005.10242, with similar scores in place of augmented copies); smaller is better.
    * ``uniformity``: log mean exp(-2 |ẑ_i - ẑ_j|²) over pairs of rows, between -8 (opposite) and 0 (one point).
    * ``contrastive_accuracy``: how often, of two scans, the one nearer to an anchor in score is also nearer in cosine;
      0.5 is chance. Triplets are (i, j, j + 1) for all i and j.

    Args:
      rows: of the global batch, whole on every device.
      similar: largest score difference of similar scans, in SD of the training scores.

    Returns:
      Scalars; NaN where the batch has nothing to measure.
    """
    n = min(len(rows.z), _MOST_ROWS)
    rows = jax.tree.map(lambda x: jax.lax.stop_gradient(x[:n]), rows)
    unit, real = rows.unit, rows.mask.astype(rows.z.dtype)
    count = real.sum()
    pairs = rows.mask[:, None] & rows.mask[None] & ~jnp.eye(n, dtype=bool)
    cosine = similarity(unit, unit)
    centred = (rows.z - _mean(rows.z, real[:, None], 0)) * real[:, None]
    gram = similarity(centred, centred) if n < rows.z.shape[1] else similarity(centred.T, centred.T)
    trace, trace2 = jnp.square(centred).sum(), jnp.square(gram).sum()
    d = score_distance(rows, rows)
    alike = coarse(rows, rows) & (d <= similar)
    return {
        "mean_cosine": _mean(cosine, pairs),
        "effective_rank": jnp.where(count > 1, trace**2 / jnp.where(trace2 > 0, trace2, 1), jnp.nan),
        "alignment": _mean(2 - 2 * cosine, alike),
        "uniformity": jnp.log(_mean(jnp.exp(-2 * (2 - 2 * cosine)), pairs)),
        "contrastive_accuracy": _triplet_accuracy(cosine, d, pairs & rows.labeled[:, None] & rows.labeled[None]),
    }


def _triplet_accuracy(cosine: jax.Array, d: jax.Array, usable: jax.Array) -> jax.Array:
    nearer = jnp.roll(d, -1, 1) - d  # above 0: i is nearer to j than to j + 1 in score; below: in cosine
    closer = cosine - jnp.roll(cosine, -1, 1)
    known = usable & jnp.roll(usable, -1, 1) & (nearer != 0)
    return _mean((jnp.sign(nearer) * jnp.sign(closer) + 1) / 2, known)


def _mean(x: jax.Array, weight: jax.Array, axis: int | None = None) -> jax.Array:
    return (x * weight).sum(axis) / weight.sum(axis)
