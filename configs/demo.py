"""The demo: an embedded synthetic lung-ultrasound cohort, a narrow TSM-ResNet-18, minutes on 2 CPU cores.

python -m tfds_builders.build synthetic_lus --data_dir data/demo
python -m learner_jax.main --config configs/demo.py --workdir runs/demo/combined
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
    """One arm; the arms of `make demo` differ only in ``--config.objective.name``."""
    return Config(
        steps=200,
        batch_size=32,
        data=DataConfig(dir="data/demo", score="sf_ratio", frames=4, size=64),
        augment=AugmentConfig(),
        backbone=BackboneConfig(name="tsm_resnet18_narrow"),
        objective=ObjectiveConfig(name="learner_combined"),
        optim=OptimConfig(learning_rate=2e-3),
        checkpoint=CheckpointConfig(every=50),
        # The label noise is the measurement error of the simulation.
        eval=EvalConfig(change_threshold=30.0, better="higher", label_noise=15.0),
    )
