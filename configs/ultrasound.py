"""Lung-ultrasound clips from your own cohort, TSM-ResNet-18, one GPU or TPU host (hours on a CPU).

    python -m tfds_builders.build ultrasound_clips --cohort cohort.csv --data_dir data/lus --scores severity
    python -m learner_jax.main --config configs/ultrasound.py --workdir runs/lus/first \
        --config.data.score=severity --config.eval.change_threshold=0.5 --config.eval.better=lower

You have to state the score, the threshold of change and which scores are better. No expected score is given, because it
depends on the cohort.
"""

from learner_jax.config import (
    BackboneConfig,
    CheckpointConfig,
    Config,
    DataConfig,
    EvalConfig,
    ObjectiveConfig,
    OptimConfig,
)


def get_config() -> Config:
    """Contrastive + MSE on 16 frames of 112x112."""
    return Config(
        steps=10_000,
        batch_size=64,
        log_every=50,
        data=DataConfig(dir="data/lus", frames=16, size=112),
        backbone=BackboneConfig(name="tsm_resnet18"),
        objective=ObjectiveConfig(name="learner_combined"),
        optim=OptimConfig(learning_rate=1e-3),
        checkpoint=CheckpointConfig(every=1000),
        eval=EvalConfig(every=2000),
    )
