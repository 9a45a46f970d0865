"""What the step calls: each scan draws its own random numbers, and the dataset's modality decides the operations.

A scan's key is ``fold_in(step key, cohort row)``, and the step's key comes from (seed, step). So the numbers depend
neither on the order of the batch nor on the number of devices; for a scan that occurs again in a batch they depend on
its place. Each operation has a key of its own, so switching one off does not change the numbers of the others.
"""

import dataclasses
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int

from learner_jax.augment import mri, photograph, ultrasound
from learner_jax.config import AugmentConfig, Config
from learner_jax.mesh import BATCH
from tfds_builders.errors import InputError
from tfds_builders.record import DatasetMeta
from tfds_builders.wording import suggest

_FAMILIES = {"ultrasound": ultrasound.augment, "mri": mri.augment, "photograph": photograph.augment}
MODALITIES = tuple(_FAMILIES)


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Augmentation of the scans of one dataset, fixed when the step is compiled.

    Attributes:
      config: strengths; an operation of strength 0 is not compiled at all.
      modality: of the dataset; selects the operations.
      flipped: indices into the cohort's ``views`` of those that are flipped left to right, at random in half of cases.
      gap: distance between slices in pixels, so that a rotated volume keeps its angles.
    """

    config: AugmentConfig = dataclasses.field(hash=False)  # mutable, and compared by value
    modality: str
    flipped: tuple[int, ...] = ()
    gap: float = 1.0

    def __call__(
        self, scan: Float[Array, "b t h w c"], row: Int[Array, " b"], view: Int[Array, " b"], key: jax.Array
    ) -> Float[Array, "b t h w c"]:
        """Augment each scan.

        Args:
          scan: intensities between 0 and 1.
          row: cohort row, or another number for each scan; scans with equal numbers are augmented alike.
          view: index into the cohort's views.
          key: random key of this step.

        Returns:
          Intensities between 0 and 1.
        """
        coin, keys = jax.vmap(lambda one: jax.random.split(jax.random.fold_in(key, one)), out_axes=1)(row)
        may_flip = jnp.isin(view, jnp.array(self.flipped, jnp.int32))
        side = jnp.where(jax.vmap(jax.random.bernoulli)(coin) & may_flip, -1.0, 1.0)
        family = partial(_FAMILIES[self.modality], config=self.config, flips=bool(self.flipped), gap=self.gap)
        return jax.vmap(family)(scan, keys, side)


def on_each_device(augmentation: Augmentation, mesh: Mesh) -> Callable[..., Array]:
    """The same for a global batch: each device augments the scans that it holds.

    XLA cannot partition every operation that moves pixels, and would gather the whole batch on each device.
    """
    rows = P(BATCH)
    return jax.shard_map(augmentation, mesh=mesh, in_specs=(rows, rows, rows, P()), out_specs=rows)


def for_cohort(config: Config, meta: DatasetMeta, views: tuple[str, ...]) -> Augmentation:
    """The augmentation of a dataset that ``config.augment`` asks for.

    Args:
      config: of the run; ``data.frames`` and ``data.size`` determine the distance between the slices of a volume.
      meta: of the dataset; volumes are stored with equal spacing along all axes.
      views: of the cohort.

    Raises:
      InputError: ``config.augment.flip_views`` names a view that the dataset does not have, or the config asks for the
        flip of another modality.
    """
    mine, other = ("flip_views", "flip") if meta.modality == "ultrasound" else ("flip", "flip_views")
    if getattr(config.augment, other):
        raise InputError(
            f"config.augment.{other} does nothing to {meta.modality}, which config.augment.{mine} flips. Leave it out"
        )
    t, h, w, _ = meta.scan_shape
    gap = t / config.data.frames * config.data.size / max(h, w)
    flipped = tuple(range(len(views))) if config.augment.flip else ()
    if meta.modality == "ultrasound":
        names = [name.strip() for name in config.augment.flip_views.split(",") if name.strip()]
        for name in names:
            if name not in views:
                raise InputError(
                    f"config.augment.flip_views names {name!r}, which is no view of the dataset; "
                    f"{suggest(name, views)}. Set --config.augment.flip_views=…"
                )
        flipped = tuple(map(views.index, names))
    return Augmentation(config.augment, meta.modality, flipped, gap)
