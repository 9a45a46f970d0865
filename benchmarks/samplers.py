"""How long samplers take on a large cohort: to plan the first epoch, and for each batch after that.

    python -m benchmarks.samplers --scans 1000000

The bound, measured in the same round, is NumPy's sort of as many random keys: permuting the scans takes at least that.
Prints medians over rounds; a batch is also compared with a step of 100 ms, which a fast device might take. Ends with
one line of JSON.
"""

import argparse
import json
import statistics
import time

import numpy as np

from learner_jax.config import Config, SamplerConfig
from learner_jax.data.samplers import list_samplers
from learner_jax.data.samplers.api import Pool, samplers

_VISITS, _VIEWS, _SITES, _STEPS, _STEP_MS = 5, 6, 40, 10, 100


def cohort(scans: int) -> Pool:
    """Patients with five visits of one scan each, in several views and sites."""
    rng, patients = np.random.default_rng(0), scans // _VISITS
    patient = np.repeat(np.arange(patients, dtype=np.int32), _VISITS)
    visit = np.tile(np.arange(_VISITS, dtype=np.int32), patients)
    view = rng.integers(0, _VIEWS, len(patient)).astype(np.int32)
    site = (patient % _SITES).astype(np.int32)
    return Pool(np.arange(len(patient)), patient, visit, view, site, rng.normal(size=len(patient)).astype(np.float32))


def timed(name: str, pool: Pool, batch_size: int, seed: int) -> tuple[float, float]:
    """Processor seconds for the first batch of a new sampler, and for each of those that follow."""
    config = Config(batch_size=batch_size, steps=10**6, sampler=SamplerConfig(name=name))
    began = time.process_time()
    sampler = samplers.get(name)(config, pool)
    sampler.rows(seed, 0)
    planned = time.process_time()
    for step in range(1, _STEPS + 1):
        sampler.rows(seed, step)
    return planned - began, (time.process_time() - planned) / _STEPS


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=1_000_000)
    parser.add_argument("--batch_size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    pool, found, bounds = cohort(args.scans), {name: [] for name in list_samplers()}, []
    for seed in range(args.rounds):
        keys = np.random.default_rng(seed).integers(0, 2**63, len(pool.row))
        began = time.process_time()
        np.argsort(keys)
        bounds.append(time.process_time() - began)
        for name, rounds in found.items():
            rounds.append(timed(name, pool, args.batch_size, seed))
    sort, table = statistics.median(bounds), {}
    print(f"{len(pool.row):,} scans, batches of {args.batch_size}; a sort takes {sort:.2f} s")
    print("| sampler | first batch, s | over a sort | a batch, ms | of a step of 100 ms |\n|---|---|---|---|---|")
    for name, rounds in found.items():
        first, each = (statistics.median(column) for column in zip(*rounds, strict=True))
        over = statistics.median(one[0] / bound for one, bound in zip(rounds, bounds, strict=True))
        print(f"| {name} | {first:.2f} | {over:.1f} | {1000 * each:.2f} | {100 * each * 1000 / _STEP_MS:.1f} % |")
        table[name] = {"first_s": first, "over_sort": over, "batch_ms": 1000 * each}
    print(json.dumps({"benchmark": "samplers", "scans": len(pool.row), "sort_s": sort, "samplers": table}))


if __name__ == "__main__":
    main()
