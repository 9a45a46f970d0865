"""Backbones beside the PyTorch nets that they match: forward pass and train step of both in one process, in turns.

    python -m benchmarks.backbones --quick
    python -m benchmarks.backbones tsm_resnet50 r3d18 videomae_vit_b resnet3d_18b

On a CPU both run in float32, PyTorch eagerly, on small scans; on a GPU both compute in bfloat16 from float32
parameters, PyTorch under `torch.compile` with channels last, on scans of the size that the nets are made for. A train
step is forward, backward and AdamW. Needs the extra `parity`; without it, ours alone is timed. Each backbone runs in a
process of its own: in a shared one, what earlier backbones left in memory slowed ViT-S by a tenth on a CPU.

Prints a table and one line of JSON: scans per second of both (medians over rounds), their ratio (median of the rounds'
ratios), and for ours MFU, share of the roofline bound (where the device is in `learner_jax.report.speed.PEAKS`),
seconds to compile and peak memory as planned by XLA.
"""

import argparse
import datetime
import functools
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from learner_jax.host_memory import keep_pages

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # two frameworks share the device
keep_pages()  # as training does; both profit

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.peers import PEERS
from learner_jax import backbones
from learner_jax.backbones.layers.platform import compiler_options
from learner_jax.batch import BatchSpec
from learner_jax.report import speed

QUICK = ("tsm_resnet18", "vit_s16", "r3d18")
Run = Callable[[], Any]  # starts one forward pass or train step, and returns what to wait for


def ours(name: str, spec: BatchSpec, scan: np.ndarray, dtype: Any) -> tuple[dict[str, Run], dict[str, float]]:
    """Our compiled forward pass and train step; seconds to compile both, and peak memory (GiB) of the step."""
    backbone, optimizer = backbones.create(name), optax.adamw(1e-4)
    variables = jax.jit(functools.partial(backbone.init, spec=spec))(jax.random.key(0))
    scan, mask = jnp.asarray(scan, dtype), jnp.ones(spec.b, bool)

    def forward(variables: Any, scan: jax.Array) -> jax.Array:
        return backbone.apply(cast(variables), scan, mask, train=False)[0]

    def cast(variables: Any) -> Any:
        return {**variables, "params": jax.tree.map(lambda leaf: leaf.astype(dtype), variables["params"])}

    def loss(params: Any, stats: Any, scan: jax.Array) -> tuple[jax.Array, Any]:
        u, stats = backbone.apply(cast({"params": params, "stats": stats}), scan, mask, train=True)
        return jnp.square(u.astype(jnp.float32)).mean(), stats

    def step(variables: Any, moments: Any, scan: jax.Array) -> tuple[Any, Any]:
        gradient, stats = jax.grad(loss, has_aux=True)(variables["params"], variables["stats"], scan)
        updates, moments = optimizer.update(gradient, moments, variables["params"])
        return {"params": optax.apply_updates(variables["params"], updates), "stats": stats}, moments

    moments = jax.jit(optimizer.init)(variables["params"])
    start = time.perf_counter()
    pass_ = jax.jit(forward).lower(variables, scan).compile(compiler_options())
    stepping = jax.jit(step, donate_argnums=(0, 1)).lower(variables, moments, scan).compile(compiler_options())
    compiling = time.perf_counter() - start
    plan = stepping.memory_analysis()
    state = [jax.tree.map(jnp.copy, variables), moments]

    def train() -> Any:
        state[:] = stepping(*state, scan)
        return state[0]["params"]

    memory = (plan.temp_size_in_bytes + plan.argument_size_in_bytes) / 2**30
    return {"forward": lambda: pass_(variables, scan), "step": train}, {"compile_s": compiling, "memory_gib": memory}


def theirs(name: str, spec: BatchSpec, scan: np.ndarray, gpu: bool) -> dict[str, Run]:
    """The same two in PyTorch."""
    import torch

    module, embed = PEERS[name].build(spec)
    device = torch.device("cuda" if gpu else "cpu")
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(scan, -1, 1))).to(device)
    flat = any(isinstance(part, torch.nn.Conv2d) for part in module.modules())
    if flat:
        module = module.to(memory_format=torch.channels_last)
    elif gpu:
        module, x = module.to(memory_format=torch.channels_last_3d), x.to(memory_format=torch.channels_last_3d)
    module.to(device)
    optimizer = torch.optim.AdamW(module.parameters(), 1e-4, fused=gpu)
    run = torch.compile(embed) if gpu else embed

    def cast() -> Any:
        return torch.autocast("cuda", torch.bfloat16, enabled=gpu)

    def forward() -> Any:
        module.eval()
        with torch.no_grad(), cast():
            return run(x)

    def train() -> Any:
        module.train()
        optimizer.zero_grad()
        with cast():
            u = run(x)
        u.float().square().mean().backward()
        optimizer.step()

    return {"forward": forward, "step": train}


def wait(result: Any, gpu: bool) -> None:
    if result is not None and not hasattr(result, "detach"):
        jax.block_until_ready(result)
    elif gpu:
        import torch

        torch.cuda.synchronize()


def seconds(run: Run, repeats: int, gpu: bool) -> float:
    """Seconds per call, over ``repeats`` calls started one after the other and awaited together."""
    start = time.perf_counter()
    for _ in range(repeats):
        result = run()
    wait(result, gpu)
    return (time.perf_counter() - start) / repeats


def compare(name: str, rounds: int) -> dict[str, Any]:
    """All figures of one backbone's row."""
    try:
        import torch

        torch.set_num_threads(len(os.sched_getaffinity(0)))
        libraries = f"jax {jax.__version__}, torch {torch.__version__}"
    except ImportError:
        torch, libraries = None, f"jax {jax.__version__}, no torch here: install the extra `parity` to compare"
    device = jax.devices()[0]
    gpu = device.platform == "gpu"
    spec = PEERS[name].full if gpu else PEERS[name].small
    scan = np.random.default_rng(0).normal(size=spec.shape).astype(np.float32)
    mine, costs = ours(name, spec, scan, jnp.bfloat16 if gpu else jnp.float32)
    runs = {("ours", key): run for key, run in mine.items()}
    if torch:
        runs |= {("torch", key): run for key, run in theirs(name, spec, scan, gpu).items()}

    repeats = {}
    for key, run in runs.items():
        for _ in range(2):  # a first call may compile
            wait(run(), gpu)
        repeats[key] = max(1, round(0.5 / seconds(run, 1, gpu)))
    times = {key: [] for key in runs}
    for _ in range(rounds):
        for key, run in runs.items():
            times[key].append(seconds(run, repeats[key], gpu))

    found = {"name": name, "scans": "x".join(map(str, spec.shape)), **costs}
    found |= {"device": device.device_kind, "libraries": libraries}
    for (who, key), taken in times.items():
        found[f"{key}_{who}"] = spec.b / float(np.median(taken))
    for key in mine if torch else ():
        found[f"{key}_ratio"] = float(np.median(np.divide(times["torch", key], times["ours", key])))
    if device.device_kind in speed.PEAKS:
        peak, layers = speed.peak(device.device_kind), backbones.create(name).layers(spec)
        step = spec.b / found["step_ours"]
        found["mfu"] = speed.mfu(speed.TRAINING * sum(layer.flops for layer in layers), step, peak)
        found["of_bound"] = speed.bound(layers, peak) / step
    return found


def row(found: dict[str, Any]) -> str:
    def cell(key: str, form: str) -> str:
        return format(found[key], form) if key in found else "–"

    cells = [found["name"], found["scans"]]
    for key in ("forward", "step"):
        cells += [cell(f"{key}_ours", ".1f"), cell(f"{key}_torch", ".1f"), cell(f"{key}_ratio", ".2f")]
    cells += [cell("mfu", ".0%"), cell("of_bound", ".0%"), cell("memory_gib", ".2f"), cell("compile_s", ".0f")]
    return f"| {' | '.join(cells)} |"


HEAD = """
| backbone | scans | forward/s | torch | ratio | step/s | torch | ratio | MFU | of bound | GiB | compile s |
|---|---|---|---|---|---|---|---|---|---|---|---|"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(PEERS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help=f"{', '.join(QUICK)}, 3 rounds")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    if unknown := set(args.names) - set(PEERS):
        parser.error(f"no counterpart in PyTorch for {', '.join(sorted(unknown))}; there is one for {', '.join(PEERS)}")
    names = args.names or (QUICK if args.quick else tuple(PEERS))
    rounds, table = 3 if args.quick else args.rounds, []
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh, max_tasks_per_child=1) as processes:
        for found in processes.map(functools.partial(compare, rounds=rounds), names):
            if not table:
                print(f"{found['device']}, {found['libraries']}\n{HEAD}")
            table.append(found)
            print(row(found), flush=True)
    print(json.dumps({"date": str(datetime.date.today()), "backbones": table}))


if __name__ == "__main__":
    main()
