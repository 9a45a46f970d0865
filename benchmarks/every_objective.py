"""Every objective on the demo's cohort, backbone and budget: scores on held-out patients and health of training.

    python -m benchmarks.every_objective --data data/demo --out runs/objectives

One run of ``configs/demo.py`` per arm, one after the other; finished runs are not repeated and interrupted ones resume.
Prints a Markdown table and one line of JSON. With one seed and one small synthetic cohort it checks that every
objective learns and that no collapse goes unnoticed; it is no ranking.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from learner_jax.report.runs import load
from learner_jax.report.table import interval

_GROUPS = ("--config.sampler.name=patients_by_visits", "--config.sampler.visits=2")

ARMS: dict[str, tuple[str, ...]] = {  # objective and flags; empty: the objective is the arm's name
    **dict.fromkeys(("mse", "l1", "huber", "cross_entropy", "coral", "learner_combined", "learner"), ()),
    "learner uniform": ("learner", "--config.objective.pair_weight=uniform"),
    "learner inverse density": ("learner", "--config.objective.pair_weight=inverse_density"),
    "learner margin": ("learner", "--config.objective.form=margin"),
    "learner soft InfoNCE": (
        "learner",
        "--config.objective.form=soft_infonce",
        "--config.objective.pair_weight=uniform",
    ),
    **dict.fromkeys(("rank_n_contrast", "supcon", "y_aware", "threshold_kernel", "exp_kernel", "adacon"), ()),
    **dict.fromkeys(("mse+conr", "mse+ranksim", "siamese_margin", "davidson", "simclr"), ()),
    "lilac": ("lilac", *_GROUPS),
    "lilac_order": ("lilac_order", *_GROUPS),
    "combined, adversary": ("mse+learner+patient_adversary", *_GROUPS, "--config.objective.ramp=rise"),
    "combined, centred": ("learner_combined", *_GROUPS, "--config.objective.centre_patients=true"),
}
SCORES = {"pairwise_accuracy": "pairwise accuracy", "kendall_tau_b": "Kendall τ-b", "score_spearman": "score ρ"}
HEALTH = {
    "mean_cosine": "mean cos",
    "effective_rank": "eff. rank",
    "alignment": "alignment",
    "uniformity": "uniformity",
    "contrastive_accuracy": "contr. acc.",
    "zero_loss_share": "zero loss",
}


def folder(out: Path, name: str) -> Path:
    """Where the run of an arm lies."""
    return out / name.replace(" ", "_").replace(",", "")


def train(name: str, data: str, out: Path, extra: list[str]) -> bool:
    """Train one arm; return whether it succeeded."""
    objective, *flags = ARMS[name] or (name,)
    workdir = folder(out, name)
    command = [sys.executable, "-m", "learner_jax.main", "--config", "configs/demo.py", "--workdir", str(workdir)]
    command += [f"--config.data.dir={data}", f"--config.objective.name={objective}", *flags, *extra]
    start = time.time()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith(("warning", "error"))]
    print(f"{name}: exit {done.returncode} after {time.time() - start:.0f} s", *lines, sep="\n  ", flush=True)
    return done.returncode == 0


def table(out: Path, names: list[str]) -> str:
    """Markdown, one line per arm: its scores, its last metrics, and whether it collapsed."""
    head = ["arm", *SCORES.values(), *HEALTH.values(), "collapsed"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name in names:
        run = load(folder(out, name))
        last = run.metrics[-1]
        figures = [f"{last[key]:.2f}" if last.get(key) is not None else "–" for key in HEALTH]
        scores = [interval(run.rows.get(key)) for key in SCORES]
        lines.append("| " + " | ".join([name, *scores, *figures, "yes" if run.collapse else "no"]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Train what is not finished and print the table."""
    parser = argparse.ArgumentParser("python -m benchmarks.every_objective", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data", default="data/demo", help="the built synthetic cohort")
    parser.add_argument("--out", type=Path, default=Path("runs/objectives"), help="folder of the runs")
    parser.add_argument("--arms", default="", help="arms with semicolons between them; empty: all")
    parser.add_argument("--quick", action="store_true", help="20 steps an arm: does it run")
    args = parser.parse_args()
    names = [name.strip() for name in args.arms.split(";")] if args.arms else list(ARMS)
    extra = ["--config.steps=20", "--config.eval.bootstrap=100"] if args.quick else []
    done = [name for name in names if train(name, args.data, args.out, extra)]
    print(table(args.out, done))
    failed = sorted(set(names) - set(done))
    print(json.dumps({"benchmark": "every_objective", "quick": args.quick, "arms": len(done), "failed": failed}))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
