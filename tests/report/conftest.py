"""Run folders as the trainer and the evaluator leave them, with numbers drawn at random."""

import csv
import json
import pathlib
import shutil
import statistics
from collections.abc import Callable, Sequence

import numpy as np
import pytest

FINE = (
    *("pairwise_accuracy", "direction_auroc", "kendall_tau_b", "rm_correlation", "noticed_change"),
    *("macro_f1", "balanced_accuracy", "quadratic_kappa", "brier", "delta_mae", "delta_ccc"),
    "embedding_distance_spearman",
)
COARSE = ("coarse_c_index", "score_mae", "score_spearman")
FLOORS = ("majority", "first_visit", "time_only", "pixels", "random_init")
NO_COVARIATES = "the dataset stores no covariates (python -m tfds_builders.build … --covariates)"
NOT_STATED = "the score's measurement error is not stated: set --config.eval.label_noise=… (its SD, in score units)"
SPANS = ("0.5 to 10", "10 to 40", "40 to 90", "90 to 400")


def make_run(
    folder: pathlib.Path,
    objective: str = "mse",
    skill: float = 0.5,
    seed: int = 0,
    patients: int = 40,
    fine: bool = True,
    order: str = "all",
    draw: int = 0,
) -> pathlib.Path:
    """Write one run of ``patients`` test patients; the last quarter of them never move (null controls).

    ``draw`` is of training patients: of another draw the floors are other ones.
    """
    rng = np.random.default_rng([seed, round(1000 * skill)])
    world = np.random.default_rng(seed)  # the same patients for every arm
    chances = np.random.default_rng([seed, 1])
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
            place = [(scores[v] - 300) / 100, rng.normal()]
            observations.append([name, v, days[v] - days[0], scores[v], predicted[v], split, *place])
        for a in range(visits if number >= 5 else 0):
            for b in range(a + 1, visits):
                delta, guess = scores[b] - scores[a], predicted[b] - predicted[a]
                distance = np.clip(0.05 + skill * abs(delta) / 400 + abs(rng.normal(0, 0.1)), 0, 2)
                called = int(np.sign(guess) * (abs(guess) > 30))
                pairs.append(
                    [name, f"{name}/{a}", f"{name}/{b}", a, b, days[b] - days[a], scores[a], scores[b], delta, guess,
                     distance, int(np.sign(delta) * (abs(delta) > 30)), called, -called,
                     int(order == "all" or b == a + 1), *chances.dirichlet([1, 2, 1])]
                )  # fmt: skip
    step = folder / "eval" / "300"
    step.mkdir(parents=True)
    _csv(
        step / "pairs.csv",
        "patient,first,second,visit_1,visit_2,days,score_1,score_2,delta,predicted_delta,distance,change,"
        "predicted_change,swapped_change,scored,p_decreased,p_stable,p_increased",
        pairs,
    )
    _csv(step / "observations.csv", "patient,visit,time_days,score,predicted,split,axis_1,axis_2", observations)
    rows = _rows(rng, 0.5 + skill / 3, fine, len(pairs))
    scores = {
        "step": 300, "score_name": "sf_ratio", "change_threshold": 30.0, "pairs": "visits", "order": order,
        "note": "" if fine else "no fine pairs: 35 patients, 1 visit each",
        "notes": {
            "lilac": f"lilac: the objective '{objective}' trained no head 'difference'", "of_ceiling": NOT_STATED,
        },
        "cohort": {
            "modality": "ultrasound", "axis0": "time", "scan_shape": [8, 64, 64, 1],
            "parts": {
                split: {"patients": n, "visits": 4 * n, "scans": 8 * n, "labeled scans": 8 * n, "sites": 1,
                        "views": {"L1": 4 * n, "R1": 4 * n}}
                for split, n in (("train", 77), ("val", 5), ("test", patients - 5))
            },
        },
        "rows": rows, "fingerprints": {"data": "d41d8cd9", "split": "8f00b204", "training_rows": f"draw{draw}"},
    }  # fmt: skip
    (step / "scores.json").write_text(json.dumps(scores))
    by_size = [_row("accuracy_by_size", 0.5 + at * skill / 8, len(pairs), span) for at, span in enumerate(SPANS)]
    error = np.array([pair[9] - pair[8] for pair in pairs])
    limits = zip(("bias", "low", "high"), (0, -1.96, 1.96), strict=True)
    amounts = [
        _row(f"bland_altman_{end}", error.mean() + sds * error.std(ddof=1), len(pairs)) for end, sds in limits if fine
    ]
    amounts += [_row("adaptive_ece", 0.123, len(pairs))] if fine else []
    _sections(step / "scores.csv", {"ridge": [*rows, *amounts, *(by_size if fine else [])], "knn": rows[:3]})
    floors = {name: _rows(np.random.default_rng([draw, at]), 0.5, fine, len(pairs)) for at, name in enumerate(FLOORS)}
    if draw:  # these look at no training patient
        floors["majority"] = _rows(np.random.default_rng([0, 0]), 0.5, fine, len(pairs))
    notes = {"covariates": NO_COVARIATES, "view_only": "all scans are of one view (left)", "noise_ceiling": NOT_STATED}
    (folder / "eval" / "floors.json").write_text(json.dumps({"key": f"{draw}", "rows": floors, "notes": notes}))
    _sections(folder / "eval" / "floors.csv", floors)
    config = {
        "seed": draw, "steps": 300, "batch_size": 32, "backbone": {"name": "tsm_resnet18", "norm": "batch"},
        "data": {"dir": "/home/someone/secret/lus_demo", "score": "sf_ratio"}, "objective": {"name": objective},
        "eval": {"change_threshold": 30.0, "pairs": "visits", "confidence": 0.95},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    around = {"python": "3.11.9", "jax": "0.10.2", "devices": 1, "device_kind": "cpu", "commit": "0123456789ab"}
    (folder / "environment.json").write_text(json.dumps([around]))
    loss = 0.3 + np.exp(-np.arange(60) / 15) + rng.normal(0, 0.05, 60)
    lines = [
        json.dumps({"step": 5 * (at + 1), "loss": value, "effective_rank": 2 + at / 60, "skipped": 0})
        for at, value in enumerate(loss)
    ]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def average(folder: pathlib.Path, members: Sequence[str]) -> dict:
    """What the evaluator writes of an arm: the mean over its runs, an interval, and the SD over them."""
    each = [json.loads((folder / name / "eval" / "300" / "scores.json").read_text())["rows"] for name in members]
    rows, spread = [], {}
    for found in zip(*each, strict=True):
        values = [row["value"] for row in found]
        mean = statistics.fmean(values)
        rows.append({**found[0], "value": mean, "low": mean - 0.06, "high": mean + 0.05})
        spread[found[0]["name"]] = statistics.stdev(values) if len(values) > 1 else None
    return {
        "runs": list(members),
        "rows": rows,
        "sd_over_seeds": {name: sd for name, sd in spread.items() if sd is not None},
    }


def compare(folder: pathlib.Path, reference: str, of_reference: dict, arms: dict[str, Sequence[str]]) -> None:
    """Write ``comparison.json`` of these arms and a reference, which may be of another folder."""
    base, differences = {row["name"]: row["value"] for row in of_reference["rows"]}, {}
    for arm, members in arms.items():
        differences[arm] = [
            {"row": {**row, "value": row["value"] - base[row["name"]], "low": -0.125, "high": 0.25},
             "first": row["value"], "second": base[row["name"]],
             "sd_over_seeds": 0.0321 if len(members) > 1 else None, "p": 0.0005, "p_holm": 0.0075}
            for row in average(folder, members)["rows"]
        ]  # fmt: skip
    values = {"reference": reference, **of_reference, "differences": differences}
    (folder / "comparison.json").write_text(json.dumps(values))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """What :func:`demo` and :func:`seeds` copy: writing these runs takes 0.1 s, copying them a tenth of that."""
    folder = tmp_path_factory.mktemp("built")
    make_run(folder / "demo" / "combined", "learner_combined", skill=0.9)
    make_run(folder / "demo" / "contrastive", "learner", skill=0.7)
    make_run(folder / "demo" / "mse", "mse", skill=0.3)
    several, arms = folder / "seeds", {}
    for name, objective, skill in (("contrastive", "learner", 0.7), ("mse", "mse", 0.3)):
        arms[name] = [make_run(several / f"{name}-{at}", objective, skill + at / 100, draw=at).name for at in range(3)]
    make_run(several / "single", "huber", 0.5, draw=1)
    (several / "arms.json").write_text(json.dumps({name: average(several, runs) for name, runs in arms.items()}))
    return folder


@pytest.fixture
def demo(built: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """Three evaluated arms."""
    return pathlib.Path(shutil.copytree(built / "demo", tmp_path / "demo"))


@pytest.fixture
def seeds(built: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """Two arms of three seeds, each seed with its own draw of training patients, and a run that is alone."""
    return pathlib.Path(shutil.copytree(built / "seeds", tmp_path / "seeds"))


@pytest.fixture
def run_at() -> Callable[..., pathlib.Path]:
    """:func:`make_run`, for tests that want another folder or other numbers."""
    return make_run


@pytest.fixture
def averaged() -> Callable[..., dict]:
    """:func:`average`."""
    return average


@pytest.fixture
def compared() -> Callable[..., None]:
    """:func:`compare`."""
    return compare


def _rows(rng: np.random.Generator, centre: float, fine: bool, n_pairs: int) -> list[dict]:
    values = {name: centre + rng.normal(0, 0.03) - 0.4 * (name == "kendall_tau_b") for name in (*FINE, *COARSE)}
    return [
        _row(name, float(np.clip(value, -1, 1)), None if name.startswith("score") else n_pairs)
        for name, value in values.items()
        if fine or name in COARSE  # without fine pairs the evaluator has no such rows
    ]


def _row(name: str, value: float, n_pairs: int | None, at: str = "") -> dict:
    about = {"n_patients": 35, "n_pairs": n_pairs, "note": "", "at": at}
    return {"name": name, "value": value, "low": value - 0.06, "high": value + 0.05, **about}


def _sections(path: pathlib.Path, sections: dict[str, list[dict]]) -> None:
    lines = [{"section": section, **row} for section, rows in sections.items() for row in rows]
    _csv(path, ",".join(lines[0]), [list(line.values()) for line in lines])


def _csv(path: pathlib.Path, header: str, rows: list[list]) -> None:
    with path.open("w", newline="") as file:  # the evaluator leaves a file empty that has no rows
        csv.writer(file).writerows([header.split(","), *rows] if rows else [])
