"""All training scans in the memory of every device: read once, then each batch is gathered from there.

The host chooses a step's frames by the same random words as without the cache. Scans are scaled before their frames are
gathered rather than after, which changes no bit. Any row can be drawn at any place in a batch, so every device holds
all scans.
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

    scan: Shaped[Array, "n t h w c"]  # as stored, but scaled to ``data.size``; on every device
    place: np.ndarray  # i32 [cohort]: index of each cohort row in the other fields; -1: not cached
    scale: np.ndarray  # f32 [n]
    offset: np.ndarray
    readable: np.ndarray  # bool [n]


def cached_batches(
    reader: Reader, sampler: Sampler, seed: int, start: int, stop: int, mesh: Mesh
) -> grain.IterDataset[Batch]:
    """Read all training scans; then the global batches of steps ``start`` to ``stop`` (exclusive).

    Raises:
      InputError: a larger fraction of the training scans than ``data.max_bad_fraction`` cannot be read.
    """
    cache = fill(reader, mesh)
    mine = local_rows(mesh, len(sampler.rows(seed, start)))
    gather = jax.jit(_gather, out_shardings=batch_sharding(mesh))
    sample, _ = reader.transforms
    stored = np.arange(cache.scan.shape[1], dtype=np.int32)

    def describe(step: int) -> dict[str, np.ndarray]:
        rows = sampler.rows(seed, step)
        frame = [stored[sample.pick(len(stored), random)] for random in words(seed, step, rows, mine)]
        rows = rows[mine]
        place = cache.place[rows]
        fields = reader.fields(rows, cache.scale[place], cache.offset[place], cache.readable[place])
        return {"place": place, "frame": np.stack(frame), **fields}

    def gathered(local: dict[str, np.ndarray]) -> Batch:
        fields = to_global(mesh, local)
        scan = gather(cache.scan, fields.pop("place"), fields.pop("frame"))
        return Batch(scan=scan, **fields)

    return read_ahead(grain.MapDataset.range(start, stop).map(describe), reader.config).map(gathered)


def fill(reader: Reader, mesh: Mesh) -> Cache:
    """Read every training row once.

    Raises:
      InputError: a larger fraction of them than ``data.max_bad_fraction`` cannot be read.
    """
    rows, (_, fit) = reader.cohort.labeled_train, reader.transforms
    chunks = [slice(start, start + _READ_AT_ONCE) for start in range(0, len(rows), _READ_AT_ONCE)]

    def read(chunk: slice) -> tuple[np.ndarray, ...]:
        return reader.scans(rows[chunk], lambda _, scan: fit(scan, None))

    host = np.empty(_shape(reader), reader.cohort.meta.dtype)
    scale, offset = np.empty(len(rows), np.float32), np.empty(len(rows), np.float32)
    readable = np.empty(len(rows), bool)
    found = read_ahead(grain.MapDataset.source(chunks).map(read), reader.config)
    for chunk, parts in zip(chunks, found, strict=True):
        host[chunk], scale[chunk], offset[chunk], readable[chunk] = parts
    reader.damage.count(rows[~readable], rows, "training")
    place = np.full(len(reader.cohort.score), -1, np.int32)
    place[rows] = np.arange(len(rows))
    scan = jax.make_array_from_process_local_data(replicated(mesh), host)
    return Cache(scan, place, scale, offset, readable)


def check_fits(reader: Reader, mesh: Mesh) -> None:
    """Refuse training scans that do not fit the free memory of one of this process's devices, where that is known.

    Raises:
      InputError: with the memory needed and the memory left.
    """
    needed = cache_bytes(reader)
    for device in mesh.local_devices:
        stats = device.memory_stats() or {}  # a CPU has none
        if "bytes_limit" in stats:
            refuse(needed, stats["bytes_limit"] - stats.get("bytes_in_use", 0), str(device))


def cache_bytes(reader: Reader) -> int:
    """Memory that the training scans take on every device."""
    return math.prod(_shape(reader)) * np.dtype(reader.cohort.meta.dtype).itemsize


def refuse(needed: int, left: int, device: str) -> None:
    """Refuse a cache of ``needed`` bytes for a device that has ``left``.

    Raises:
      InputError: more bytes are needed than left.
    """
    if needed > left:
        raise InputError(
            f"config.data.cache is 'device': the training scans take {needed / 2**30:.2f} GiB, and {device} has "
            f"{left / 2**30:.2f} GiB left. Set --config.data.cache=none, or fewer pixels by --config.data.size"
        )


def _shape(reader: Reader) -> tuple[int, ...]:
    (t, _, _, c), size = reader.cohort.meta.scan_shape, reader.config.size
    return len(reader.cohort.labeled_train), t, size, size, c


def _gather(
    scan: Shaped[Array, "n t h w c"], place: Int32[Array, " b"], frame: Int32[Array, "b s"]
) -> Shaped[Array, "b s h w c"]:
    return scan[place[:, None], frame]
