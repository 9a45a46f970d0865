"""One scan of each patient in a batch, so that all pairs are between patients: the paper's setting."""

from learner_jax.config import Config
from learner_jax.data.samplers.api import Pool, samplers
from learner_jax.data.samplers.deal import Planned, deal
from tfds_builders.errors import InputError


@samplers.register("inter_patient")
def inter_patient(config: Config, pool: Pool) -> Planned:
    """Batches of different patients; an epoch has every scan at least once, to the extent that
    :func:`~learner_jax.data.samplers.deal.deal` can.

    Raises:
      InputError: there are fewer patients than scans in a batch.
    """
    size = config.batch_size
    if pool.n_patients < size:
        raise InputError(
            f"a batch of {size} scans of different patients needs {size} patients, and the training split has "
            f"{pool.n_patients}. Set --config.batch_size={pool.n_patients} or less, or another --config.sampler.name"
        )
    batches = -(-len(pool) // size)
    return Planned(lambda seed, epoch: pool.row[deal(pool.patient, batches, size, seed, epoch)], batches)
