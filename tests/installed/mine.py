"""A config as a user has it in a folder of her own: four steps of the smallest net."""

from learner_jax.config import (
    BackboneConfig,
    CheckpointConfig,
    Config,
    DataConfig,
    EvalConfig,
    ObjectiveConfig,
)


def get_config() -> Config:
    """Scored by few resamples and one read-out."""
    return Config(
        steps=4,
        batch_size=8,
        data=DataConfig(dir="data/mine", score="sf_ratio", frames=2, size=32),
        backbone=BackboneConfig(name="tsm_resnet18-test"),
        objective=ObjectiveConfig(name="mse", projection=8),
        checkpoint=CheckpointConfig(every=2),
        eval=EvalConfig(change_threshold=30.0, batch_size=8, bootstrap=50, readouts="none"),
    )
