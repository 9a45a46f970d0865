"""Remove from the embedding what identifies a patient and says nothing about health."""

import dataclasses

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from learner_jax.batch import Batch
from learner_jax.config import ObjectiveConfig
from learner_jax.objectives.api import Projected
from learner_jax.objectives.heads import Params, apply_dense, dense
from learner_jax.objectives.parts import LossAndWeight, pointwise


def _patient_head(rng: jax.Array, dim: int, n_patients: int, config: ObjectiveConfig) -> Params:
    first, second = jax.random.split(rng)
    return {"patient_adversary": {"hidden": dense(first, dim, dim), "out": dense(second, dim, n_patients)}}


@pointwise("patient_adversary", init=_patient_head)
def patient_adversary(config: ObjectiveConfig, params: Params, u: Float[Array, "b d"], batch: Batch) -> LossAndWeight:
    """A head learns to identify the patient; the encoder, whose gradient is reversed, learns to prevent it.

    Add it to another objective (``learner+patient_adversary``); its weight is the strength of the reversal. It needs
    patients with several scans: in a single scan, identity and health cannot be told apart.

    Formula:
      mean_i -log softmax(W relu(V R(u_i)))[patient_i];  R(u) = u forward, -1 times the gradient backward

    Source:
      Ganin et al., JMLR 17 (2016), arXiv 1505.07818.
    """
    layers = params["patient_adversary"]
    hidden = jax.nn.relu(apply_dense(layers["hidden"], reverse_gradient(u)))
    cost = optax.losses.softmax_cross_entropy_with_integer_labels(apply_dense(layers["out"], hidden), batch.patient)
    weight = jnp.asarray(batch.mask, u.dtype)
    return weight * cost, weight


@jax.custom_vjp
def reverse_gradient(x: jax.Array) -> jax.Array:
    """``x``; its gradient changes sign."""
    return x


reverse_gradient.defvjp(lambda x: (x, None), lambda _, gradient: (-gradient,))


def centre_patients(rows: Projected) -> Projected:
    """Projections and scores as differences from their patient's mean in the batch.

    Objectives then compare changes with changes and cannot use what is constant in a patient. The row of a patient with
    a single labeled scan counts as unlabeled, as it shows no change.

    Formula:
      z_i - mean(z_j: j of i's patient, labeled);  y_i likewise

    Source:
      The within-transformation of panel regression (Mundlak, Econometrica 46 (1978) 69), applied to embeddings; our own
      combination.
    """
    n = len(rows.patient)
    # patients of the batch, numbered from 0, so that segments are as many as rows and not as the cohort's patients
    _, place = jnp.unique(rows.patient, return_inverse=True, size=n)
    counted = rows.labeled.astype(rows.z.dtype)
    count = jax.ops.segment_sum(counted, place, n)

    def centred(x: jax.Array) -> jax.Array:
        wide = counted.reshape(-1, *[1] * (x.ndim - 1))
        total = jax.ops.segment_sum(wide * x, place, n)
        return wide * (x - total[place] / jnp.maximum(count[place], 1).reshape(wide.shape))

    first = jax.ops.segment_min(jnp.where(rows.labeled, rows.row, jnp.iinfo(rows.row.dtype).max), place, n)
    last = jax.ops.segment_max(jnp.where(rows.labeled, rows.row, -1), place, n)
    several = rows.labeled & (first < last)[place]  # several scans, not just augmented copies of one
    return dataclasses.replace(rows, z=centred(rows.z), score=centred(rows.score), labeled=several)
