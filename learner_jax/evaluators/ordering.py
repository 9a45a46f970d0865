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
    delta: Float32[Array, " k"],
    predicted_delta: Float32[Array, " k"],
    patient: Int32[Array, " k"],
    mask: Bool[Array, " k"],
    n_patients: int,
) -> dict[str, Float32[Array, " p"]]:
    """Per patient: pairs ordered right (a predicted tie counts half) and pairs that can be (true ties cannot)."""
    comparable = mask & (delta != 0)
    right = (1 + jnp.sign(delta) * jnp.sign(predicted_delta)) / 2
    add = partial(jax.ops.segment_sum, segment_ids=patient, num_segments=n_patients)
    return {"right": add(jnp.where(comparable, right, 0.0)), "comparable": add(comparable.astype(jnp.float32))}


def pairwise_accuracy(sums: dict[str, Float32[Array, " p"]], counts: Float32[Array, " p"]) -> Float32[Array, ""]:
    """``(right + ties / 2) / comparable`` over the pairs of all drawn patients: Harrell's C within patients.

    Every pair weighs the same, so a patient with many visits weighs more. Source: doi 10.1001/jama.1982.03320430047030.
    """
    return ratio(summed(sums["right"], counts), summed(sums["comparable"], counts))


@partial(jax.jit, static_argnames="n_patients")
def patient_tau(
    delta: Float32[Array, " k"],
    predicted_delta: Float32[Array, " k"],
    patient: Int32[Array, " k"],
    mask: Bool[Array, " k"],
    n_patients: int,
) -> dict[str, Float32[Array, " p"]]:
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


def mean_tau(taus: dict[str, Float32[Array, " p"]], counts: Float32[Array, " p"]) -> Float32[Array, ""]:
    """Mean over the drawn patients in whom tau-b is defined: every patient weighs the same."""
    return ratio(summed(taus["tau"] * taus["defined"], counts), summed(taus["defined"], counts))


@partial(jax.jit, static_argnames="n_patients")
def coarse_order(
    score: Float32[Array, " m"],
    predicted: Float32[Array, " m"],
    patient: Int32[Array, " m"],
    mask: Bool[Array, " m"],
    n_patients: int,
) -> dict[str, Float32[Array, "p p"]]:
    """Per pair of patients: observations ordered right (a predicted tie counts half) and those that can be.

    Entry ``[a, b]`` counts the pairs in which patient a has the higher score; a patient is not compared with itself.
    Needs ``8 p^2`` bytes.

    Args:
      score, predicted: any increasing transform of them; dense ranks keep the order of float64.
    """
    everyone = {"score": score, "predicted": predicted, "patient": patient, "mask": mask}
    m = len(score)
    block = min(_BLOCK, m)
    add = partial(jax.ops.segment_sum, num_segments=n_patients)

    def against_all(sums: Float32[Array, "p 2 p"], anchor: dict[str, Array]) -> tuple[Float32[Array, "p 2 p"], None]:
        comparable = (score[:, None] < anchor["score"]) & (patient[:, None] != anchor["patient"])
        comparable &= mask[:, None] & anchor["mask"]
        right = (jnp.sign(anchor["predicted"] - predicted[:, None]) + 1) / 2
        pairs = jnp.stack([jnp.where(comparable, right, 0.0), comparable.astype(jnp.float32)], axis=1)  # [m 2 b]
        return sums + add(add(pairs, patient).T, anchor["patient"]), None

    blocks = jax.tree.map(lambda x: jnp.pad(x, (0, -m % block)).reshape(-1, block), everyone)
    sums, _ = jax.lax.scan(against_all, jnp.zeros((n_patients, 2, n_patients), jnp.float32), blocks)
    return {"right": sums[:, 0], "comparable": sums[:, 1]}


def c_index(sums: dict[str, Float32[Array, "p p"]], counts: Float32[Array, " p"]) -> Float32[Array, ""]:
    """Coarse order: ``(right + ties / 2) / comparable`` over observations of different patients.

    A pair counts as often as both its patients were drawn; two copies of one patient are never compared.
    """
    right, comparable = (summed(summed(sums[name], counts), counts) for name in ("right", "comparable"))
    return ratio(right, comparable)


def count_coarse_pairs(score: Num[np.ndarray, " m"], patient: Num[np.ndarray, " m"]) -> int:
    """Exact number of pairs that :func:`coarse_order` compares: of different patients, with different scores."""

    def pairs(*keys: np.ndarray) -> int:
        _, sizes = np.unique(np.stack(keys), axis=1, return_counts=True)
        return int((sizes * (sizes - 1) // 2).sum())

    constant = np.zeros(len(score))
    return pairs(constant) - pairs(patient) - pairs(score) + pairs(score, patient)
