"""Memory of a whole evaluation: a small multiple of the embeddings, however many pairs there are."""

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from learner_jax.evaluators import readouts
from learner_jax.evaluators.blockwise import pair_distance
from learner_jax.evaluators.pairs import observe
from learner_jax.evaluators.predictions import Truth, predict

ROOT = Path(__file__).parents[2]


def evaluated(scans: int) -> dict[str, float]:
    """Peak memory of all read-outs and analyses of this many embeddings of width 768, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.evaluator", "--alone", str(scans)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=600)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_20_000_embeddings_are_evaluated_in_a_fifth_of_what_100_000_may_take():
    """The budget is 4 GiB for 100,000 embeddings, of which 0.5 go to interpreter, libraries and compiled programs."""
    assert evaluated(20_000)["gib"] < 0.5 + 3.5 / 5


@pytest.mark.parametrize("name", ["linear", "davidson"])
def test_embeddings_of_pairs_are_not_all_held_at_once(scans, config, name):
    """20 patients of 60 visits: 35,400 pairs, whose embeddings would be 60 times those of the visits."""
    width = 256
    context = readouts.Context(config, "score", {"davidson": _head(width)}, 0.0, 1.0, "davidson")
    few = observe(**scans(patients=10, dim=width), mode="visits")
    readout = readouts.fit(name, few, few, context)
    truth = Truth.of(observe(**scans(patients=20, visits=60, views=1, dim=width), mode="visits"), "visits", "all", 2.0)
    u = truth.observations.u
    both = 2 * len(truth) * width * u.itemsize
    tracemalloc.start()
    predict(readout, truth, pair_distance(u, truth.first, truth.second))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < both / 2


def _head(width: int) -> dict[str, np.ndarray]:
    return {"kernel": np.eye(width, 1, dtype=np.float32), "log_tie": np.float32(0.3)}
