"""Brain MRI volumes from your own cohort: slices as frames into TSM-ResNet-18 ("2.5-D"), one GPU or TPU host.

    python -m tfds_builders.build brain_volumes --cohort cohort.csv --data_dir data/brain --scores mmse
    python -m learner_jax.main --config configs/brain.py --workdir runs/brain/first \
        --config.data.score=mmse --config.eval.change_threshold=3 --config.eval.better=higher

You have to state the score, the threshold of change and which scores are better. No expected score is given, because it
depends on the cohort.
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
    """Contrastive + MSE on every third of 96 slices of 2 mm, fitted into 112x112, with left-right flips."""
    return Config(
        steps=10_000,
        batch_size=32,
        log_every=50,
        data=DataConfig(dir="data/brain", frames=32, size=112),
        augment=AugmentConfig(shift=0.04, flip=True),
        backbone=BackboneConfig(name="tsm_resnet18"),
        objective=ObjectiveConfig(name="learner_combined"),
        optim=OptimConfig(learning_rate=1e-3),
        checkpoint=CheckpointConfig(every=1000),
        eval=EvalConfig(every=2000),
    )
