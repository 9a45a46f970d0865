"""How fast scans are prepared, compared with bare decoders in the same run.

    python -m benchmarks.build --quick

Preparing a clip leaves 16 grey frames of 112x112, ready to be written into a shard; the bare loops decode every frame
to grey with PyAV or OpenCV and throw it away. Preparing a volume resamples, crops and quantises it; the bare loop
unpacks its voxels with nibabel. The arms take turns; prints medians of the rates and of their ratios.
"""

import argparse
import functools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import nibabel as nib
import numpy as np

from benchmarks.turns import in_turns
from tfds_builders.brain_volumes.brain_volumes_dataset_builder import Builder as Volumes
from tfds_builders.builder import FileBuilder
from tfds_builders.pool import ordered_map
from tfds_builders.ultrasound_clips.ultrasound_clips_dataset_builder import Builder as Clips

try:
    import cv2
except ImportError:
    cv2 = None

_STARTED = 8  # results after which both processes are certainly running


def write_clip(path: Path, seed: int, frames: int = 150, height: int = 480, width: int = 640) -> None:
    """Moving speckle in H.264, as a scanner exports it: 5 s of 640x480."""
    rng = np.random.default_rng(seed)
    still = rng.rayleigh(50, (height, width + frames)).clip(0, 255).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for t in range(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(still[:, t : t + width]), format="gray")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode())


def write_volume(path: Path, seed: int, shape: tuple[int, int, int] = (256, 256, 166)) -> None:
    """A noisy ball in air, int16, 1 x 1 x 1.2 mm: about 10 MB packed."""
    rng = np.random.default_rng(seed)
    x, y, z = np.ogrid[: shape[0], : shape[1], : shape[2]]
    radius = np.sqrt((x - shape[0] / 2) ** 2 + (y - shape[1] / 2) ** 2 + (1.2 * (z - shape[2] / 2)) ** 2)
    tissue = 600 + 100 * np.sin(x / 7) + rng.normal(0, 40, shape)
    voxels = np.where(radius < 90, tissue, np.abs(rng.normal(0, 8, shape)))
    nib.save(nib.Nifti1Image(voxels.astype(np.int16), np.diag([1, 1, 1.2, 1])), path)


def pyav(path: str) -> int:
    """Decode every frame to grey, as PyAV's documentation does."""
    with av.open(path) as container:
        container.streams.video[0].thread_type = "AUTO"
        return sum(frame.to_ndarray(format="gray").shape[0] > 0 for frame in container.decode(video=0))


def opencv(path: str) -> int:
    """Decode every frame to grey, as OpenCV's documentation does."""
    capture, n = cv2.VideoCapture(path), 0
    while True:
        there, frame = capture.read()
        if not there:
            return n
        n += cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY).shape[0] > 0


def nibabel(path: str) -> int:
    """Read all voxels as stored."""
    return np.asanyarray(nib.load(path).dataobj).size


def prepare(builder: type[FileBuilder], path: str) -> int:
    """What a build does with one scan before it is written."""
    return builder.read({"path": path}, builder.OPTIONS()).scan.size


def rate(function: Callable[[str], int], paths: list[str], processes: int) -> float:
    """Files per second.

    The clock starts after the eighth result: a real build starts its processes once for thousands of scans.
    """
    results = iter(ordered_map(function, paths, processes))
    for _ in range(_STARTED):
        next(results)
    start = time.perf_counter()
    rest = len(list(results))
    assert rest == len(paths) - _STARTED
    return rest / (time.perf_counter() - start)


def compare(title: str, ours: Callable, peers: dict[str, Callable], paths: list[str], rounds: int) -> dict[str, float]:
    """Print a table; return the ratios of ours to each peer, for the rate of one process and for the gain from two."""
    functions = {"ours": ours, **peers}
    arms = {
        f"{name}, {processes}": functools.partial(rate, function, paths, processes)
        for name, function in functions.items()
        for processes in (1, 2)
    }
    rates = in_turns(arms, rounds)
    print(f"\n{title}: {len(paths)} files, {rounds} rounds")
    print(f"{'':14}1 process   2 processes   gain   ours / this (1 process)")
    ratios, gain = {}, {}
    for name in functions:
        one, two = rates[f"{name}, 1"], rates[f"{name}, 2"]
        gain[name] = statistics.median(b / a for a, b in zip(one, two, strict=True))
        ratio = statistics.median(a / b for a, b in zip(rates["ours, 1"], one, strict=True))
        print(
            f"{name:14}{statistics.median(one):7.1f}/s {statistics.median(two):11.1f}/s {gain[name]:8.2f} {ratio:8.2f}"
        )
        if name != "ours":
            ratios[f"ours_over_{name}"] = ratio
    ratios |= {f"gain_over_{name}": gain["ours"] / gain[name] for name in peers}
    return ratios


def main() -> None:
    """Write files, time, print two tables and one line of JSON."""
    parser = argparse.ArgumentParser("python -m benchmarks.build", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer files and rounds, about a minute")
    quick = parser.parse_args().quick
    n_clips, n_volumes, rounds = (32, 24, 3) if quick else (64, 48, 7)
    with tempfile.TemporaryDirectory() as folder:
        distinct = 4  # files, read repeatedly from the page cache: what is timed is decoding
        clips, volumes = [], []
        for i in range(distinct):
            clips.append(os.path.join(folder, f"{i}.mp4"))
            volumes.append(os.path.join(folder, f"{i}.nii.gz"))
            write_clip(Path(clips[-1]), i)
            write_volume(Path(volumes[-1]), i)
        peers = {"PyAV": pyav} | ({"OpenCV": opencv} if cv2 else {})
        if not cv2:
            print("OpenCV is not installed (pip install opencv-python-headless), so it is left out")
        result = {
            "clips": compare(
                "clips, 150 frames of 640x480 H.264",
                functools.partial(prepare, Clips),
                peers,
                (clips * n_clips)[:n_clips],
                rounds,
            ),
            "volumes": compare(
                "volumes, 256x256x166 int16 .nii.gz",
                functools.partial(prepare, Volumes),
                {"nibabel": nibabel},
                (volumes * n_volumes)[:n_volumes],
                rounds,
            ),
        }
    print(json.dumps({"benchmark": "build", "quick": quick, **result}))


if __name__ == "__main__":
    main()
