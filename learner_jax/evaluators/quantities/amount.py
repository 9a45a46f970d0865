"""Amount of change: how far is the predicted difference of a pair from the true one? For read-outs in score units."""

import jax
import jax.numpy as jnp
import numpy as np

from learner_jax.evaluators.predictions import Predictions
from learner_jax.evaluators.quantities.api import Family, Prepared, Quantity, by_patient, contributing
from learner_jax.evaluators.ranks import spearman, spearman_data
from learner_jax.evaluators.statistics.bootstrap import Counts, ratio, summed

_CONSTANT = "undefined: all predicted, or all true, differences are equal"
_LIMIT = 1.959963984540054  # of a standard normal, two-sided 95 %

QUANTITIES = {
    "delta_pearson": Quantity("Δ Pearson r", 0.0, _CONSTANT, scale_free=True),
    "delta_spearman": Quantity("Δ Spearman ρ", 0.0, _CONSTANT, scale_free=True),
    "delta_ccc": Quantity("Δ concordance (CCC)", 0.0, _CONSTANT),
    "delta_icc": Quantity("Δ ICC(3,1)", 0.0, _CONSTANT),
    "delta_mae": Quantity("Δ mean absolute error"),
    "bland_altman_bias": Quantity("Bland–Altman bias"),
    "bland_altman_low": Quantity("Bland–Altman lower limit"),
    "bland_altman_high": Quantity("Bland–Altman upper limit"),
    "minimal_detectable_change": Quantity("minimal detectable change"),
}


def prepare(predictions: Predictions, width: int) -> Prepared | None:
    """Sums of products per patient; None without pairs, or if the read-out does not predict in score units."""
    truth = predictions.truth
    at = np.flatnonzero(truth.scored)
    if not predictions.in_score_units or at.size == 0:
        return None
    patient, true, predicted = truth.patient[at], truth.delta[at], predictions.delta[at]
    # one scale for both: sums of squares stay near 1 in float32, and agreement keeps its meaning
    scale = float(np.sqrt(np.mean(true**2 + predicted**2) / 2)) or 1.0
    x, y = true / scale, predicted / scale
    middle = x.mean(), y.mean()  # taken off first: sums of squares of large numbers leave little of a small variance
    x, y, e = x - middle[0], y - middle[1], (y - x) - (middle[1] - middle[0])
    # n observations have n (n - 1) / 2 pairs, so divided by n these sum to the squares about the mean, and to n - 1
    squared, freedom = ((predictions.delta - truth.delta) / scale) ** 2, np.full(len(truth), 2.0)
    within = np.stack([squared, freedom], 1) / truth.group_size[:, None]
    data = {
        "sums": by_patient(
            np.stack([np.ones_like(x), x, y, e, x * x, y * y, x * y, e * e, np.abs(predicted - true) / scale], 1),
            patient,
            width,
        ),
        "bias": np.float32(middle[1] - middle[0]),
        "error": by_patient(within, truth.patient, width),
        "ranks": spearman_data(true, predicted, width - 1, patient),
        "scale": np.float32(scale),
    }
    n = dict.fromkeys(QUANTITIES, contributing(patient))
    n["minimal_detectable_change"] = contributing(truth.patient)
    return Prepared(data, n)


def statistic(data: dict, counts: Counts) -> dict[str, jax.Array]:
    """The quantities of every draw, with x the true and y the predicted differences of the scored pairs, e = y - x.

    * CCC: ``2 cov / (var x + var y + (mean x - mean y)²)`` with moments over n (Lin, doi 10.2307/2532051);
    * ICC(3,1): ``(MSB - MSE) / (MSB + MSE)`` of the two columns x and y (Shrout & Fleiss, doi
      10.1037/0033-2909.86.2.420): agreement up to a constant shift;
    * Bland–Altman: mean of e, and mean ± 1.96 SD of e (doi 10.1016/S0140-6736(86)90837-8); the SD is over pairs;
    * minimal detectable change: ``1.96 √2 SEM`` where SEM² is the variance of (prediction - score) within patients (of
      scans: within visits): a predicted change below it is within the error of two predictions (Weir, doi
      10.1519/15184.1).
    """
    n, sx, sy, se, sxx, syy, sxy, see, error = summed(data["sums"], counts)
    n = jnp.where(n > 0, n, jnp.nan)
    mx, my = sx / n, sy / n
    vx, vy, cov = sxx / n - mx**2, syy / n - my**2, sxy / n - mx * my
    ve, bias = see / n - (se / n) ** 2, data["bias"] + my - mx
    tiny = 1e-6
    varies = (vx > tiny * sxx / n) & (vy > tiny * syy / n)
    spread = jnp.sqrt(jnp.maximum(ve, 0) * ratio(n, n - 1))
    between, within = (vx + vy + 2 * cov) / 2, ve / 2
    squares, freedom = summed(data["error"], counts)
    scale = data["scale"]
    return {
        "delta_pearson": jnp.where(varies, jnp.clip(cov / jnp.sqrt(jnp.where(varies, vx * vy, 1)), -1, 1), jnp.nan),
        "delta_spearman": spearman(data["ranks"], counts),
        "delta_ccc": jnp.where(vx > tiny * sxx / n, 2 * cov / (vx + vy + bias**2), jnp.nan),
        "delta_icc": jnp.where(vx > tiny * sxx / n, ratio(between - within, between + within), jnp.nan),
        "delta_mae": error / n * scale,
        "bland_altman_bias": bias * scale,
        "bland_altman_low": (bias - _LIMIT * spread) * scale,
        "bland_altman_high": (bias + _LIMIT * spread) * scale,
        "minimal_detectable_change": _LIMIT * jnp.sqrt(2 * ratio(squares, freedom)) * scale,
    }


FAMILY = Family(QUANTITIES, prepare, statistic)
