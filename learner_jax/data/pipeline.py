"""Step -> Batch: a grain dataset over steps, so that resuming needs only the step, and any process count sees the same
global batches."""

import dataclasses
from collections.abc import Iterator

import grain
import jax
import numpy as np
from jax.sharding import Mesh

from learner_jax.batch import Batch, BatchSpec
from learner_jax.config import DataConfig
from learner_jax.data.cohort import Cohort
from learner_jax.data.damage import Damage
from learner_jax.data.samplers import Sampler
from learner_jax.data.source import Records, Unreadable
from learner_jax.data.transforms import for_backbone
from learner_jax.mesh import batch_sharding, local_rows


@dataclasses.dataclass(frozen=True)
class Reader:
    """Rows of the cohort -> a host's Batch."""

    cohort: Cohort
    records: Records
    transforms: tuple
    config: DataConfig
    damage: Damage

    def spec(self, batch_size: int) -> BatchSpec:
        """Shape of the batches to come, without reading one."""
        return BatchSpec(
            batch_size, self.config.frames, self.config.size, self.config.size, self.cohort.meta.scan_shape[3]
        )

    def shapes(self, batch_size: int, mesh: Mesh) -> Batch:
        """Shapes and dtypes of the global batches to come, each with its place."""
        one, place = self.read(np.zeros(1, np.int64), np.ones(1, bool)), batch_sharding(mesh)
        shape = lambda x: jax.ShapeDtypeStruct((batch_size, *x.shape[1:]), x.dtype, sharding=place)  # noqa: E731
        return jax.tree.map(shape, one)

    def read(self, rows: np.ndarray, mask: np.ndarray, key: tuple[int, int] | None = None) -> Batch:
        """Batch of the given rows.

        Args:
          rows: i64 ``[b]`` cohort rows.
          mask: bool ``[b]``; False rows pad the batch, and so do those that cannot be read: black, at scale 0.
          key: (seed, step) of random temporal sampling; None in evaluation.
        """
        scans, scales, offsets, readable = [], [], [], mask.copy()
        for i, (row, record) in enumerate(zip(rows.tolist(), self.records.read(rows), strict=True)):
            if isinstance(record, Unreadable):
                self.damage.note(row, record.reason)
                scans.append(np.zeros(self.spec(1).shape[1:], self.cohort.meta.dtype))
                scales.append(0.0)
                offsets.append(0.0)
                readable[i] = False
                continue
            # keyed by the row, not by its place in the batch: any number of hosts draws the same frames
            rng = None if key is None else np.random.Philox(key=[*key], counter=[row, 0, 0, 0])
            scan = record["scan"]
            for transform in self.transforms:
                scan = transform(scan, rng)
            scans.append(scan)
            scales.append(record["scale"])
            offsets.append(record["offset"])
        c = self.cohort
        return Batch(
            scan=np.stack(scans),
            scale=np.array(scales, np.float32),
            offset=np.array(offsets, np.float32),
            score=c.standardise(c.score[rows]),
            patient=c.patient[rows],
            visit=c.visit[rows],
            view=c.view[rows],
            site=c.site[rows],
            row=rows.astype(np.int32),
            time_days=c.time_days[rows],
            mask=readable,
        )


def open_reader(cohort: Cohort, config: DataConfig) -> Reader:
    """Open the records of a cohort with the transforms its config asks for."""
    records = Records(config.dir, cohort.scan_ids)
    damage = Damage(cohort.scan_ids, config.max_bad_fraction)
    return Reader(cohort, records, for_backbone(config, cohort.meta), config, damage)


def training_batches(reader: Reader, sampler: Sampler, seed: int, start: int, stop: int, mesh: Mesh) -> Iterator[Batch]:
    """This process's part of the global batches of steps ``start`` to ``stop`` (exclusive), read ahead by threads.

    Raises:
      InputError: more of the training scans than ``data.max_bad_fraction`` were found unreadable.
    """
    mine = local_rows(mesh, len(sampler.rows(seed, start)))

    def read(step: int) -> Batch:
        rows = sampler.rows(seed, step)[mine]
        return reader.read(rows, np.ones(len(rows), bool), key=(seed, step))

    for batch in _read_ahead(grain.MapDataset.range(start, stop).map(read), reader.config):
        reader.damage.count(batch.row[~batch.mask], reader.cohort.labeled_train, "training")
        yield batch


def evaluation_batches(reader: Reader, rows: np.ndarray, batch_size: int, mesh: Mesh) -> Iterator[Batch]:
    """This process's part of the given rows, in order; the last batch repeats its last row under a False mask.

    Rows that cannot be read come under a False mask too.
    """
    mine = local_rows(mesh, batch_size)

    def read(step: int) -> Batch:
        part = rows[step * batch_size : (step + 1) * batch_size]
        padded = np.concatenate([part, np.repeat(part[-1:], batch_size - len(part))])
        return reader.read(padded[mine], mine < len(part))

    return _read_ahead(grain.MapDataset.range(-(-len(rows) // batch_size)).map(read), reader.config)


def _read_ahead(steps: grain.MapDataset, config: DataConfig) -> Iterator[Batch]:
    # grain's default buffers 500 elements, and an element is a global batch here: 500 batches would be gigabytes
    options = grain.ReadOptions(num_threads=config.read_threads, prefetch_buffer_size=config.read_ahead)
    return iter(steps.to_iter_dataset(options))
