"""Yeast colonies photographed over five days: a real longitudinal set in which fine change was measured. CPU, a minute.

    python -m tfds_builders.cohort growth FOLDER_OF_THE_NPZ -o data/growth.csv --pictures data/growth_stills
    python -m tfds_builders.build stills --cohort data/growth.csv --root data/growth_stills --scores growth \
        --data_dir data/growth
    python -m tfds_builders.splits data/growth --name held_out --fractions 0.1667 0.0833 0.75
    python -m learner_jax.main --config configs/growth.py --workdir runs/growth/combined-0

The strict coarse setting: one photograph of each of 24 colonies, and of its growth only whether it is above 40. The
continuous score of all colonies is learnt so well by any objective that nothing can be compared.
`python -m benchmarks.growth` trains and scores arms and seeds. A change of growth up to 3 counts as stable; colonies
that never move further are the null controls.
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
    """Contrastive + MSE on single pictures of 64x64; with another seed use another ``data.draw`` too."""
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
