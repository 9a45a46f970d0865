"""Time and memory of every objective, forward and backward, compared with its straightforward definition.

    python -m benchmarks.objectives --quick

*ours* is what a training step calls: rows gathered, anchors in blocks, activations of a block recomputed in the
backward pass. *dense* is the same formula with all pairs at once. *published* is Rank-N-Contrast as its authors wrote
it: n x n x p differences, and an n x n mask for each of the n - 1 positives, operation by operation; in PyTorch where
it is installed, else in JAX without jit. Every arm runs in a process of its own. Seconds are the median of several
calls after the first; memory is how far the peak of the process rises above what it held before the first call.
"""

import argparse
import contextlib
import ctypes
import dataclasses
import itertools
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from learner_jax import objectives
from learner_jax.batch import Batch
from learner_jax.config import ObjectiveConfig
from learner_jax.mesh import make_mesh
from learner_jax.objectives.api import projected
from learner_jax.objectives.parts import Part, Shared, parts

TAU = 2.0
N_PATIENTS = 4096
WIDTHS, ARMS = (128, 512), ("ours", "dense")
MOST_DENSE, MOST_PUBLISHED = 8192, 512  # beyond these sizes the definitions take many GiB or minutes
FREE_FOR_PUBLISHED = 16  # GiB; at n = 1,024 it takes 12


def make_rows(n: int, p: int, distinct: int) -> tuple[np.ndarray, Batch]:
    """Projections and a batch of ``n`` scans of at most n / 4 patients, with ``distinct`` scores (0: all different)."""
    rng = np.random.default_rng(0)
    # multiples of 1/32: differences are exact in float32, so the published code sees every tie
    score = (rng.integers(0, distinct, n) - distinct // 2) / 32 if distinct else rng.normal(size=n)
    index, none = np.arange(n, dtype=np.int32), np.zeros(n, np.int32)
    batch = Batch(
        scan=np.zeros((n, 1, 1, 1, 1), np.uint8),
        scale=np.ones(n, np.float32),
        offset=np.zeros(n, np.float32),
        score=score.astype(np.float32),
        patient=rng.integers(0, min(max(n // 4, 1), N_PATIENTS), n).astype(np.int32),
        visit=none,
        view=none,
        site=none,
        row=index // 2,
        time_days=np.zeros(n, np.float32),
        mask=np.ones(n, bool),
    )
    return rng.normal(size=(n, p)).astype(np.float32), batch


def ours(name: str, z: np.ndarray, batch: Batch) -> Callable[[], object]:
    """A compiled call of value and gradient, as a train step makes it."""
    objective = objectives.create(_config(name), make_mesh(), N_PATIENTS)
    params, state = objective.init(jax.random.key(0), z.shape[1])

    def value(z: jax.Array) -> jax.Array:
        return objective.loss(params, state, z, z, batch, None, 0.0)[1][name]

    return _compiled(value, z)


def dense(name: str, z: np.ndarray, batch: Batch) -> Callable[[], object]:
    """The same formula with all pairs at once, and every activation kept for the backward pass."""
    part, config = parts.get(name), _config(name)
    params, _ = objectives.create(config, make_mesh(), N_PATIENTS).init(jax.random.key(0), z.shape[1])

    def value(z):
        rows = projected(z, batch)
        if part.predict:
            rows = dataclasses.replace(rows, prediction=part.predict(params, z))
        survey = part.survey(config, rows, rows) if part.survey else None
        loss, weight = part.function(config, Shared(params, part.temperature or 1.0, survey), rows, part.prepare(rows))
        return loss.sum() / weight.sum()

    return _compiled(value, z)


def published(name: str, z: np.ndarray, batch: Batch) -> Callable[[], object]:
    """Rank-N-Contrast by its definition, without a compiler."""
    assert name == "rank_n_contrast"
    try:
        import torch
    except ImportError:
        return _published_in_jax(z, batch)
    return _published_in_torch(torch, z, batch)


def _published_in_torch(torch, z, batch):
    def call():
        x, y = torch.tensor(z, requires_grad=True), torch.tensor(batch.score)[:, None]
        n, off = len(x), ~torch.eye(len(x), dtype=torch.bool)
        d = (y - y.T).abs()[off].view(n, n - 1)
        logits = -(x[:, None] - x[None]).norm(2, dim=-1) / TAU
        logits = (logits - logits.max(1, keepdim=True).values.detach())[off].view(n, n - 1)
        mass, loss = logits.exp(), 0.0
        for k in range(n - 1):
            away = (d >= d[:, k, None]).float()
            loss = loss - (logits[:, k] - torch.log((away * mass).sum(1))).sum() / (n * (n - 1))
        loss.backward()
        return loss.item(), x.grad

    return call


def _published_in_jax(z, batch):
    def value(x):
        y, n = jnp.asarray(batch.score)[:, None], len(x)
        off = ~np.eye(n, dtype=bool)
        d = jnp.abs(y - y.T)[off].reshape(n, n - 1)
        squares = jnp.square(x[:, None] - x[None]).sum(-1)
        logits = -jnp.sqrt(jnp.where(off, squares, 1)) / TAU
        logits = (logits - jax.lax.stop_gradient(logits.max(1, keepdims=True)))[off].reshape(n, n - 1)
        mass, loss = jnp.exp(logits), 0.0
        for k in range(n - 1):
            away = (d >= d[:, k, None]).astype(jnp.float32)
            loss = loss - (logits[:, k] - jnp.log((away * mass).sum(1))).sum() / (n * (n - 1))
        return loss

    return lambda: jax.block_until_ready(jax.value_and_grad(value)(jnp.asarray(z)))


def _config(name: str) -> ObjectiveConfig:
    return ObjectiveConfig(name=f"mse+{name}" if parts.get(name).regularises else name)


def _compiled(value: Callable, z: np.ndarray) -> Callable[[], object]:
    z = jnp.asarray(z)
    call = jax.jit(jax.value_and_grad(value)).lower(z).compile()
    return lambda: jax.block_until_ready(call(z))


def _status(field: str) -> float:
    """MiB in a field of /proc/self/status; NaN on systems without it."""
    with contextlib.suppress(FileNotFoundError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) / 1024
    return float("nan")


def measure(how: str, name: str, n: int, p: int, distinct: int) -> dict:
    """Seconds, MiB and value of one arm, in a process of its own; a process may measure several sizes, small first."""
    _give_back()
    z, batch = make_rows(n, p, distinct)
    call = {"ours": ours, "dense": dense, "published": published}[how](name, z, batch)
    before = _status("VmRSS")
    _forget_peak()
    taken, value = [], None
    while not taken or (how != "published" and len(taken) < 8 and sum(taken) < 4):
        start = time.perf_counter()
        value = call()[0]
        taken.append(time.perf_counter() - start)
        if len(taken) == 1:
            mib = _status("VmHWM") - before
    seconds = statistics.median(taken[1:] or taken)
    return {"seconds": seconds, "mib": mib, "value": float(value)}


def _give_back() -> None:
    """Return what earlier calls freed to the system; reused, it would be missing from the peak of the next call."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        print("the memory peak cannot be reset here, so figures include what compilation took", file=sys.stderr)


def in_own_process(how: str, name: str, sizes: list[int], p: int, distinct: int) -> dict[int, dict]:
    """:func:`measure` each size in one child process, until that runs out of memory or has taken ten minutes."""
    command = [sys.executable, "-m", "benchmarks.objectives", "--one", json.dumps([how, name, sizes, p, distinct])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        timer = threading.Timer(600, child.kill)
        timer.start()
        found = {}
        for n, line in zip(sizes, child.stdout, strict=False):
            found[n] = json.loads(line)
            show(how, name, n, p, distinct, found[n])
        timer.cancel()
    return found


def free_gib() -> float:
    """Memory that a new process could use, in GiB."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) / 2**20
    return 0.0


def show(how: str, name: str, n: int, p: int, distinct: int, found: dict) -> None:
    """One line of the table."""
    cost = f"{found['seconds']:9.3f} s {found['mib']:9.1f} MiB   {found['value']:.6g}"
    print(f"{name:18} {n:6} {p:4} {distinct or 'all':>6}  {how:10}{cost}", flush=True)


def every_size(names: list[str], sizes: list[int]) -> dict:
    """Measure all sizes, widths and arms of the named objectives: ``{(name, p, n, how): what was measured}``."""
    cells = {}
    for name in names:
        arms = {"ours": sizes}
        if parts.get(name).pairwise:
            arms["dense"] = [n for n in sizes if n <= MOST_DENSE]
        if name == "rank_n_contrast":
            arms["published"] = [n for n in sizes if n <= MOST_PUBLISHED]
        for p, (how, fitting) in itertools.product(WIDTHS, arms.items()):
            found = in_own_process(how, name, fitting, p, 0)
            cells |= {(name, p, n, how): one for n, one in found.items()}
    return cells


def markdown(cells: dict, sizes: list[int]) -> str:
    """A table for each width: milliseconds and MiB of ours, then after a slash those of the dense formula."""

    def cell(*key) -> str:
        return " / ".join(_cell(cells[*key, how]) for how in ARMS if (*key, how) in cells)

    lines = []
    for p in WIDTHS:
        lines += ["", f"| d = {p} | " + " | ".join(f"n = {n:,}" for n in sizes) + " |", "|" + "---|" * (len(sizes) + 1)]
        for name in dict.fromkeys(name for name, *_ in cells):
            lines.append(f"| `{name}` | " + " | ".join(cell(name, p, n) for n in sizes) + " |")
    return "\n".join(lines)


def _cell(found: dict) -> str:
    ms = 1000 * found["seconds"]
    return f"{ms:,.0f} ms {found['mib']:,.0f}" if ms >= 10 else f"{ms:.1f} ms {found['mib']:,.0f}"


def disagreement(cells: dict) -> float:
    """Largest relative difference between our value and that of the dense formula."""
    ours, dense = ({key[:-1]: found["value"] for key, found in cells.items() if key[-1] == how} for how in ARMS)
    return max((abs(ours[key] / dense[key] - 1) for key in ours.keys() & dense.keys()), default=0.0)


def main() -> None:
    """Measure all arms, print a table and one line of JSON."""
    parser = argparse.ArgumentParser("python -m benchmarks.objectives", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="Rank-N-Contrast alone, under 4 minutes")
    parser.add_argument("--names", default="", help="objectives, separated by commas (default: all)")
    parser.add_argument("--sizes", default="256,512,1024,2048,4096,8192,16384", help="batch sizes, separated by commas")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        how, name, sizes, p, distinct = json.loads(args.one)
        measure(how, name, 64, p, distinct)  # threads and buffers that a process creates once
        for n in sizes:
            print(json.dumps(measure(how, name, n, p, distinct)), flush=True)
        return
    print(f"{'objective':18} {'n':>6} {'p':>4} {'scores':>6}  {'arm':10}{'time':>11} {'peak':>13}   value")
    sizes = sorted(map(int, args.sizes.split(",")))
    headline = {}
    if not args.quick:
        names = args.names.split(",") if args.names else [x for x in parts.list() if isinstance(parts.get(x), Part)]
        cells = every_size(names, sizes)
        print(markdown(cells, sizes), "", sep="\n")
        headline["largest_disagreement"] = disagreement(cells)

    def run(how: str, n: int, distinct: int) -> dict:
        return in_own_process(how, "rank_n_contrast", [n], 512, distinct).get(n, {})

    rnc = run("ours", 1024, 100)
    wide = run("ours", 8192, 0)
    headline |= {"rnc_1024_s": rnc["seconds"], "rnc_1024_mib": rnc["mib"], "rnc_8192_s": wide["seconds"]}
    headline |= {"rnc_8192_mib": wide["mib"], "rnc_1024_ratio": None}
    if free_gib() < FREE_FOR_PUBLISHED:
        print(f"published definition skipped: it needs {FREE_FOR_PUBLISHED} GiB free, and there are {free_gib():.1f}")
    else:
        reference = run("published", 1024, 100)
        again = run("ours", 1024, 100)
        if reference:
            mine = statistics.median([rnc["seconds"], again["seconds"]])
            headline["rnc_1024_ratio"] = reference["seconds"] / mine
            headline |= {"published_1024_s": reference["seconds"], "published_1024_mib": reference["mib"]}
            headline["value_difference"] = abs(reference["value"] - rnc["value"])
    print(json.dumps({"benchmark": "objectives", "quick": args.quick, **headline}))


if __name__ == "__main__":
    main()
