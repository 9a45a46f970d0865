"""Step -> Batch: a grain dataset over steps.

So resuming needs only the step, and any number of processes sees the same global batches.
"""

import dataclasses
from collections.abc import Callable, Sequence

import grain
import numpy as np
from jax.sharding import Mesh

from learner_jax.batch import Batch, BatchSpec, draws, shapes_of
from learner_jax.config import DataConfig
from learner_jax.data.cohort import Cohort
from learner_jax.data.damage import Damage
from learner_jax.data.samplers import Sampler
from learner_jax.data.source import Records, Unreadable
from learner_jax.data.transforms import Fit, SampleFrames, for_backbone
from learner_jax.mesh import batch_sharding, local_rows


@dataclasses.dataclass(frozen=True)
class Reader:
    """Cohort rows -> this host's part of a Batch."""

    cohort: Cohort
    records: Records
    transforms: tuple[SampleFrames, Fit]
    config: DataConfig
    damage: Damage

    def spec(self, batch_size: int) -> BatchSpec:
        """Shape of the global batches, without reading one."""
        size, channels = self.config.size, self.cohort.meta.scan_shape[3]
        return BatchSpec(batch_size, self.config.frames, size, size, channels)

    def shapes(self, batch_size: int, mesh: Mesh) -> Batch:
        """Shapes, dtypes and shardings of the global batches."""
        return shapes_of(self.spec(batch_size), self.cohort.meta.dtype, batch_sharding(mesh))

    def read(self, rows: np.ndarray, mask: np.ndarray, random: Sequence[np.random.Philox] | None = None) -> Batch:
        """Batch of the given rows.

        Args:
          rows: i64 ``[b]`` cohort rows.
          mask: bool ``[b]``; False for padding. In the batch it is also False for unreadable rows, black at scale 0.
          random: of each row, for random temporal sampling; None in evaluation.
        """

        def seen(i: int, scan: np.ndarray) -> np.ndarray:
            rng = None if random is None else random[i]
            for transform in self.transforms:
                scan = transform(scan, rng)
            return scan

        scan, scale, offset, readable = self.scans(rows, seen)
        return Batch(scan=scan, **self.fields(rows, scale, offset, mask & readable))

    def scans(self, rows: np.ndarray, change: Callable[[int, np.ndarray], np.ndarray]) -> tuple[np.ndarray, ...]:
        """Read scans.

        Args:
          rows: i64 ``[b]`` cohort rows.
          change: ``(i, stored scan) -> scan``, applied to the i-th of them.

        Returns:
          The changed scans, stacked; their scales and offsets f32 ``[b]``; and whether each was readable, bool ``[b]``.
        """
        meta = self.cohort.meta
        scans, scales, offsets, readable = [], [], [], np.ones(len(rows), bool)
        for i, (row, record) in enumerate(zip(rows.tolist(), self.records.read(rows), strict=True)):
            if isinstance(record, Unreadable):
                self.damage.note(row, record.reason)
                record, readable[i] = {"scan": np.zeros(meta.scan_shape, meta.dtype), "scale": 0, "offset": 0}, False
            scans.append(change(i, record["scan"]))
            scales.append(record["scale"])
            offsets.append(record["offset"])
        return np.stack(scans), np.array(scales, np.float32), np.array(offsets, np.float32), readable

    def fields(
        self, rows: np.ndarray, scale: np.ndarray, offset: np.ndarray, mask: np.ndarray
    ) -> dict[str, np.ndarray]:
        """All fields of a batch of these rows except the scan."""
        c = self.cohort
        return {
            "scale": scale,
            "offset": offset,
            "score": c.standardise(c.score[rows]),
            "patient": c.patient[rows],
            "visit": c.visit[rows],
            "view": c.view[rows],
            "site": c.site[rows],
            "row": rows.astype(np.int32),
            "time_days": c.time_days[rows],
            "mask": mask,
        }


def words(seed: int, step: int, rows: np.ndarray, mine: np.ndarray) -> list[np.random.Philox]:
    """Sources of random words for rows of a global batch, the same for any number of hosts; see :func:`draws`.

    Args:
      seed: of the run.
      step: from 0.
      rows: i64 ``[b]`` of the whole batch.
      mine: places in the batch of the rows to make them for.
    """
    drawn = draws(rows, np)[mine].tolist()
    return [np.random.Philox(key=[seed, step], counter=[max(one, 0), max(-one, 0), 0, 0]) for one in drawn]


def open_reader(cohort: Cohort, config: DataConfig) -> Reader:
    """Open a cohort's records, with the transforms that the config asks for."""
    records = Records(config.dir, cohort.scan_ids)
    damage = Damage(cohort.scan_ids, config.max_bad_fraction)
    return Reader(cohort, records, for_backbone(config, cohort.meta), config, damage)


def training_batches(
    reader: Reader, sampler: Sampler, seed: int, start: int, stop: int, mesh: Mesh
) -> grain.IterDataset[Batch]:
    """This process's part of the global batches of steps ``start`` to ``stop`` (exclusive), read ahead by threads.

    Raises:
      InputError: on reaching a batch with which more than ``data.max_bad_fraction`` of the training scans are
        unreadable.
    """
    mine = local_rows(mesh, len(sampler.rows(seed, start)))

    def read(step: int) -> Batch:
        rows = sampler.rows(seed, step)
        return reader.read(rows[mine], np.ones(len(mine), bool), words(seed, step, rows, mine))

    def counted(batch: Batch) -> Batch:
        reader.damage.count(batch.row[~batch.mask], reader.cohort.labeled_train, "training")
        return batch

    return read_ahead(grain.MapDataset.range(start, stop).map(read), reader.config).map(counted)


def evaluation_batches(reader: Reader, rows: np.ndarray, batch_size: int, mesh: Mesh) -> grain.IterDataset[Batch]:
    """This process's part of the given rows, in order.

    The mask is False for unreadable rows and for repeats of the last row, which fill the last batch.
    """
    mine = local_rows(mesh, batch_size)

    def read(step: int) -> Batch:
        part = rows[step * batch_size : (step + 1) * batch_size]
        padded = np.concatenate([part, np.repeat(part[-1:], batch_size - len(part))])
        return reader.read(padded[mine], mine < len(part))

    return read_ahead(grain.MapDataset.range(-(-len(rows) // batch_size)).map(read), reader.config)


def read_ahead(steps: grain.MapDataset, config: DataConfig) -> grain.IterDataset:
    """The elements in order, prepared ahead by threads."""
    # By default grain buffers 500 elements. Here each is a batch, so that would be gigabytes. A thread needs a place in
    # the buffer, or it would be idle.
    ahead = max(config.read_ahead, config.read_threads)
    return steps.to_iter_dataset(grain.ReadOptions(num_threads=config.read_threads, prefetch_buffer_size=ahead))
