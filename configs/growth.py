"""Yeast colonies photographed over five days: a real longitudinal set in which fine change was measured. CPU, minutes.

    python -m tfds_builders.cohort growth FOLDER_OF_THE_NPZ -o data/growth.csv --pictures data/growth_stills
    python -m tfds_builders.build stills --cohort data/growth.csv --root data/growth_stills --scores growth \
        --data_dir data/growth
    python -m learner_jax.main --config configs/growth.py --workdir runs/growth

A change of growth up to 3 counts as stable. Colonies that never grow are the null controls.
"""

from learner_jax.config import (
    AugmentConfig,
    BackboneConfig,
    CheckpointConfig,
    Config,
    DataConfig,
    EvalConfig,
    ObjectiveConfig,
    OptimConfig,
)


def get_config() -> Config:
    """Contrastive + MSE on single pictures of 64x64."""
    return Config(
        steps=300,
        batch_size=64,
        log_every=10,
        data=DataConfig(dir="data/growth", score="growth", frames=1, size=64),
        augment=AugmentConfig(flip=True),
        backbone=BackboneConfig(name="tsm_resnet18_narrow"),
        objective=ObjectiveConfig(name="learner_combined"),
        optim=OptimConfig(learning_rate=1e-3),
        checkpoint=CheckpointConfig(every=100),
        eval=EvalConfig(change_threshold=3.0),
    )
