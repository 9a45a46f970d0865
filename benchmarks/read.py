"""How fast scans reach a training step, compared with decoding files in every epoch and with a plain memory copy.

    python -m benchmarks.read --quick

Four ways to make batches of the same scans take turns: our stream from shards as a build writes them, the same with
the other compression, a torch DataLoader whose workers decode every file in every epoch (as LILAC's published code
does), and copying arrays that are already in memory, which is the bound. The page cache is warm: disks are not timed.
"""

import argparse
import csv
import functools
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import threadpoolctl
from array_record.python import array_record_module

from benchmarks.build import write_clip, write_volume
from benchmarks.turns import in_turns
from learner_jax.config import DataConfig
from learner_jax.data import cohort as cohorts
from learner_jax.data.pipeline import open_reader, training_batches
from learner_jax.data.samplers.shuffled import Shuffled
from learner_jax.mesh import make_mesh
from tfds_builders import build, shards
from tfds_builders.brain_volumes.brain_volumes_dataset_builder import Builder as Volumes
from tfds_builders.ultrasound_clips.ultrasound_clips_dataset_builder import Builder as Clips

try:
    import torch
except ImportError:
    torch = None

OTHER = "uncompressed" if shards.COMPRESSION != "uncompressed" else "zstd"


class Decoded(torch.utils.data.Dataset if torch else object):
    """Files that are decoded and prepared each time they are read."""

    def __init__(self, builder: type, paths: list[str]):
        self._builder, self._paths = builder, paths

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, i: int) -> np.ndarray:
        return self._builder.read({"path": self._paths[i]}, self._builder.OPTIONS()).scan


def make(folder: Path, builder: type, write: Callable, suffix: str, n: int) -> tuple[Path, list[str]]:
    """The dataset that a build makes of ``n`` files, four of them distinct, and their paths."""
    paths = [folder / f"{i:03d}{suffix}" for i in range(n)]
    folder.mkdir()
    for i, path in enumerate(paths):
        if i < 4:
            write(path, i)
        else:
            os.link(paths[i % 4], path)
    with (folder / "cohort.csv").open("w", newline="") as file:
        rows = [(path.name, f"p{i}", 0, 0, "x", i % 5) for i, path in enumerate(paths)]
        csv.writer(file).writerows([("scan", "patient", "visit", "time_days", "view", "score"), *rows])
    out = folder / "dataset"
    flags = ["--cohort", str(folder / "cohort.csv"), "--scores", "score", "--data_dir", str(out)]
    assert build.main([builder.name, *flags, "--key_file", str(folder.parent / "key")]) == 0
    return out, [str(path) for path in paths]


def recompressed(dataset: Path, options: str) -> Path:
    """A copy of a dataset with its shards written under other options of ArrayRecord."""
    out = dataset.with_name(options)
    shutil.copytree(dataset, out)
    for path in out.glob("*.array_record-*"):
        reader = array_record_module.ArrayRecordReader(str(path))
        records = reader.read_all()
        reader.close()
        writer = array_record_module.ArrayRecordWriter(str(path), f"group_size:1,{options}")
        for one in records:
            writer.write(one)
        writer.close()
    return out


def stream(dataset: Path, batch: int, steps: int) -> float:
    """Scans per second in batches as the trainer reads them."""
    t, h, w, _ = cohorts.DatasetMeta.read(dataset).scan_shape
    config = DataConfig(dir=str(dataset), score="score", frames=t, size=max(h, w))
    cohort = cohorts.load(config)
    rows = np.arange(cohort.meta.n_scans)
    batches = training_batches(open_reader(cohort, config), Shuffled(rows, batch), 0, 0, steps, make_mesh())
    return rate(batches, batch)


def loader(builder: type, paths: list[str], batch: int, steps: int) -> float:
    """Scans per second of a torch DataLoader with two workers, once these have started."""
    data = Decoded(builder, paths)
    sampler = torch.utils.data.RandomSampler(data, replacement=True, num_samples=batch * steps)
    batches = torch.utils.data.DataLoader(
        data,
        batch,
        sampler=sampler,
        num_workers=2,
        worker_init_fn=lambda _: threadpoolctl.threadpool_limits(1),  # two workers and two cores
        prefetch_factor=1,
    )
    return rate(batches, batch)


def copy(scans: list[np.ndarray], batch: int, steps: int) -> float:
    """Scans per second in batches stacked from memory."""
    picks = np.random.default_rng(0).integers(0, len(scans), (steps, batch))
    return rate((np.stack([scans[i] for i in pick]) for pick in picks), batch)


def rate(batches: Iterable, batch: int) -> float:
    """Scans per second from the third batch on: the first two wait for workers and threads to start."""
    start, n = 0.0, -1
    for i, _ in enumerate(batches):
        if i == 1:
            start = time.perf_counter()
        n += 1
    return (n - 1) * batch / (time.perf_counter() - start)


def compare(title: str, builder: type, dataset: Path, paths: list[str], batch: int, rounds: int, scale: int) -> dict:
    """Print a table; return its ratios."""
    other = recompressed(dataset, OTHER)
    scans = [builder.read({"path": path}, builder.OPTIONS()).scan for path in paths]
    arms = {
        f"ours ({shards.COMPRESSION})": functools.partial(stream, dataset, batch, 12 * scale),
        f"ours ({OTHER})": functools.partial(stream, other, batch, 12 * scale),
        "memory copy": functools.partial(copy, scans, batch, 40 * scale),
    }
    if torch:
        arms["torch, files"] = functools.partial(loader, builder, paths, batch, 2 + 2 * scale)
    else:
        print("torch is not installed, so decoding files in every epoch is left out")
    rates = in_turns(arms, rounds)
    ours, name = rates[f"ours ({shards.COMPRESSION})"], f"ours ({OTHER})"
    sizes = [sum(path.stat().st_size for path in folder.glob("*.array_record-*")) for folder in (dataset, other)]
    print(
        f"\n{title}, batches of {batch}, {rounds} rounds; shards {sizes[0] / 2**20:.1f} and {sizes[1] / 2**20:.1f} MiB"
    )
    print(f"{'':22}  scans/s     MB/s   ours / this")
    result = {"size_ratio_other": sizes[1] / sizes[0]}
    for arm, values in rates.items():
        median, ratio = statistics.median(values), statistics.median(a / b for a, b in zip(ours, values, strict=True))
        print(f"{arm:22}{median:9.0f}{median * scans[0].nbytes / 1e6:9.0f}{ratio:12.2f}")
        if values is not ours:
            label = {name: "other_compression", "memory copy": "memory_copy", "torch, files": "torch_files"}[arm]
            result[f"ours_over_{label}"] = ratio
    return result


def main() -> None:
    """Write files, build, time, print two tables and one line of JSON."""
    parser = argparse.ArgumentParser("python -m benchmarks.read", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="fewer rounds, about two minutes")
    quick = parser.parse_args().quick
    rounds, scale = (3, 2) if quick else (7, 6)
    with tempfile.TemporaryDirectory() as folder:
        clips = make(Path(folder) / "clips", Clips, write_clip, ".mp4", 64)
        volumes = make(Path(folder) / "volumes", Volumes, write_volume, ".nii.gz", 32)
        result = {
            "clips": compare("clips 16x112x112", Clips, *clips, 32, rounds, scale),
            "volumes": compare("volumes 96x112x96", Volumes, *volumes, 8, rounds, scale),
        }
    print(json.dumps({"benchmark": "read", "quick": quick, "compression": shards.COMPRESSION, **result}))


if __name__ == "__main__":
    main()
