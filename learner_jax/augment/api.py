"""What the step calls: every scan draws its own numbers, and the dataset's modality says what is done with them.

A scan's key is ``fold_in(step key, cohort row)``, and the step key comes from (seed, step). So the numbers depend on
neither the order of the batch nor the number of devices; of a scan that comes again in a batch, on its place in it.
Each operation draws from a key of its own: switching one off leaves the numbers of the others as they were.
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
    """Augmentation of the scans of one dataset; all that it knows is fixed when the step is compiled.

    Attributes:
      config: how strong; an operation of strength 0 is not compiled at all.
      modality: of the dataset; chooses the family of operations.
      flipped: codes of the views (indices into the cohort's ``views``) that are flipped left to right every other time.
      gap: distance between slices in pixels, so that a volume that is turned keeps its angles.
    """

    config: AugmentConfig = dataclasses.field(hash=False)  # it can be changed, and compares by value
    modality: str
    flipped: tuple[int, ...] = ()
    gap: float = 1.0

    def __call__(
        self, scan: Float[Array, "b t h w c"], row: Int[Array, " b"], view: Int[Array, " b"], key: jax.Array
    ) -> Float[Array, "b t h w c"]:
        """Augment each scan.

        Args:
          scan: intensities between 0 and 1.
          row: cohort row, or what else tells the scans of a step apart: those that share one are augmented alike.
          view: index into the cohort's views.
          key: of this step.

        Returns:
          Intensities between 0 and 1.
        """
        coin, keys = jax.vmap(lambda one: jax.random.split(jax.random.fold_in(key, one)), out_axes=1)(row)
        may_flip = jnp.isin(view, jnp.array(self.flipped, jnp.int32))
        side = jnp.where(jax.vmap(jax.random.bernoulli)(coin) & may_flip, -1.0, 1.0)
        family = partial(_FAMILIES[self.modality], config=self.config, flips=bool(self.flipped), gap=self.gap)
        return jax.vmap(family)(scan, keys, side)


def on_each_device(augmentation: Augmentation, mesh: Mesh) -> Callable[..., Array]:
    """The same of a global batch: each device augments the scans that it holds.

    XLA cannot cut every operation that moves pixels over devices by itself, and would gather the whole batch on each.
    """
    rows = P(BATCH)
    return jax.shard_map(augmentation, mesh=mesh, in_specs=(rows, rows, rows, P()), out_specs=rows)


def for_cohort(config: Config, meta: DatasetMeta, views: tuple[str, ...]) -> Augmentation:
    """The augmentation of a dataset, as ``config.augment`` asks for it.

    Args:
      config: also of what the backbone sees: its frames and pixels say how far apart the slices of a volume lie.
      meta: of the dataset; volumes are stored with one spacing along all axes.
      views: names, in the order of the cohort's codes.

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
