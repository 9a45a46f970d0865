"""The real training and scoring steps, compiled without a TPU for TPU slices: memory, traffic, and what must hold.

    python -m benchmarks.tpu_compile                        # all, on a machine without a TPU; needs the extra `tpu`
    python -m benchmarks.tpu_compile --only resnet3d_18b --where    # also what takes longest by libtpu's estimate

libtpu compiles each step for one or two slices of 16 TPU v5e chips, with parameters replicated or sharded over the
chips (`mesh.fsdp`). A row of the table is one program, as one chip runs it. Ends with an error where a program does not
fit, gathers the projections or sharded parameters more than once, does not reduce the gradient exactly once, moves
activations between chips, waits for its host, or sends more between slices than gradient, projections and batch
statistics.

*Expected* is the least time, by the layers' operations and memory traffic (`learner_jax/report/speed.py`), over an
estimate: the time for XLA's count of operations (with those of the attention kernel) or of bytes, whichever is longer,
plus that of all traffic over links, as if nothing overlapped. It is an estimate, not a measurement on a TPU.
"""

import argparse
import dataclasses
import datetime
import os
import sys
import time
from importlib import metadata
from typing import Any

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["TPU_SKIP_MDS_QUERY"] = "1"  # or libtpu waits for the metadata server of a cloud

import jax
import jax.numpy as jnp
from jax.experimental import topologies

from benchmarks.collectives import Collective, collectives, host_transfers
from benchmarks.reckoning import attention_flops, seconds_by_source
from configs.demo import get_config
from learner_jax.assembly import compose
from learner_jax.augment import Augmentation
from learner_jax.backbones.layers.platform import tracing_for
from learner_jax.batch import BatchSpec, shapes_of
from learner_jax.config import Config
from learner_jax.evaluators.embed import encoder_of, jitted
from learner_jax.mesh import batch_sharding, make_mesh
from learner_jax.placement import placed_shapes
from learner_jax.report.speed import PEAKS, TRAINING, bound, of_one_device
from learner_jax.state import init_state
from learner_jax.train import compiled

SLICE = "v5e:4x4"
CHIPS = 16
HBM = 16 * 2**30
# Bytes per second of one chip. Between chips: one link, both ways; between slices: the chip's share of its host's
# network (Austin et al., How to Scale Your Model, table of TPUs).
LINKS, NETWORK = 9e10, 3.125e9
_GIB, _MB = 2**30, 1e6
_LONGEST = 12  # operations listed by --where


@dataclasses.dataclass(frozen=True)
class Layout:
    """How the state is laid out over chips. With batch norm over two slices, every layer's statistics go over the slow
    network."""

    slices: int = 1
    fsdp: int = 1
    norm: str = "batch"


WHOLE, CUT = Layout(), Layout(fsdp=CHIPS)
TWO, TWO_CUT, TWO_BY_GROUP = Layout(slices=2), Layout(slices=2, fsdp=CHIPS), Layout(slices=2, norm="group")


@dataclasses.dataclass(frozen=True)
class Case:
    backbone: str
    scan: tuple[int, int, int, int]  # frames or slices, height, width, channels
    per_chip: int
    modality: str
    layouts: tuple[Layout, ...]


CASES = (
    Case("tsm_resnet50", (8, 224, 224, 1), 16, "ultrasound", (WHOLE, CUT, TWO, TWO_BY_GROUP)),
    Case("videomae_vit_b", (16, 224, 224, 1), 8, "ultrasound", (WHOLE, CUT, TWO, TWO_CUT)),  # has no batch norm
    Case("resnet3d_18b", (96, 112, 96, 1), 4, "mri", (WHOLE, CUT, TWO_BY_GROUP)),
)


@dataclasses.dataclass(frozen=True)
class Program:
    """What the compiler tells about one step, for one chip."""

    seconds: float  # to compile
    memory: int
    flops: float
    nbytes: float
    exchanged: list[Collective]
    waits: list[str]
    where: dict[str, float]  # seconds by operation

    @classmethod
    def of(cls, program: Any, seconds: float) -> "Program":
        cost, hlo = program.cost_analysis(), program.as_text()
        memory = program.memory_analysis().peak_memory_in_bytes
        told = collectives(hlo), host_transfers(hlo), seconds_by_source(hlo)
        return cls(seconds, memory, cost["flops"] + attention_flops(hlo), cost["bytes accessed"], *told)

    def sent(self, slow: bool) -> int:
        """Bytes that a chip puts on the links of its slice, or on the network between slices."""
        return sum(one.sent for one in self.exchanged if one.slow == slow)

    def estimate(self, kind: str) -> float:
        """Seconds of a step."""
        peak = PEAKS[kind]
        alone = max(self.flops / peak.flops, self.nbytes / peak.bandwidth)
        return alone + self.sent(False) / LINKS + self.sent(True) / NETWORK


class Setting:
    """A case on the described devices of a layout."""

    def __init__(self, case: Case, layout: Layout):
        devices = topologies.get_topology_desc(SLICE, platform="tpu", num_slices=layout.slices).devices
        config = get_config()
        config.backbone.name, config.backbone.norm, config.train.compute = case.backbone, layout.norm, "bfloat16"
        config.batch_size = config.eval.batch_size = case.per_chip * len(devices)
        config.mesh.fsdp = layout.fsdp
        self.config: Config = config
        self.kind = devices[0].device_kind
        self.mesh = make_mesh(devices, config.mesh)
        self.spec = BatchSpec(config.batch_size, *case.scan)
        augmentation = Augmentation(config.augment, case.modality)
        self.recipe = recipe = compose(config, self.mesh, self.spec, 1000, augmentation)
        own = (recipe.backbone, recipe.objective, recipe.optimizer, self.spec, self.mesh)
        self.batch = shapes_of(self.spec, jnp.uint8, batch_sharding(self.mesh))
        self.state = placed_shapes(jax.eval_shape(lambda: init_state(0, 1e-3, *own)), self.mesh)

    def training(self) -> Program:
        start = time.perf_counter()
        return Program.of(compiled(self.recipe, self.state, self.batch), time.perf_counter() - start)

    def scoring(self) -> Program:
        start = time.perf_counter()
        variables = {"params": self.state.params["backbone"], "stats": self.state.stats}
        step = jitted(encoder_of(self.recipe.backbone, self.config), self.mesh)
        return Program.of(step.lower(variables, self.batch).compile(), time.perf_counter() - start)

    def least(self, passes: int) -> float:
        """The least time of a step in seconds, by the roofline."""
        copies = self.recipe.objective.n_augmentations if passes == TRAINING else 1
        return bound(
            of_one_device(self.recipe.backbone.layers, self.spec, copies, self.mesh.size), PEAKS[self.kind], passes
        )


def faults(setting: Setting, training: Program, scoring: Program) -> list[str]:
    """What fails to hold, in sentences."""
    found = []
    for name, program in (("training", training), ("scoring", scoring)):
        if program.memory > HBM:
            found.append(f"{name} needs {program.memory / _GIB:.1f} GiB")
        found += [f"{name} waits for its host: {line.strip()[:200]}" for line in program.waits]
    weights = sum(leaf.size for leaf in jax.tree.leaves(setting.state.params))
    statistics = sum(leaf.size for leaf in jax.tree.leaves(setting.state.stats))
    projections = setting.spec.b * setting.recipe.objective.n_augmentations * setting.config.objective.projection
    of_z = [one.kind for one in training.exchanged if not one.slow and one.moves("f32", projections)]
    # if the sum of their gradient is scattered, or goes over slices, it ends with a gather, which does not count
    sums = of_z.count("reduce-scatter") + (of_z.count("all-reduce") if setting.mesh.shape["replica"] > 1 else 0)
    if of_z.count("all-gather") - sums != 1:
        found.append(f"the projections are not gathered once: {', '.join(of_z)}")
    # what may be exchanged besides gradients of parameters: those of projections, statistics forward and backward, the
    # fields of rows, scalars
    beside = 2 * projections + 6 * statistics + 100 * setting.spec.b + 1000
    reduced = sum(one.size for one in training.exchanged if "reduce" in one.kind and not one.slow)
    if not weights <= reduced <= weights + beside:
        found.append(f"{reduced:,} numbers are summed over chips, and there are {weights:,} parameters")
    moved = sum(one.size for one in training.exchanged if "reduce" not in one.kind and not one.slow)
    # sharded parameters; or the gradient, of which each chip of a slice sends a part to the other slices
    once = weights if setting.config.mesh.fsdp > 1 or setting.mesh.shape["replica"] > 1 else 0
    if moved > once + beside:
        found.append(f"{moved:,} numbers are gathered or moved between chips, and there are {weights:,} parameters")
    between = sum(one.size for one in training.exchanged if one.slow) * CHIPS
    if between > 1.05 * weights + CHIPS * beside:  # fewer than 128 channels are padded to 128
        found.append(f"{between:,} numbers go between slices, and there are {weights:,} parameters")
    return found


def row(name: str, setting: Setting, program: Program, passes: int) -> str:
    least, estimate = setting.least(passes), program.estimate(setting.kind)
    layout = ", ".join(f"{axis} {n}" for axis, n in setting.mesh.shape.items() if n > 1)
    layout += ", group norm" if setting.config.backbone.norm == "group" else ""
    cells = [
        setting.config.backbone.name,
        name,
        layout,
        f"{setting.spec.b}",
        f"{program.memory / _GIB:.2f}",
        f"{program.flops / 1e12:.2f}",
        f"{program.nbytes / 1e9:.1f}",
        f"{program.sent(False) / _MB:.1f}",
        f"{program.sent(True) / _MB:.2f}" if "replica" in layout else "",
        f"{1e3 * least:.1f}",
        f"{least / estimate:.0%}",
        f"{program.seconds:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


HEAD = (
    "backbone", "step", "mesh", "batch", "GiB", "TFLOP", "GB of memory traffic", "MB on links", "MB between slices",
    "least ms", "expected", "s to compile",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.tpu_compile", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", help="one backbone", choices=[case.backbone for case in CASES])
    parser.add_argument("--where", action="store_true", help="the operations that take longest, as libtpu reckons")
    args = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    print(f"{SLICE}, jax {jax.__version__}, libtpu {metadata.version('libtpu')}, {datetime.date.today()}")
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    wrong = []
    for case in CASES:
        for layout in case.layouts if args.only in (None, case.backbone) else ():
            with tracing_for("tpu"):
                setting = Setting(case, layout)
                training = setting.training()
                print(row("training", setting, training, TRAINING))
                scoring = setting.scoring()
                print(row("scoring", setting, scoring, 1))
            for program in (training, scoring) if args.where else ():
                longest = list(program.where.items())[:_LONGEST]
                print(f"{1e3 * sum(program.where.values()):8.1f} ms in all, of which")
                print(*(f"{1e3 * seconds:8.1f} ms {source}" for source, seconds in longest), sep="\n")
            found = faults(setting, training, scoring)
            print(*(f"wrong: {one}" for one in found), sep="\n", end="\n" if found else "")
            wrong += found
    print(f"{len(wrong)} things do not hold" if wrong else "everything holds that must")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
