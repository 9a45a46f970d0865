"""What is lost by storing volumes in 8 bits, on real heads: LEARNER_REAL_DATA=FOLDER python -m benchmarks.quantise

Volumes are prepared in 32-bit floats and rounded as each stored type would round them. The error is compared with the
two things that it has to be small against: the scan's own noise, and the change between two dates of one person, where
the data has them. Noise is estimated from the finest details (Immerkær 1996, doi:10.1006/cviu.1996.0060) of tissue.
"""

import argparse
import json
import os
import statistics
import zlib
from pathlib import Path

import numpy as np
from scipy import ndimage

from tfds_builders import volume
from tfds_builders.readers import nifti
from tfds_builders.volume import Grid

GRID = Grid((96, 112, 96), 2.0, "head")
WHITE = {"uint8": 255, "uint16": 65535, "float16": 1}
_LAPLACIAN = np.outer([1, -2, 1], [1, -2, 1])


def stored(values: np.ndarray, dtype: str) -> np.ndarray:
    """Float32 values after a round trip through a stored dtype."""
    scaled = values * WHITE[dtype]
    kept = (scaled if dtype == "float16" else np.rint(scaled)).astype(dtype)
    return kept.astype(np.float32) / WHITE[dtype]


def noise(values: np.ndarray) -> float:
    """SD of white noise from the finest details, the least over slices: structure can only add to it."""
    found = []
    for plane in values:
        tissue = ndimage.binary_erosion(plane > 0.2, iterations=2)
        if tissue.sum() > 500:
            detail = np.abs(ndimage.convolve(plane, _LAPLACIAN))[tissue]
            found.append(np.sqrt(np.pi / 2) * np.median(detail) / 0.8453 / 6)  # median and mean of a half-normal
    return min(found)


def main() -> None:
    """Print one table and one line of JSON."""
    parser = argparse.ArgumentParser("python -m benchmarks.quantise", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="no effect: it takes seconds anyway")
    parser.parse_args()
    folder = Path(os.environ.get("LEARNER_REAL_DATA", Path(__file__).parents[2] / "shared" / "data")) / "mri"
    paths = sorted(folder.glob("open_ms_longitudinal/*/study*.nii.gz")) + sorted(folder.glob("ixi_2mm/*"))
    if not paths:
        raise SystemExit(f"no volumes below {folder}; name the real data with LEARNER_REAL_DATA")
    prepared = {path: volume.prepare(nifti.read(path), GRID) for path in paths}
    pairs = [(path, path.with_name(path.name.replace("study1", "study2"))) for path in paths if "study1" in path.name]
    print(f"{len(paths)} volumes, {len(pairs)} pairs of dates; medians, in parts of the range from black to white")
    print(f"noise of the scans {statistics.median(map(noise, prepared.values())):.4f}")
    print(f"{'':10}error RMS   error/noise   error/change   packed KiB")
    result = {}
    for dtype in WHITE:
        error = {path: stored(one, dtype) - one for path, one in prepared.items()}
        tissue = {path: one > 0.1 for path, one in prepared.items()}
        rms = [float(np.sqrt((error[path][tissue[path]] ** 2).mean())) for path in paths]
        over_noise = [r / noise(prepared[path]) for r, path in zip(rms, paths, strict=True)]
        over_change = [
            float((error[b] - error[a])[tissue[a] & tissue[b]].std())
            / float((prepared[b] - prepared[a])[tissue[a] & tissue[b]].std())
            for a, b in pairs
        ]
        kept = [(one * WHITE[dtype]).round(0 if dtype != "float16" else 7).astype(dtype) for one in prepared.values()]
        size = statistics.median(len(zlib.compress(one.tobytes(), 3)) / 1024 for one in kept)
        row = [statistics.median(rms), statistics.median(over_noise), statistics.median(over_change)]
        print(f"{dtype:10}{row[0]:9.6f}{row[1]:14.4f}{row[2]:15.5f}{size:13.0f}")
        result[dtype] = dict(zip(("rms", "over_noise", "over_change"), row, strict=True)) | {"kib": round(size)}
    print(json.dumps({"benchmark": "quantise", **result}))


if __name__ == "__main__":
    main()
