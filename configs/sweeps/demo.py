"""The demo as a sweep: three objectives, three learning rates each, three seeds; 15 runs of the demo's length.

python -m learner_jax.sweep run configs/sweeps/demo.py --out runs/sweep --workers 2
"""

from learner_jax.sweep import Budget, Study, Sweep


def get_sweep() -> Sweep:
    """One study on one synthetic cohort."""
    return Sweep(
        datasets={"demo": ["tfds_builders.build synthetic_lus --data_dir {dir} --n_patients 300"]},
        studies=[
            Study(
                name="objectives",
                config="configs/demo.py",
                arms={
                    "mse": {"objective.name": "mse"},
                    "contrastive": {"objective.name": "learner"},
                    "combined": {"objective.name": "learner_combined"},
                },
                budget=Budget(steps=200),
                fields={"data.dir": "demo"},
                learning_rates=(5e-4, 2e-3, 8e-3),
            )
        ],
    )
