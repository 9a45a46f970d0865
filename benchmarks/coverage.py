"""How often percentile and BCa intervals of 95 % hold the truth, in simulated patients.

    python -m benchmarks.coverage

Cohorts of 15, 30, 60 and 100 patients are drawn from a population whose patients differ in their number of visits (2
to 6), in how far their score moves, and in how well a read-out sees it, so that pairs of one patient are alike. There
are two such populations: in one patients differ little, in the other so much that a few dominate every sum. The truth
of each quantity is its value in 20,000 patients. Prints a Markdown table for each population (they are in
docs/evaluation.md) and one line of JSON. About 6 minutes on one core; ``--quick`` takes 100 cohorts of 30 patients.
"""

import argparse
import json

import numpy as np

from learner_jax.evaluators.change import change_class
from learner_jax.evaluators.pairs import Observations
from learner_jax.evaluators.predictions import Predictions, Truth
from learner_jax.evaluators.scoring import estimate
from learner_jax.evaluators.statistics.bootstrap import Resampling
from learner_jax.evaluators.statistics.intervals import bca_interval, percentile_interval

QUANTITIES = ("pairwise_accuracy", "direction_auroc", "kendall_tau_b", "rm_correlation", "macro_f1", "quadratic_kappa")
QUANTITIES += ("delta_mae", "delta_ccc", "delta_spearman")
FAMILIES = ("order", "direction", "three_way", "amount")
METHODS = ("plain", "percentile", "bca")  # percentiles without and with the correction for few patients; BCa with it
THRESHOLD, POPULATION = 1.0, 20_000
SIZES = (15, 30, 60, 100)


def population(patients: int, rng: np.random.Generator, uneven: bool) -> Predictions:
    """Truth and predictions of this many simulated patients; if ``uneven``, a few of them dominate every sum."""
    visits = rng.integers(2, 7, patients)
    patient = np.repeat(np.arange(patients), visits)
    visit = np.concatenate([np.arange(n) for n in visits])
    moves, skill = np.exp(rng.normal(0.2, 0.4, patients)), rng.beta(4, 3, patients)
    if uneven:
        moves, skill = rng.gamma(2, 0.7, patients), rng.beta(2, 1.5, patients)
    score = rng.normal(0, 2, patients)[patient] + moves[patient] * rng.normal(size=len(patient))
    scores = score * skill[patient] + rng.normal(0, 0.8, len(patient))
    seen = Observations(
        u=np.zeros((len(patient), 0), np.float32),
        score=score.astype(np.float32),
        patient=patient,
        visit=visit,
        time_days=visit.astype(np.float32),
        view=np.full(len(patient), -1),
        rows=tuple((i,) for i in range(len(patient))),
    )
    truth = Truth.of(seen, "visits", "all", THRESHOLD)
    delta = scores[truth.second] - scores[truth.first]
    return Predictions(truth, delta, change_class(delta, THRESHOLD), scores=scores)


def coverage(
    patients: int, cohorts: int, uneven: bool = False, bootstrap: int = 1000, seed: int = 0, of: int = POPULATION
) -> dict[str, dict[str, float]]:
    """Share of cohorts whose 95 % interval holds the truth: ``{method: {quantity: share}}``."""
    whole = population(of, np.random.default_rng(seed), uneven)
    truth = _values(whole, Resampling.draw(of, 1, 0))
    held = {method: dict.fromkeys(QUANTITIES, 0) for method in METHODS}
    rng = np.random.default_rng(seed + 1)
    for cohort in range(cohorts):
        found = _values(population(patients, rng, uneven), Resampling.draw(patients, bootstrap, cohort))
        for name in QUANTITIES:
            one, true = found[name], truth[name].value
            for method, (low, high) in (
                ("plain", percentile_interval(one.drawn, 0.95)),
                ("percentile", percentile_interval(one.drawn, 0.95, patients)),
                ("bca", bca_interval(one.value, one.drawn, one.left_out, 0.95, patients)),
            ):
                held[method][name] += low is not None and low <= true <= high
    return {method: {name: n / cohorts for name, n in own.items()} for method, own in held.items()}


def _values(predictions: Predictions, resampling: Resampling) -> dict:
    return {one.name: one.replicates for one in estimate(predictions, resampling, FAMILIES) if one.name in QUANTITIES}


def main() -> None:
    """Simulate and print the table."""
    parser = argparse.ArgumentParser("python -m benchmarks.coverage", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--cohorts", type=int, default=1000, help="simulated cohorts of each size")
    parser.add_argument("--quick", action="store_true", help="100 cohorts of 30 patients")
    args = parser.parse_args()
    sizes, cohorts = ((30,), 100) if args.quick else (SIZES, args.cohorts)
    means = {}
    for title, uneven in (("patients much alike", False), ("uneven patients", True)):
        found = {size: coverage(size, cohorts, uneven) for size in sizes}
        print(f"\n{title}; {' / '.join(METHODS)}, % of {cohorts:,} cohorts\n")
        print("| quantity | " + " | ".join(f"{size} patients" for size in sizes) + " |\n|---|" + "---|" * len(sizes))
        for name in QUANTITIES:
            cells = [" / ".join(f"{100 * found[size][m][name]:.1f}" for m in METHODS) for size in sizes]
            print(f"| `{name}` | " + " | ".join(cells) + " |", flush=True)
        means[title] = {
            s: {m: round(float(np.mean(list(of.values()))), 4) for m, of in found[s].items()} for s in sizes
        }
    print(json.dumps({"benchmark": "coverage", "quick": args.quick, "cohorts": cohorts, "mean_coverage": means}))


if __name__ == "__main__":
    main()
