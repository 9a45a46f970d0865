"""Yeast colonies: does training on coarse differences between colonies put the days of one colony in order?

    python -m benchmarks.growth --data data/growth --out runs/growth

The strict coarse setting (one photograph of each training colony, and only the grade of its growth) in two sizes: 24
colonies in 2 grades and 64 in 3. Contrastive, MSE and both together, ten seeds each; every seed draws its own training
colonies, photographs, weights and orders. All arms are scored on the same 288 held-out colonies: all visits, late
visits (from 67 hours on), and colonies that never grow (null controls), beside the floors. Prints Markdown tables and
one line of JSON. Finished runs are not repeated. About 80 minutes of one core; ``--quick`` takes two seeds of 20 steps.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from absl import flags

from learner_jax.compilation_cache import keep_compiled
from learner_jax.evaluate import evaluate, find
from learner_jax.evaluators import arms

ARMS = {"contrastive": "learner", "mse": "mse", "combined": "learner_combined"}
SETTINGS = {"24x2": (24, "40"), "64x3": (64, "20,50")}  # training colonies, cuts between grades of growth
LATE = 2.77  # days: the last five photographs, from 66.7 hours on
COLUMNS = {
    "all visits": ("pairwise_accuracy", ""),
    "Kendall τ-b": ("kendall_tau_b", ""),
    "late visits": ("pairwise_accuracy", f"from day {LATE:g}"),
    "null: false change": ("null_false_change", ""),
    "null: trend": ("null_trend", ""),
}


def train(folder: Path, data: str, setting: str, seeds: int, extra: list[str]) -> None:
    """Train the arms and seeds of a setting that are not finished."""
    patients, cuts = SETTINGS[setting]
    for seed in range(seeds):
        for arm, objective in ARMS.items():
            fields = {
                "data.dir": data,
                "objective.name": objective,
                "seed": seed,
                "data.draw": seed,
                "data.train_patients": patients,
                "data.score_cuts": cuts,
            }
            flags = [f"--config.{name}={value}" for name, value in fields.items()]
            command = [sys.executable, "-m", "learner_jax.main", "--config", "configs/growth.py", *flags, *extra]
            subprocess.run(
                [*command, "--workdir", str(folder / f"{arm}-{seed}")], check=True, stdout=subprocess.DEVNULL
            )


def table(folder: Path) -> tuple[str, dict]:
    """Markdown of a setting. Arms: mean [interval over colonies] ± SD over seeds. Floors: mean ± SD over draws."""
    runs = find(folder)
    lines = ["| | " + " | ".join(COLUMNS) + " |", "|---|" + "---|" * len(COLUMNS)]
    figures = {}
    for name, arm in json.loads((folder / arms.ARMS_FILE).read_text()).items():
        found = {(row["name"], row["at"]): row for row in arm["all"]}
        figures[name] = {title: found[key]["value"] for title, key in COLUMNS.items()}
        cells = [interval(found[key]) for key in COLUMNS.values()]
        lines.append(f"| {name}, {len(arm['runs'])} seeds | " + " | ".join(cells) + " |")
    floors = dict.fromkeys(section for run in runs for section, _ in values(run))
    for floor in floors:
        each = [values(run) for run in runs]
        own = [[one[floor, key] for one in each if (floor, key) in one] for key in COLUMNS.values()]
        cells = [f"{np.mean(x):.2f} ± {np.std(x, ddof=1):.2f}" if len(x) > 1 else "–" for x in own]
        lines.append(f"| floor: {floor} | " + " | ".join(cells) + " |")
    return "\n".join(lines), figures


def values(run: Path) -> dict[tuple[str, tuple[str, str]], float]:
    """``(floor, (name, at)) -> value`` of a run's floors."""
    with (run / "eval/floors.csv").open(newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["value"]]
    return {(line["section"], (line["name"], line["at"])): float(line["value"]) for line in lines}


def interval(row: dict) -> str:
    """``0.81 [0.80, 0.83] ± 0.02``."""
    if row["value"] is None:
        return "–"
    return f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}] ± {row['sd']:.2f}"


def differences(folder: Path) -> list[str]:
    """One line per arm: its difference from MSE in pairwise accuracy, with interval and p-value."""
    return arms.told(json.loads((folder / arms.COMPARISON_FILE).read_text()))


def main() -> None:
    """Train and score what is not finished, and print the tables."""
    parser = argparse.ArgumentParser("python -m benchmarks.growth", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data", default="data/growth", help="the built dataset, with the split held_out")
    parser.add_argument("--out", type=Path, default=Path("runs/growth"), help="folder of the runs")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="2 seeds of 20 steps: does it run")
    args = parser.parse_args()
    flags.FLAGS.mark_as_parsed()  # grain reads an absl flag
    keep_compiled()
    extra = ["--config.steps=20"] if args.quick else []
    scoring = [f"--config.eval.late_from_days={LATE}", "--config.eval.readouts=none"]
    scoring += [f"--config.eval.bootstrap={100 if args.quick else 1000}"]
    figures = {}
    for setting in SETTINGS:
        folder = args.out / setting
        train(folder, args.data, setting, 2 if args.quick else args.seeds, [*scoring, *extra])
        evaluate(folder, scoring, compare=folder / "mse-0")
        text, figures[setting] = table(folder)
        print(f"\n{setting}\n{text}", *differences(folder), sep="\n", flush=True)
    print(json.dumps({"benchmark": "growth", "quick": args.quick, **figures}))


if __name__ == "__main__":
    main()
