"""The training scans in the memory of every device: read once, and batches gathered from there.

A step's frames are chosen on the host by the same random words as without the cache; what is gathered by them has been
scaled before, which changes no bit. Rows are drawn from the whole cohort, so each device holds all of them.
"""

import dataclasses
import math

import grain
import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Int32, Shaped

from learner_jax.batch import Batch
from learner_jax.data.pipeline import Reader, read_ahead, words
from learner_jax.data.samplers import Sampler
from learner_jax.mesh import batch_sharding, local_rows, replicated, to_global
from tfds_builders.errors import InputError

_READ_AT_ONCE = 32  # rows


@dataclasses.dataclass(frozen=True)
class Cache:
    """``n`` training scans with all stored frames."""

    scan: Shaped[Array, "n t h w c"]  # as stored but for their size; on every device
    place: np.ndarray  # i32 [cohort]: of a row of the cohort in the others; -1: none
    scale: np.ndarray  # f32 [n]
    offset: np.ndarray
    readable: np.ndarray  # bool [n]


def cached_batches(
    reader: Reader, sampler: Sampler, seed: int, start: int, stop: int, mesh: Mesh
) -> grain.IterDataset[Batch]:
    """The global batches of steps ``start`` to ``stop`` (exclusive), once all training scans have been read.

    Raises:
      InputError: more of the training scans than ``data.max_bad_fraction`` cannot be read.
    """
    cache = fill(reader, mesh)
    mine = local_rows(mesh, len(sampler.rows(seed, start)))
    gather = jax.jit(_gather, out_shardings=batch_sharding(mesh))
    sample, stored = reader.transforms[0], np.arange(cache.scan.shape[1], dtype=np.int32)

    def describe(step: int) -> dict[str, np.ndarray]:
        rows = sampler.rows(seed, step)
        frame = [stored[sample.pick(len(stored), random)] for random in words(seed, step, rows, mine)]
        rows = rows[mine]
        place = cache.place[rows]
        about = reader.about(rows, cache.scale[place], cache.offset[place], cache.readable[place])
        return {"place": place, "frame": np.stack(frame), **about}

    def gathered(local: dict[str, np.ndarray]) -> Batch:
        fields = to_global(mesh, local)
        scan = gather(cache.scan, fields.pop("place"), fields.pop("frame"))
        return Batch(scan=scan, **fields)

    return read_ahead(grain.MapDataset.range(start, stop).map(describe), reader.config).map(gathered)


def fill(reader: Reader, mesh: Mesh) -> Cache:
    """Read every training row once.

    Raises:
      InputError: more of them than ``data.max_bad_fraction`` cannot be read.
    """
    rows, fit = reader.cohort.labeled_train, reader.transforms[1]

    def read(chunk: int) -> tuple[np.ndarray, ...]:
        return reader.scans(rows[chunk * _READ_AT_ONCE : (chunk + 1) * _READ_AT_ONCE], lambda _, scan: fit(scan, None))

    host = np.empty(_shape(reader), reader.cohort.meta.dtype)
    scale, offset, readable = (
        np.empty(len(rows), np.float32),
        np.empty(len(rows), np.float32),
        np.empty(len(rows), bool),
    )
    chunks = grain.MapDataset.range(math.ceil(len(rows) / _READ_AT_ONCE)).map(read)
    for chunk, found in enumerate(read_ahead(chunks, reader.config)):
        part = slice(chunk * _READ_AT_ONCE, (chunk + 1) * _READ_AT_ONCE)
        host[part], scale[part], offset[part], readable[part] = found
    reader.damage.count(rows[~readable], rows, "training")
    place = np.full(len(reader.cohort.score), -1, np.int32)
    place[rows] = np.arange(len(rows))
    scan = jax.make_array_from_process_local_data(replicated(mesh), host)
    return Cache(scan, place, scale, offset, readable)


def check_fits(reader: Reader, mesh: Mesh) -> None:
    """Refuse training scans that one of this process's devices has no memory for, where it tells how much it has.

    Raises:
      InputError: with the bytes needed and those there.
    """
    needed = math.prod(_shape(reader)) * np.dtype(reader.cohort.meta.dtype).itemsize
    for device in mesh.local_devices:
        stats = device.memory_stats() or {}  # a CPU tells nothing
        if "bytes_limit" in stats:
            refuse(needed, stats["bytes_limit"] - stats.get("bytes_in_use", 0), str(device))


def refuse(needed: int, there: int, device: str) -> None:
    """
    Raises:
      InputError: more bytes are needed than there.
    """
    if needed > there:
        raise InputError(
            f"config.data.cache is 'device': the training scans take {needed / 2**30:.2f} GiB, and {device} has "
            f"{there / 2**30:.2f} GiB left. Set --config.data.cache=none, or fewer pixels by --config.data.size"
        )


def _shape(reader: Reader) -> tuple[int, ...]:
    (t, _, _, c), size = reader.cohort.meta.scan_shape, reader.config.size
    return len(reader.cohort.labeled_train), t, size, size, c


def _gather(
    scan: Shaped[Array, "n t h w c"], place: Int32[Array, " b"], frame: Int32[Array, "b s"]
) -> Shaped[Array, "b s h w c"]:
    return scan[place[:, None], frame]
