"""The whole trainer beside a plain PyTorch loop that does the same work, in turns in one process.

    python -m benchmarks.train --quick

TSM-ResNet-18, `learner_combined`, AdamW with clipping and a schedule, float32, clips from the same shards. Ours is the
trainer's loop with all it does after each step (metrics, progress, guards); PyTorch's is what a practitioner writes:
torchvision's net with the shift of TSM, channels last, a DataLoader with whichever number of workers (0, 1 or 2) is
fastest. Augmentation is off in both: ours runs inside the step and PyTorch has no equal. Both start from the same
weights, and their losses on one batch are compared first. Needs the extra `parity`; without it, ours alone is timed.

Also measured: how long saves hold up the loop, the share of a run's time that goes into steps (goodput), and the host
time to start one step whose state has as many arrays as that of ViT-B. Ends with one line of JSON.
"""

import argparse
import contextlib
import datetime
import io
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from learner_jax.host_memory import keep_pages

keep_pages()  # as training does; both profit

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags, logging

from benchmarks.augment import OFF
from benchmarks.pipeline import step_alone
from benchmarks.prepared import Prepared, data_of, prepare, synthetic
from configs.demo import get_config
from learner_jax import backbones
from learner_jax.backbones import pretrained
from learner_jax.batch import BatchSpec
from learner_jax.checkpoint import Checkpoints
from learner_jax.config import Config
from learner_jax.nonfinite import NonFinite
from learner_jax.optim import make_optimizer
from learner_jax.preprocess import normalisation
from learner_jax.report import speed
from learner_jax.report.bookkeeper import keeping
from learner_jax.report.ledger import Ledger
from learner_jax.report.reporter import reporting
from learner_jax.train import Action, loop
from learner_jax.watchdog import Watchdog

TOTAL = 10_000  # steps of the schedules; no run here gets that far
SAVE_EVERY = 50


def configured(folder: Path, quick: bool) -> Config:
    config = get_config()
    config.steps, config.batch_size, config.backbone.name = TOTAL, 8, "tsm_resnet18"
    frames, size, stored, patients = 8, 112, 16, 40
    if jax.default_backend() != "cpu":
        config.batch_size, frames = 64, 16
    config.data = data_of(synthetic(folder, patients if quick else 100, stored, size), frames, size)
    config.augment = OFF
    config.checkpoint.every = SAVE_EVERY
    return config


@contextlib.contextmanager
def trainer(run: Prepared, workdir: Path) -> Iterator[Callable[..., None]]:
    """Yields ``advance(n, *actions)``: n more steps of the trainer's loop, with further actions after each."""
    config, ledger = run.parts.config, Ledger()
    batches = ledger.waited(run.stream(TOTAL))

    def rows(step: int) -> np.ndarray:
        return run.parts.sampler.rows(config.seed, step - 1)

    guard = NonFinite(config, rows, 0, print)
    with contextlib.ExitStack() as stack:
        with contextlib.redirect_stdout(io.StringIO()):  # hides the progress bar, and at the end the table
            afterwards = stack.enter_context(contextlib.ExitStack())
            books = stack.enter_context(keeping(workdir, ledger, config.batch_size, lambda seconds: {}))
            reporter = stack.enter_context(reporting(config, workdir, 0, books, afterwards))
        watchdog = stack.enter_context(Watchdog())

        def advance(n: int, *more: Action) -> None:
            actions = [Action(one, every=1) for one in (watchdog, guard, reporter)]
            some = itertools.islice(batches, n)
            run.state = loop(run.state, some, run.update, [*actions, *more], TOTAL, lambda step: False)
            jax.block_until_ready(run.state)

        yield advance
        with contextlib.redirect_stdout(io.StringIO()):
            stack.close()


def peer(run: Prepared, net: Any, workers: int) -> Any:
    from benchmarks.torch_loop import Scans, Training

    c, config = run.parts.cohort, run.parts.config
    data = Scans(config.data.dir, c.labeled_train, c.standardise(c.score), c.patient, config.data.frames)
    return Training(net, data, config.batch_size, workers, TOTAL, config.optim, config.objective.score_range)


def with_torch(config: Config) -> tuple[Any, Prepared]:
    """The same net from the same weights, in PyTorch and as a prepared run of ours."""
    import torch

    from benchmarks.peers import PEERS
    from benchmarks.torch_loop import Net

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(0)
    d = config.data
    spec = BatchSpec(config.batch_size, d.frames, d.size, d.size, 1)
    module, embed = PEERS["tsm_resnet18"].build(spec)
    backbone = backbones.create("tsm_resnet18")
    tensors = {key: value.numpy().copy() for key, value in module.state_dict().items()}
    run = prepare(config, pretrained.convert(tensors, backbone, spec, backbone.names["torchvision"]))
    module = module.to(memory_format=torch.channels_last)
    mean, std, _ = normalisation(config, 1)
    net = Net(module, embed, backbone.dim, config.objective.projection, (1 / 255, mean, std))
    heads = run.state.params["objective"]
    ours = {"hidden": heads["projection"]["hidden"], "out": heads["projection"]["out"], "head": heads["head"]}
    with torch.no_grad():
        for name, layer in ours.items():
            getattr(net, name).weight.copy_(torch.from_numpy(np.array(layer["kernel"]).T.copy()))
            getattr(net, name).bias.copy_(torch.from_numpy(np.array(layer["bias"])))
    return net, run


def losses(run: Prepared, training: Any) -> tuple[float, float]:
    """Losses of ours and of PyTorch on our first batch, before any update."""
    import torch

    batch = next(iter(run.stream(1)))
    state = jax.tree.map(jnp.copy, run.state)
    ours = float(run.update(state, batch)[1]["loss"])
    scan, score, patient = (torch.from_numpy(np.array(x)) for x in (batch.scan, batch.score, batch.patient))
    before = {key: value.clone() for key, value in training.net.state_dict().items()}
    with torch.no_grad():
        theirs = float(training.loss(scan, score, patient))
    training.net.load_state_dict(before)  # undo what the pass did to the batch statistics
    return ours, theirs


def seconds(job: Callable[[int], None], n: int) -> float:
    job(2)
    start = time.perf_counter()
    job(n)
    return (time.perf_counter() - start) / n


def fastest(run: Prepared, net: Any, n: int) -> tuple[int, Any]:
    """The fastest number of workers, and the training that uses it."""
    found = {}
    for workers in (0, 1, 2):
        training = peer(run, net, workers)
        training.steps(3)  # workers start
        found[workers] = (seconds(training.steps, n), training)
    best = min(found, key=lambda workers: found[workers][0])
    return best, found[best][1]


def saving(run: Prepared, advance: Callable[..., None], workdir: Path, alone: float) -> dict[str, float]:
    """What two saves cost a run."""
    blocked = []
    with Checkpoints(workdir, 2) as checkpoints:

        def save(step: int, state: Any, metrics: Any) -> None:
            jax.block_until_ready(state)  # the step is not part of the save
            start = time.perf_counter()
            checkpoints.save(state, {})
            blocked.append(time.perf_counter() - start)

        advance(2)
        start = time.perf_counter()
        advance(2 * SAVE_EVERY, Action(save, SAVE_EVERY))
        wall = time.perf_counter() - start
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(run.state)) / 2**20
    steps = 2 * SAVE_EVERY * alone
    return {"saves": len(blocked), "state_mib": size, "blocked": sum(blocked) / wall, "goodput": steps / wall}


def dispatch() -> dict[str, float]:
    """Host time to start a step with a batch and a state that has ViT-B's arrays, each of one element.

    On a CPU a small program may run within the call, so this is an upper bound.
    """
    config = get_config()
    spec = BatchSpec(8, 4, 224, 224, 1)
    params = backbones.create("vit_b16").shapes(spec)["params"]
    one = jax.tree.map(lambda leaf: jnp.zeros((1,) * len(leaf.shape)), params)
    state = (one, jax.jit(make_optimizer(config.optim, TOTAL).init)(one))
    batch = {name: jnp.zeros(8) for name in "abcdefghijk"}

    def step(state: Any, batch: Any) -> tuple[Any, Any]:
        return jax.tree.map(lambda leaf: leaf + 1, state), jax.tree.map(jnp.sum, batch)

    update = jax.jit(step, donate_argnums=0).lower(state, batch).compile()
    taken = []
    for _ in range(300):
        start = time.perf_counter()
        state, told = update(state, batch)
        taken.append(time.perf_counter() - start)
        jax.block_until_ready((state, told))
    middle, least = 1e3 * statistics.median(taken), 1e3 * min(taken)
    return {"arrays": len(jax.tree.leaves(state)), "dispatch_ms": middle, "dispatch_least_ms": least}


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.train", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="3 rounds of few steps, about ten minutes")
    quick = parser.parse_args().quick
    sys.stdout.reconfigure(line_buffering=True)
    flags.FLAGS.mark_as_parsed()  # grain reads an absl flag
    logging.set_verbosity(logging.ERROR)
    try:
        import torch

        libraries = f"torch {torch.__version__}"
    except ImportError:
        torch, libraries = None, "no torch here: install the extra `parity` to compare"
    device, load = jax.devices()[0].device_kind, os.getloadavg()[0]
    print(f"{device}, {os.cpu_count()} cores, load {load:.1f} at the start, jax {jax.__version__}, {libraries}")
    result: dict[str, Any] = {"benchmark": "train", "quick": quick, "device": device, "load": load}
    result["date"] = str(datetime.date.today())
    with tempfile.TemporaryDirectory() as folder:
        config = configured(Path(folder), quick)
        net, run = with_torch(config) if torch else (None, prepare(config))
        with trainer(run, Path(folder)) as advance:
            jobs = {"ours": advance}
            n = 6 if quick else 30
            if torch:
                result["loss_ours"], result["loss_torch"] = losses(run, peer(run, net, 0))
                apart = abs(result["loss_ours"] / result["loss_torch"] - 1)
                print(f"loss of one batch: {result['loss_ours']:.6f} and {result['loss_torch']:.6f}, apart {apart:.1e}")
                assert apart <= 1e-5, "the two do not compute the same"
                result["torch_workers"], training = fastest(run, net, 6)
                jobs["torch"] = training.steps
            taken: dict[str, list[float]] = {name: [] for name in (*jobs, "alone")}
            for _ in range(3 if quick else 7):
                for name, job in jobs.items():
                    taken[name].append(seconds(job, n))
                taken["alone"].append(step_alone(run, n))
            middle = {name: statistics.median(values) for name, values in taken.items()}
            result |= {name: config.batch_size / middle[name] for name in jobs}
            for name in jobs:
                print(f"{name}: {result[name]:.2f} examples/s")
            if torch:
                result["ratio"] = statistics.median(np.divide(taken["torch"], taken["ours"]).tolist())
                print(f"ours over torch ({result['torch_workers']} workers): {result['ratio']:.2f}")
            if device in speed.PEAKS:
                layers = run.parts.recipe.backbone.layers(run.parts.spec)
                flops, top = speed.TRAINING * sum(layer.flops for layer in layers), speed.peak(device)
                result["mfu"] = speed.mfu(flops, middle["ours"], top)
                result["of_bound"] = speed.bound(layers, top) / middle["ours"]
                print(f"MFU {result['mfu']:.1%}, {result['of_bound']:.1%} of the bound")
            result |= saving(run, advance, Path(folder) / "run", middle["alone"])
            print(
                f"{result['saves']} saves of {result['state_mib']:.0f} MiB in {2 * SAVE_EVERY} steps hold the loop up "
                f"for {result['blocked']:.2%} of its time; goodput {result['goodput']:.1%}"
            )
    result |= dispatch()
    print(
        f"starting a step with {result['arrays']} arrays in its state takes {result['dispatch_ms']:.2f} ms, at least "
        f"{result['dispatch_least_ms']:.2f}"
    )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
