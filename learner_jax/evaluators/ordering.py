"""Order: does the read-out rank the visits of one patient, and the patients, as their scores do?"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32, Int32, Num

from learner_jax.evaluators.statistics import ratio, summed

_BLOCK = 256  # anchors compared with all observations at once: bounds memory to block x m


@partial(jax.jit, static_argnames="n_patients")
def pair_order(
    delta: Float32[Array, "k"],
    predicted_delta: Float32[Array, "k"],
    patient: Int32[Array, "k"],
    mask: Bool[Array, "k"],
    n_patients: int,
) -> dict[str, Float32[Array, "p"]]:
    """Per patient: pairs ordered right (a predicted tie counts half) and pairs that can be (true ties cannot)."""
    comparable = mask & (delta != 0)
    right = jnp.where(predicted_delta == 0, 0.5, jnp.sign(delta) == jnp.sign(predicted_delta))
    add = partial(jax.ops.segment_sum, segment_ids=patient, num_segments=n_patients)
    return {"right": add(jnp.where(comparable, right, 0.0)), "comparable": add(comparable.astype(jnp.float32))}


def pairwise_accuracy(sums: dict[str, Float32[Array, "p"]], counts: Float32[Array, "p"]) -> Float32[Array, ""]:
    """``(right + ties / 2) / comparable`` over the pairs of all drawn patients: Harrell's C within patients.

    Every pair weighs the same, so a patient with many visits weighs more. Source: doi 10.1001/jama.1982.03320430047030.
    """
    return ratio(summed(sums["right"], counts), summed(sums["comparable"], counts))


@partial(jax.jit, static_argnames="n_patients")
def patient_tau(
    delta: Float32[Array, "k"],
    predicted_delta: Float32[Array, "k"],
    patient: Int32[Array, "k"],
    mask: Bool[Array, "k"],
    n_patients: int,
) -> dict[str, Float32[Array, "p"]]:
    """Kendall's tau-b of each patient, and whether it is defined: at least two distinct true scores.

    ``tau = (C - D) / sqrt((n0 - Tx) (n0 - Ty))``; 0 when all predictions are tied, for then nothing was ordered.
    Source: doi 10.1093/biomet/33.3.239.

    Args:
      delta: of *all* pairs of a patient, true ties included. Where these are pairs within visits (scans), C, D and ties
        are pooled over the visits of the patient.
    """
    add = partial(jax.ops.segment_sum, segment_ids=patient, num_segments=n_patients)
    agreement = add(jnp.where(mask, jnp.sign(delta) * jnp.sign(predicted_delta), 0.0))
    untied = add((mask & (delta != 0)).astype(jnp.float32))
    predicted_untied = add((mask & (predicted_delta != 0)).astype(jnp.float32))
    pairs = untied * predicted_untied
    tau = jnp.where(pairs > 0, agreement / jnp.sqrt(jnp.where(pairs > 0, pairs, 1)), 0)
    return {"tau": tau, "defined": (untied > 0).astype(jnp.float32)}


def mean_tau(taus: dict[str, Float32[Array, "p"]], counts: Float32[Array, "p"]) -> Float32[Array, ""]:
    """Mean over the drawn patients in whom tau-b is defined: every patient weighs the same."""
    return ratio(summed(taus["tau"] * taus["defined"], counts), summed(taus["defined"], counts))


def c_index(data: dict[str, Array], counts: Float32[Array, "p"]) -> Float32[Array, ""]:
    """Coarse order: ``(C + ties / 2) / comparable`` over observations of different patients with different scores.

    A pair counts as often as both its patients were drawn; two copies of one patient are never compared.

    Args:
      data: ``score``, ``predicted`` ``[m]`` f32 (any increasing transform; dense ranks keep float64 order), ``patient``
        ``[m]`` i32, ``mask`` ``[m]`` bool.
    """
    weight = jnp.where(data["mask"], counts[data["patient"]], 0.0)
    everyone = {**data, "weight": weight}
    m = weight.shape[0]
    block = min(_BLOCK, m)

    def against_all(anchor: dict[str, Array]) -> Float32[Array, "2"]:
        # Only the anchor with the higher score counts the pair, so each is counted once.
        comparable = anchor["score"][:, None] > everyone["score"]
        comparable &= anchor["patient"][:, None] != everyone["patient"]
        difference = anchor["predicted"][:, None] - everyone["predicted"]
        right = jnp.where(comparable, (jnp.sign(difference) + 1) / 2, 0.0)
        dot = partial(jnp.matmul, precision="highest")
        return jnp.stack([dot(anchor["weight"], dot(x, weight)) for x in (right, comparable.astype(jnp.float32))])

    blocks = jax.tree.map(lambda x: jnp.pad(x, (0, -m % block)).reshape(-1, block), everyone)
    right, comparable = jax.lax.map(against_all, blocks).sum(axis=0)
    return ratio(right, comparable)


def count_coarse_pairs(score: Num[np.ndarray, "m"], patient: Num[np.ndarray, "m"]) -> int:
    """Exact number of pairs that :func:`c_index` compares: of different patients, with different scores."""

    def pairs(*keys: np.ndarray) -> int:
        _, sizes = np.unique(np.stack(keys), axis=1, return_counts=True)
        return int((sizes * (sizes - 1) // 2).sum())

    constant = np.zeros(len(score))
    return pairs(constant) - pairs(patient) - pairs(score) + pairs(score, patient)
