"""Run folders as the trainer and the evaluator leave them, with numbers drawn at random."""

import csv
import json
import pathlib
from collections.abc import Callable

import numpy as np
import pytest

HEADLINE = ("pairwise_accuracy", "macro_f1", "kendall_tau_b")
OTHER = (
    "accuracy", "balanced_accuracy", "embedding_distance_spearman", "coarse_c_index", "score_mae", "score_spearman",
)  # fmt: skip


def make_run(
    folder: pathlib.Path,
    objective: str = "mse",
    skill: float = 0.5,
    seed: int = 0,
    patients: int = 40,
    fine: bool = True,
) -> pathlib.Path:
    """Write one run of ``patients`` test patients; the last quarter of them never move (null controls)."""
    rng = np.random.default_rng([seed, round(1000 * skill)])
    world = np.random.default_rng(seed)  # the same patients for every arm
    pairs, observations = [], []
    for number in range(patients):
        name = f"{world.integers(16**12):012x}"
        visits = 4 if fine else 1
        steps = world.normal(0, 60 if number < 0.75 * patients else 4, visits)
        scores = 300 + 60 * world.normal() + np.cumsum(steps)
        days = np.cumsum(world.integers(1, 5, visits)) - 1
        predicted = 300 + skill * (scores - 300) + rng.normal(0, 30, visits)
        for v in range(visits):
            split = "test" if number >= 5 else "val"
            observations.append([name, v, days[v] - days[0], scores[v], predicted[v], split])
        for a in range(visits if number >= 5 else 0):
            for b in range(a + 1, visits):
                delta, guess = scores[b] - scores[a], predicted[b] - predicted[a]
                distance = np.clip(0.05 + skill * abs(delta) / 400 + abs(rng.normal(0, 0.1)), 0, 2)
                pairs.append(
                    [name, f"{name}/{a}", f"{name}/{b}", a, b, days[b] - days[a], scores[a], scores[b], delta, guess,
                     distance, int(np.sign(delta) * (abs(delta) > 30)), int(np.sign(guess) * (abs(guess) > 30))]
                )  # fmt: skip
    step = folder / "eval" / "300"
    step.mkdir(parents=True)
    _csv(
        step / "pairs.csv",
        "patient,first,second,visit_1,visit_2,days,score_1,score_2,delta,predicted_delta,distance,change,predicted_change",
        pairs,
    )
    _csv(step / "observations.csv", "patient,visit,time_days,score,predicted,split", observations)
    scores = {
        "step": 300, "score_name": "sf_ratio", "change_threshold": 30.0, "pairs": "visits", "order": "all",
        "note": "" if fine else "no fine pairs: 35 patients, 1 visit each",
        "rows": _rows(rng, 0.5 + skill / 3, fine, len(pairs)),
        "fingerprints": {"data": "d41d8cd9", "split": "8f00b204"},
    }  # fmt: skip
    (step / "scores.json").write_text(json.dumps(scores))
    floors = np.random.default_rng(seed)
    rows = {name: _rows(floors, 0.5, fine, len(pairs)) for name in ("majority", "time_only", "pixels", "random_init")}
    (folder / "eval" / "floors.json").write_text(json.dumps({"rows": rows}))
    config = {
        "seed": 0, "steps": 300, "batch_size": 32, "backbone": {"name": "tsm_resnet18", "norm": "batch"},
        "data": {"dir": "/home/someone/secret/lus_demo", "score": "sf_ratio"}, "objective": {"name": objective},
        "eval": {"change_threshold": 30.0, "pairs": "visits", "confidence": 0.95},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    loss = 0.3 + np.exp(-np.arange(60) / 15) + rng.normal(0, 0.05, 60)
    lines = [json.dumps({"step": 5 * (at + 1), "loss": value}) for at, value in enumerate(loss)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def demo(tmp_path: pathlib.Path) -> pathlib.Path:
    """Three evaluated arms."""
    make_run(tmp_path / "demo" / "combined", "learner_combined", skill=0.9)
    make_run(tmp_path / "demo" / "contrastive", "learner", skill=0.7)
    make_run(tmp_path / "demo" / "mse", "mse", skill=0.3)
    return tmp_path / "demo"


@pytest.fixture
def run_at() -> Callable[..., pathlib.Path]:
    """:func:`make_run`, for tests that want another folder or other numbers."""
    return make_run


def _rows(rng: np.random.Generator, centre: float, fine: bool, n_pairs: int) -> list[dict]:
    rows = []
    for name in (*HEADLINE, *OTHER):
        value = float(np.clip(centre + rng.normal(0, 0.03) - 0.4 * (name == "kendall_tau_b"), -1, 1))
        known = fine or name.startswith(("coarse", "score"))
        rows.append(
            {
                "name": name, "value": value if known else None, "low": value - 0.06 if known else None,
                "high": value + 0.05 if known else None, "n_patients": 35, "n_pairs": n_pairs if known else 0,
                "note": "" if known else "no fine pairs",
            }
        )  # fmt: skip
    return rows


def _csv(path: pathlib.Path, header: str, rows: list[list]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])
