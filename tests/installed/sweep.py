"""A sweep as a user has it: a dataset and two runs, which one worker does."""

from learner_jax.sweep import Budget, Study, Sweep


def get_sweep() -> Sweep:
    """Two seeds of the config beside it."""
    return Sweep(
        datasets={"swept": ["tfds_builders.build synthetic_lus --data_dir {dir} --n_patients 24 --frames 2 --size 32"]},
        studies=[
            Study(
                name="seeds",
                config="mine.py",
                arms={"mse": {"objective.name": "mse"}},
                budget=Budget(steps=4),
                fields={"data.dir": "swept"},
                seeds=(0, 1),
            )
        ],
    )
