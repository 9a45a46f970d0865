import numpy as np
import polars as pl

from learner_jax.report.runs import load
from learner_jax.report.scans import choose


def test_worst_and_best_pairs_are_those_of_a_plain_search(demo):
    run = load(demo / "mse")
    worst, best = choose(run.pairs.sample(fraction=1, shuffle=True, seed=0))
    pairs = sorted(run.pairs.to_dicts(), key=lambda one: abs(one["predicted_delta"] - one["delta"]))
    half = np.median([abs(one["delta"]) for one in pairs])

    def first(ordered):
        seen = {}
        for one in ordered:
            seen.setdefault(one["patient"], one)
        return [(one["patient"], one["delta"]) for one in seen.values()][:3]

    assert list(worst.select("patient", "delta").rows()) == first(pairs[::-1])
    assert list(best.select("patient", "delta").rows()) == first(one for one in pairs if abs(one["delta"]) >= half)


def test_few_pairs_are_all_there_are(demo):
    pairs = load(demo / "mse").pairs
    worst, best = choose(pairs.head(1))
    assert worst["delta"].to_list() == best["delta"].to_list() == pairs.head(1)["delta"].to_list()
    worst, best = choose(pairs.with_columns(pl.lit(None, pl.Float64).alias("predicted_delta")))
    assert worst.is_empty()
    assert best.is_empty()
