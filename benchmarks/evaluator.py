"""The evaluator: its speed beside the loop a user would write and beside the bare forward pass, and its memory.

    python -m benchmarks.evaluator --quick

1. Bootstrap: 300 patients of 6 visits, 12 quantities, 2,000 replicates over patients. Ours computes these and all
   others of their families; the peer is a loop that gathers the drawn patients' pairs and calls scipy, scikit-learn
   and numpy (timed for a few replicates and scaled to 2,000). Both give the same values.
2. Embedding: throughput of the embedding pass, which reads records from disk, over that of the bare forward pass on a
   batch that is already on the device, for the same number of batches; in turns, median of ratios. Also the processor
   time of reading alone over the time of the bare pass: that much is lost where the pass keeps every processor busy.
3. Memory: peak of a process that fits, scores and analyses the read-outs of 100,000 embeddings of width 768,
   interpreter and libraries included.

Ends with one line of JSON. Seven minutes on 2 cores; ``--quick`` (fewer rounds, 20,000 embeddings, the small
backbone alone) 75 seconds.
"""

import argparse
import contextlib
import itertools
import json
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np

from learner_jax.evaluators.change import change_class
from learner_jax.evaluators.pairs import Observations
from learner_jax.evaluators.predictions import Predictions, Truth

NAMES = ("pairwise_accuracy", "direction_auroc", "kendall_tau_b", "rm_correlation", "macro_f1", "balanced_accuracy")
NAMES += ("quadratic_kappa", "brier", "delta_pearson", "delta_ccc", "delta_mae", "delta_spearman")
FAMILIES = ("order", "direction", "three_way", "probability", "amount")
REPLICATES, THRESHOLD, WIDTH = 2000, 1.0, 768


def cohort(patients: int, visits: int, width: int, first: int = 0, seed: int = 0) -> Observations:
    """Simulated visits; the first dimension of the embedding holds the score plus noise."""
    rng = np.random.default_rng([seed, first])
    patient, visit = np.repeat(np.arange(patients), visits) + first, np.tile(np.arange(visits), patients)
    score = (rng.normal(0, 2, patients)[patient - first] + rng.normal(0, 1.2, len(patient))).astype(np.float32)
    u = rng.standard_normal((len(patient), width), np.float32)
    u[:, 0] += score
    rows = tuple((int(i),) for i in range(first * visits, first * visits + len(patient)))
    return Observations(u, score, patient, visit, visit.astype(np.float32) * 7, np.full(len(patient), -1), rows)


def simulate(patients: int, visits: int) -> Predictions:
    """Simulated scores, classes and probabilities of all pairs."""
    truth = Truth.of(cohort(patients, visits, 1), "visits", "all", THRESHOLD)
    rng = np.random.default_rng(1)
    scores = truth.observations.score + rng.normal(0, 1, len(truth.patient_of))
    delta = scores[truth.second] - scores[truth.first]
    p = rng.dirichlet([1, 1, 1], len(delta)) + np.eye(3)[truth.change + 1]
    return Predictions(truth, delta, change_class(delta, THRESHOLD), p / p.sum(1, keepdims=True), scores)


def published(simulated: Predictions, drawn: np.ndarray) -> dict[str, float]:
    """The 12 quantities by scipy, scikit-learn and numpy, over the patients ``drawn`` (with repeats)."""
    from scipy.stats import kendalltau, pearsonr, spearmanr
    from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, f1_score, roc_auc_score

    truth = simulated.truth
    pairs = np.concatenate([np.flatnonzero(truth.patient == p) for p in drawn])
    x, y, a, b = truth.delta[pairs], simulated.delta[pairs], truth.change[pairs], simulated.change[pairs]
    seen = [np.flatnonzero(truth.patient_of == p) for p in drawn]
    true = truth.observations.score.astype(float)
    centred = [np.concatenate([z[own] - z[own].mean() for own in seen]) for z in (true, simulated.scores)]
    moved = a != 0
    return {
        "pairwise_accuracy": np.mean((1 + np.sign(x) * np.sign(y))[x != 0]) / 2,
        "direction_auroc": roc_auc_score(a[moved] > 0, y[moved]),
        "kendall_tau_b": np.mean([kendalltau(true[own], simulated.scores[own]).statistic for own in seen]),
        "rm_correlation": pearsonr(*centred).statistic,
        "macro_f1": f1_score(a, b, average="macro"),
        "balanced_accuracy": balanced_accuracy_score(a, b),
        "quadratic_kappa": cohen_kappa_score(a, b, weights="quadratic"),
        "brier": np.mean(np.sum((simulated.probability[pairs] - np.eye(3)[a + 1]) ** 2, axis=1)),
        "delta_pearson": pearsonr(x, y).statistic,
        "delta_ccc": 2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2),
        "delta_mae": np.abs(x - y).mean(),
        "delta_spearman": spearmanr(x, y).statistic,
    }


def bootstrap(rounds: int, peer_replicates: int) -> dict[str, float]:
    """Seconds of ours (cold and warm) and of the loop, interleaved."""
    from learner_jax.config import EvalConfig
    from learner_jax.evaluators.scoring import draws, estimate

    simulated, config = simulate(300, 6), EvalConfig(change_threshold=THRESHOLD, bootstrap=REPLICATES)
    rng = np.random.default_rng(0)

    def ours() -> dict[str, float]:
        return {f.name: f.replicates.value for f in estimate(simulated, draws(300, config), FAMILIES)}

    def loop() -> None:
        for _ in range(peer_replicates):
            published(simulated, rng.integers(0, 300, 300))

    cold = seconds(ours)
    found, expected = ours(), published(simulated, np.arange(300))
    apart = max(abs(found[name] - expected[name]) for name in NAMES)
    assert apart < 1e-5, f"ours and the published values differ by {apart}"
    times = [(seconds(ours), seconds(loop) * REPLICATES / peer_replicates) for _ in range(rounds)]
    mine, theirs = np.median(times, axis=0)
    told = f"{len(found)} quantities in {mine:.2f} s ({cold:.2f} s with compilation), loop of 12 {theirs:.0f} s"
    print(f"bootstrap: {told}; values to {apart:.1e}", flush=True)
    return {
        "bootstrap_seconds": mine,
        "bootstrap_seconds_cold": cold,
        "bootstrap_loop_seconds": theirs,
        "bootstrap_ratio": float(np.median([b / a for a, b in times])),
        "bootstrap_largest_difference": apart,
    }


def embedding(rounds: int, cases: dict[str, tuple[str, int, int, int, int]]) -> dict[str, float]:
    """Throughput of the embedding pass as a fraction of the bare forward pass's, by case.

    Args:
      rounds: of each case.
      cases: ``name -> (backbone, frames, size, batch, batches)``.
    """
    found, reading = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for case, (name, frames, size, batch, batches) in cases.items():
            bare, whole, read = _passes(Path(folder) / case, name, frames, size, batch, batches)
            bare(), whole()
            spent = []
            for i in range(rounds):
                order = (bare, whole) if i % 2 else (whole, bare)
                taken = {run: seconds(run) for run in order}
                spent.append((taken[bare], taken[whole]))
            found[case] = float(np.median([a / b for a, b in spent]))
            reading[case] = processor_seconds(read) / float(np.median([a for a, _ in spent]))
            a, b = (batch * batches / np.median(x) for x in zip(*spent, strict=True))
            print(
                f"embedding, {case}: {b:.1f} scans/s of {a:.1f} bare, {found[case]:.3f}; "
                f"reading keeps a processor busy for {reading[case]:.3f} of the bare pass",
                flush=True,
            )
    return {"embed_fraction_of_forward": min(found.values()), "embed_fractions": found, "embed_reading_share": reading}


def _passes(folder: Path, name: str, frames: int, size: int, batch: int, batches: int) -> list[Callable[[], object]]:
    """The bare forward pass, the embedding pass, and reading alone, each over ``batches`` of a dataset built here."""
    import jax

    from configs.demo import get_config
    from learner_jax import backbones
    from learner_jax.data import cohort as cohorts
    from learner_jax.data.device import on_device
    from learner_jax.data.pipeline import evaluation_batches, open_reader
    from learner_jax.evaluators.embed import Embedder, encoder_of
    from learner_jax.mesh import make_mesh
    from tfds_builders import build

    knobs = {"n_patients": 40, "visits": 4, "views": 2, "frames": frames, "size": size, "processes": 1}
    flags = [text for knob, value in knobs.items() for text in (f"--{knob}", str(value))]
    with contextlib.redirect_stdout(sys.stderr):
        assert build.main(["synthetic_lus", "--data_dir", str(folder), *flags]) == 0
    config = get_config()
    config.data.dir, config.data.frames, config.data.size = str(folder), frames, size
    cohort = cohorts.load(config.data)
    reader, mesh, backbone = open_reader(cohort, config.data), make_mesh(), backbones.create(name)
    variables = jax.jit(lambda key: backbone.init(key, reader.spec(1)))(jax.random.key(0))
    rows = np.resize(np.arange(len(cohort.score)), batch * batches)
    encode = encoder_of(backbone, config)
    embed, forward = Embedder(encode, reader, mesh, batch), jax.jit(encode)
    (resident,) = on_device(evaluation_batches(reader, rows[:batch], batch, mesh), mesh)
    return [
        lambda: jax.block_until_ready([forward(variables, resident) for _ in range(batches)]),
        lambda: embed(variables, rows),
        lambda: list(map(len, (one.row for one in evaluation_batches(reader, rows, batch, mesh)))),
    ]


def memory(scans: int) -> dict[str, float]:
    """Peak memory and seconds of a whole evaluation of ``scans`` embeddings of width 768, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.evaluator", "--alone", str(scans)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    told = json.loads(done.stdout.splitlines()[-1])
    print(f"memory: {scans:,} x {WIDTH} evaluated in {told['seconds']:.0f} s, peak {told['gib']:.2f} GiB", flush=True)
    return {"evaluate_scans": scans, "evaluate_peak_gib": told["gib"], "evaluate_seconds": told["seconds"]}


def evaluate_alone(scans: int) -> dict[str, float]:
    """Fit every read-out, score and analyse; peak memory of this process in GiB, and seconds."""
    from learner_jax.config import EvalConfig
    from learner_jax.evaluators.analyses import analyses
    from learner_jax.evaluators.evaluation import chosen_readouts, fit_readouts, score
    from learner_jax.evaluators.readouts import Context

    patients, visits = scans // 5, 5
    ends = np.round(np.cumsum([0, 0.6, 0.15, 0.25]) * patients).astype(int)
    train, val, test = (cohort(b - a, visits, WIDTH, first=int(a)) for a, b in itertools.pairwise(ends))
    config = EvalConfig(change_threshold=THRESHOLD, bootstrap=REPLICATES, label_noise=0.5, late_from_days=14)
    kernel = np.random.default_rng(2).normal(size=(WIDTH, 1)).astype(np.float32)
    heads = {"head": {"kernel": kernel, "bias": np.zeros(1)}, "davidson": {"kernel": kernel, "log_tie": np.zeros(())}}
    heads |= {"difference": {"kernel": kernel}, "order": {"kernel": kernel}}
    context = Context(config, "score", heads, 0.0, 1.0, "made up")
    places = types.SimpleNamespace(views=("one",), sites=("a", "b", "c"), site=np.arange(scans) // visits % 3)
    start = time.perf_counter()
    found = score(fit_readouts(chosen_readouts("all"), train, val, context, {}), test, config, places)
    taken = time.perf_counter() - start
    missing = {*chosen_readouts("all"), *analyses.list()} - set(found.sections)
    assert not missing, f"not evaluated: {missing}"
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return {"seconds": taken, "gib": int(peak.split()[1]) / 2**20}


def seconds(run: Callable[[], object]) -> float:
    """Of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def processor_seconds(run: Callable[[], object]) -> float:
    """Processor time of one call, over all threads."""
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.evaluator", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="fewer rounds, fewer embeddings, the small backbone alone")
    parser.add_argument("--alone", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.alone:
        print(json.dumps(evaluate_alone(args.alone)))
        return
    cases = {"tsm_resnet18_narrow 4x64x64": ("tsm_resnet18_narrow", 4, 64, 32, 20)}
    if not args.quick:
        cases["tsm_resnet18 8x112x112"] = ("tsm_resnet18", 8, 112, 16, 8)
    figures = bootstrap(*((3, 5) if args.quick else (7, 20)))
    figures |= embedding(3 if args.quick else 7, cases)
    figures |= memory(20_000 if args.quick else 100_000)
    print(json.dumps({"benchmark": "evaluator", "quick": args.quick, **figures}))


if __name__ == "__main__":
    main()
