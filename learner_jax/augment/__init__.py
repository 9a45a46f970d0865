"""Random augmentation on the device, inside the jitted step; one file for each modality."""

from learner_jax.augment.api import Augmentation, for_cohort

__all__ = ["Augmentation", "for_cohort"]
