"""Several visits of one patient in a batch, as fine pairs and the removal of identity need them."""

import numpy as np

from learner_jax.config import Config
from learner_jax.data.samplers.api import Pool, random_bits, samplers
from learner_jax.data.samplers.deal import Planned, absent, deal
from tfds_builders.errors import InputError
from tfds_builders.wording import plural

_MOST_CANDIDATES = 2**20  # scans considered at once for filling groups: about 100 MiB


@samplers.register("patients_by_visits")
def patients_by_visits(config: Config, pool: Pool) -> Planned:
    """P patients with K = ``sampler.visits`` visits each, P = batch_size / K; one scan of each visit.

    The scans of a group are of one view if the patient has it in K visits. Patients with fewer visits are not drawn. An
    epoch has every scan of the others at least once, except of patients with more visits than there are batches.

    Raises:
      InputError: K does not divide the batch, or there are too few patients with K visits.
    """
    k, size = config.sampler.visits, config.batch_size
    if size % k:
        below, above = size // k * k, -(-size // k) * k
        raise InputError(
            f"config.batch_size is {size}, which groups of {k} visits (config.sampler.visits) do not fill; set "
            f"--config.batch_size={f'{below} or {above}' if below else above}"
        )
    pool, note = _with_visits(pool, k, size // k)
    owner = _owners(pool, k)
    batches = -(-len(owner) // (size // k))

    def plan(seed: int, epoch: int) -> np.ndarray:
        table = deal(owner, batches, size // k, seed, epoch)
        return pool.row[_groups(pool, k, seed, epoch)[table].reshape(batches, size)]

    return Planned(plan, batches, note)


@samplers.register("mixed")
def mixed(config: Config, pool: Pool) -> Planned:
    """A fraction ``sampler.mix`` of the batch as groups of K visits of a patient, the rest as single scans of others.

    An epoch has every scan at least once among the single ones, to the extent that ``inter_patient`` does.

    Raises:
      InputError: the mix leaves no room for a group or for a single scan, or there are too few patients.
    """
    k, size = config.sampler.visits, config.batch_size
    n_groups = int(config.sampler.mix * size) // k
    singles = size - n_groups * k
    if not n_groups or not singles:
        raise InputError(
            f"config.sampler.mix is {config.sampler.mix}: of {size} scans that makes {plural(n_groups, 'group')} of "
            f"{k} visits and {plural(singles, 'single scan')}, and mixed needs both. Set --config.sampler.mix=…, or "
            "--config.sampler.name=inter_patient or patients_by_visits"
        )
    if pool.n_patients < n_groups + singles:
        raise InputError(
            f"a batch of {plural(n_groups, 'group')} and {plural(singles, 'single scan')} of different patients needs "
            f"{n_groups + singles} patients, and the training split has {pool.n_patients}. Set a smaller "
            "--config.batch_size or a larger --config.sampler.mix"
        )
    several, note = _with_visits(pool, k, n_groups + singles)
    owner, batches = _owners(several, k), -(-len(pool) // singles)

    def plan(seed: int, epoch: int) -> np.ndarray:
        groups = several.row[_groups(several, k, seed, epoch)]
        table = np.empty((batches, size), np.int64)
        for batch, alone in enumerate(deal(pool.patient, batches, singles, seed, epoch)):
            chosen = absent(owner, pool.patient[alone], n_groups, seed, epoch * batches + batch)
            table[batch] = np.concatenate([groups[chosen].ravel(), pool.row[alone]])
        return table

    return Planned(plan, batches, note)


def _with_visits(pool: Pool, k: int, needed: int) -> tuple[Pool, str]:
    """The scans of patients with at least ``k`` visits, and a note on the others."""
    _, one = np.unique(_paired(pool.patient, pool.visit), return_index=True)
    patients, visits = np.unique(pool.patient[one], return_counts=True)
    fit = patients[visits >= k]
    if len(fit) < needed:
        raise InputError(
            f"groups of {k} visits need {needed} patients with so many, and of {len(patients)} training patients "
            f"{len(fit)} have them (most visits of one: {visits.max()}). Set a smaller --config.batch_size or "
            "--config.sampler.visits, or --config.data.visits_per_patient=all"
        )
    left = len(patients) - len(fit)
    note = f"{left} of {len(patients)} training patients have fewer than {k} visits and are in no group" if left else ""
    return pool.take(np.isin(pool.patient, fit)), note


def _cells(pool: Pool) -> tuple[np.ndarray, np.ndarray]:
    """Index of each scan's (patient, view), and the patient of each index."""
    _, one, of = np.unique(_paired(pool.patient, pool.view), return_index=True, return_inverse=True)
    return of, pool.patient[one]


def _n_groups(pool: Pool, k: int) -> np.ndarray:
    """Number of groups for each (patient, view): enough for all its scans, and for repeats of a visit to separate."""
    of, patient = _cells(pool)
    _, cell, repeats = np.unique(_paired(of, pool.visit), return_index=True, return_counts=True)
    most = np.zeros(len(patient), np.int64)
    np.maximum.at(most, of[cell], repeats)
    return np.maximum(-(-np.bincount(of) // k), most)


def _owners(pool: Pool, k: int) -> np.ndarray:
    """Patient of each group, in the order of :func:`_groups`."""
    return np.repeat(_cells(pool)[1], _n_groups(pool, k))


def _groups(pool: Pool, k: int, seed: int, epoch: int) -> np.ndarray:
    """All scans in groups of ``k`` visits of one patient and, where possible, one view: i64 ``[groups, k]``.

    The scans of a (patient, view) are lined up visit by visit in random order and dealt to its groups in turn, which
    separates repeats of a visit. A group that comes out short is filled from visits that it lacks, its own view first.
    """
    n, (of, _) = len(pool), _cells(pool)
    count = _n_groups(pool, k)
    visit_key = _mixed_key(random_bits(1, seed, epoch, purpose=7)[0], of, pool.visit)
    line = np.lexsort((random_bits(n, seed, epoch, purpose=8), visit_key, of))
    per_cell = np.bincount(of)
    place = np.arange(n) - np.repeat(np.cumsum(per_cell) - per_cell, per_cell)
    group = (np.cumsum(count) - count)[of[line]] + place % count[of[line]]
    slot = place // count[of[line]]
    table = np.full((count.sum(), k), -1, np.int64)
    table[group, slot] = line
    _fill(pool, table, random_bits(n, seed, epoch, purpose=9))
    return table


def _fill(pool: Pool, table: np.ndarray, key: np.ndarray) -> None:
    """Fill short groups, in place, with scans of visits that they lack: of their view first, then by ``key``."""
    k, held = table.shape[1], (table >= 0).sum(1)
    by_patient = np.argsort(pool.patient, kind="stable")
    short = np.flatnonzero(held < k)
    of_patient = pool.patient[table[short, 0]]
    start, stop = (np.searchsorted(pool.patient[by_patient], of_patient, side) for side in ("left", "right"))
    part = np.cumsum(stop - start) // _MOST_CANDIDATES
    for some in np.split(np.arange(len(short)), np.flatnonzero(np.diff(part)) + 1):
        candidates = (stop - start)[some]
        of = np.repeat(some, candidates)
        place = np.arange(len(of)) - np.repeat(np.cumsum(candidates) - candidates, candidates)
        group, scan = short[of], by_patient[start[of] + place]
        inside = table[group]
        lacks = ~((inside >= 0) & (pool.visit[inside] == pool.visit[scan, None])).any(1)
        group, scan = group[lacks], scan[lacks]
        order = np.lexsort((key[scan], pool.view[scan] != pool.view[table[group, 0]], group))
        group, scan = group[order], scan[order]
        _, first = np.unique(_paired(group, pool.visit[scan]), return_index=True)
        group, scan = group[np.sort(first)], scan[np.sort(first)]
        slot = held[group] + np.arange(len(group)) - np.searchsorted(group, group)
        table[group[slot < k], slot[slot < k]] = scan[slot < k]


def _paired(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """i64 ``[n]``: a number for each pair, in the same order. ``np.unique`` over pairs would take ten times as long."""
    low, high = (int(second.min()), int(second.max())) if len(second) else (0, 0)
    return first.astype(np.int64) * (high - low + 1) + (second - low)


def _mixed_key(salt: np.uint64, *fields: np.ndarray) -> np.ndarray:
    """A random number for each distinct combination of the fields, by splitmix64's finaliser."""
    x = np.full(len(fields[0]), salt, np.uint64)
    for field in fields:
        x = x ^ (field.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15))
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return x
