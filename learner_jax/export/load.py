"""Predictions of a trained run for pairs of scans, as about.json describes them. Needs jax, numpy, flatbuffers.

python load.py pairs.npz          # arrays: scans, scale, offset      Not for clinical use.
"""

import json
import sys
from pathlib import Path

import jax.export
import numpy as np

HERE = Path(__file__).parent
ABOUT = json.loads((HERE / "about.json").read_text())
PROGRAM = jax.jit(jax.export.deserialize(bytearray((HERE / "program.stablehlo").read_bytes())).call)


def predict(scans, scale, offset):
    if np.asarray(scans).dtype != ABOUT["dtype"]:  # other dtypes would wrap around or be truncated
        raise TypeError(f"scans are {np.asarray(scans).dtype}, but must be {ABOUT['dtype']}: see about.json")
    found = PROGRAM(np.asarray(scans), np.float32(scale), np.float32(offset))
    return {name: np.asarray(values) for name, values in found.items()}


if __name__ == "__main__":
    print(predict(**np.load(sys.argv[1])))
