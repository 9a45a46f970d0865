"""What scores and floors are called, how tables group them, and how their numbers are written.

The evaluator has titles and chance levels too, but cannot be imported without JAX; a test keeps the two in step.
"""

import math
import re
from collections.abc import Iterable

from learner_jax.evaluators.rows import Row

ORDER = {
    "pairwise_accuracy": "pairwise accuracy",
    "direction_auroc": "direction AUROC",
    "kendall_tau_b": "within-patient Kendall τ-b",
    "rm_correlation": "repeated-measures correlation",
    "noticed_change": "|Δscore| ordered right 75 %",
}
CHANGE = {
    "macro_f1": "three-way macro-F1",
    "balanced_accuracy": "balanced accuracy",
    "quadratic_kappa": "quadratic κ",
    "brier": "Brier score",
    "delta_mae": "Δ mean absolute error",
    "delta_ccc": "Δ concordance (CCC)",
}
COARSE = {
    "coarse_c_index": "coarse C-index",
    "score_mae": "score mean absolute error",
    "score_spearman": "score Spearman ρ",
}
EMBEDDING = {"embedding_distance_spearman": "distance–|Δscore| Spearman ρ, fine pairs", **COARSE}
TITLES = ORDER | CHANGE | EMBEDDING
HEADLINE = {name: TITLES[name] for name in ("pairwise_accuracy", "macro_f1", "kendall_tau_b")}
TABLES = {
    "Order of a patient's visits": ORDER,
    "Three-way change, and its amount": CHANGE,
    "The embedding, and order between patients": EMBEDDING,
}
CHANCE = {
    **dict.fromkeys(("pairwise_accuracy", "direction_auroc", "coarse_c_index"), 0.5),
    **dict.fromkeys(("kendall_tau_b", "rm_correlation", "quadratic_kappa", "delta_ccc"), 0.0),
    **dict.fromkeys(("embedding_distance_spearman", "score_spearman"), 0.0),
}
IN_SCORE_UNITS = ("noticed_change", "delta_mae", "score_mae")  # lower is better for these and for Brier

FLOORS = {
    "majority": "majority class",
    "first_visit": "first score alone",
    "time_only": "time alone",
    "covariates": "covariates alone",
    "view_only": "view alone",
    "pixels": "raw pixels",
    "random_init": "untrained backbone",
}
CEILING = {"noise_ceiling": "noise ceiling"}
KINDS = {
    "arm": "arms",
    "reference": "compared with",
    "floor": "floors: no pretraining",
    "ceiling": "ceiling: the true score instead of a prediction",
}


def hint(name: str, score_name: str) -> str:
    """How to read a column, as in ``chance 0.5`` or ``in mmse, lower is better``; empty if the title says enough."""
    if name in CHANCE:
        return f"chance {CHANCE[name]:.2g}"
    if name in IN_SCORE_UNITS:
        return f"in {score_name}, lower is better"
    return "lower is better" if name == "brier" else ""


def interval(row: Row | None) -> str:
    """``0.71 [0.66, 0.75]``; no bracket where there is no interval, ``–`` where there is no score or no value.

    A limit beyond what the data can show is ``∞``.
    """
    if row is None or row.value is None:
        return "–"
    digits = digits_of(row.name, row.value)
    if row.low is None and row.high is None:
        return number(row.value, digits)
    low = "−∞" if row.low is None else number(row.low, digits)
    high = "∞" if row.high is None else number(row.high, digits)
    return f"{number(row.value, digits)} [{low}, {high}]"


def digits_of(name: str, value: float) -> int:
    """Decimals of a score: two, or as many as give three significant digits of an amount in score units."""
    if name not in IN_SCORE_UNITS or value == 0:
        return 2
    return min(max(2 - math.floor(math.log10(abs(value))), 0), 6)


def number(value: float, digits: int = 2, sign: str = "") -> str:
    """A number with fixed decimals and a true minus sign, but never a negative zero; ``sign="+"`` adds a plus sign."""
    return f"{round(value, digits) + 0.0:{sign}.{digits}f}".replace("-", "−")


def count(row: Row) -> str:
    """``41 patients, 26,208 pairs``, without what is unknown or does not apply: a coarse score has no pairs."""
    parts = ((row.n_patients, "patient"), (row.n_pairs, "pair"))
    return ", ".join(f"{n:,} {word}{'s' * (n != 1)}" for n, word in parts if n)


def folded(name: str, width: int) -> str:
    """A name in lines of at most ``width`` characters.

    It is broken after a space, ``/``, ``-`` or ``_``, and within a word only if that is longer than a line.
    """
    lines = [""]
    for part in re.findall(rf"[^ /_-]{{0,{width - 1}}}[ /_-]|[^ /_-]{{1,{width}}}", name):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def listed(names: Iterable[str], most: int = 4) -> str:
    """``a, b, c``; of more than ``most`` names, the first ones and how many others there are."""
    names = list(dict.fromkeys(names))
    shown = names if len(names) <= most else names[: most - 1]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(shown) < len(names) else "")
