"""Yeast colonies photographed over five days: real longitudinal data with measured fine change. CPU, one minute.

    python -m tfds_builders.cohort growth FOLDER_OF_THE_NPZ -o data/growth.csv --pictures data/growth_stills
    python -m tfds_builders.build stills --cohort data/growth.csv --root data/growth_stills --scores growth \
        --data_dir data/growth
    python -m tfds_builders.splits data/growth --name held_out --fractions 0.1667 0.0833 0.75
    python -m learner_jax.main --config configs/growth.py --workdir runs/growth/combined-0

The strict coarse setting: one photograph of each of 24 colonies, and only whether its growth is above 40. With the
continuous score of all colonies, every objective learns so well that there is nothing to compare.
`python -m benchmarks.growth` trains and scores arms and seeds. A change in growth of up to 3 counts as stable; colonies
that never change more are the null controls.
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
    """Contrastive + MSE on single pictures of 64x64; with another seed, also use another ``data.draw``."""
    return Config(
        steps=300,
        batch_size=24,
        log_every=10,
        data=DataConfig(
            dir="data/growth",
            split="held_out",
            score="growth",
            visits_per_patient="one",
            train_patients=24,
            score_cuts="40",
            frames=1,
            size=64,
        ),
        augment=AugmentConfig(flip=True),
        backbone=BackboneConfig(name="tsm_resnet18_narrow"),
        objective=ObjectiveConfig(name="learner_combined"),
        optim=OptimConfig(learning_rate=1e-3),
        checkpoint=CheckpointConfig(every=100),
        eval=EvalConfig(change_threshold=3.0),
    )
