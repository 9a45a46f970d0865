"""Why contrast does not begin to learn in synthetic brains, on patients that configs/sweeps/claim.py never sees.

    python -m learner_jax.sweep run configs/sweeps/beginning.py --out runs/beginning --workers 2

Its scores are of validation patients; test patients stay closed. The result is in LOG.md.
"""

from learner_jax.sweep import Budget, Study, Sweep

RATES = (1e-3, 4e-3)
MSE = {"objective.name": "mse"}
CONTRAST = {"objective.name": "learner"}
PLANE = {"objective.projection": 2}
INFONCE = CONTRAST | {"objective.form": "soft_infonce"}

SHARED = {
    **{"data.split": "halves", "data.visits_per_patient": "one"},
    **{"eval.readouts": "none", "eval.bootstrap": 100, "trackers": "", "checkpoint.every": 5000},
}
TINY, NARROW = {"backbone.name": "tsm_resnet18-test"}, {"backbone.name": "tsm_resnet18_narrow"}
LUNG = SHARED | {"data.dir": "beginning/lung", "data.frames": 2, "data.size": 48}
BRAIN = SHARED | {
    **{"data.dir": "beginning/brain", "data.score": "mmse", "data.frames": 8, "data.size": 32},
    **{"eval.change_threshold": 1.0, "eval.label_noise": 1.0},
}
LUNG_COHORT = "tfds_builders.build synthetic_lus --data_dir {dir} --n_patients 500 --views 1 --frames 2 --size 48"
BRAIN_COHORT = "tfds_builders.build synthetic_mri --data_dir {dir} --n_patients 500"
HALVES = "tfds_builders.splits {dir} --name halves --fractions 0.48 0.48 0.04"


def get_sweep() -> Sweep:
    """What makes a difference, changing one thing at a time."""
    brain = {
        "mse": MSE,
        "contrast": CONTRAST,
        "contrast of embeddings": CONTRAST | {"objective.projection": 0},
        "contrast projection=4": CONTRAST | {"objective.projection": 4},
        "contrast in a plane": CONTRAST | PLANE,
        "combined in a plane": {"objective.name": "learner_combined"} | PLANE,
    }
    half = {
        "contrast batch=128": CONTRAST | {"batch_size": 128},
        "contrast unweighted": CONTRAST | {"objective.pair_weight": "uniform"},
    }
    lung = {"mse": MSE, "contrast": CONTRAST, "contrast in a plane": CONTRAST | PLANE}
    wider = {"mse": MSE, "contrast": CONTRAST, "soft_infonce": INFONCE}
    return Sweep(
        studies=[
            study("brain", brain, BRAIN | TINY, 600),
            study("brain half", half, BRAIN | TINY, 300, rates=(4e-3,)),
            study("lung", lung, LUNG | TINY, 600),
            study("brain wider", wider, BRAIN | NARROW, 150),
            study("lung wider", wider, LUNG | NARROW, 150),
        ],
        datasets={
            "beginning/lung": [f"{LUNG_COHORT} --seed 7", HALVES],
            "beginning/brain": [f"{BRAIN_COHORT} --seed 7", HALVES],
        },
    )


def study(name: str, arms: dict, fields: dict, steps: int, rates: tuple = RATES) -> Study:
    """One seed only, since the effects in question are large."""
    about = {"config": "configs/demo.py", "budget": Budget(steps=steps), "seeds": (0,)}
    return Study(name=name, arms=arms, fields=fields, learning_rates=rates, **about)
