"""MSE, contrast, both, and LILAC on ADNI, with one visit of each training patient and with all; slices or volumes.

python -m learner_jax.sweep run configs/sweeps/adni.py --out runs/adni

docs/adni.md says how to make data/adni and its split, and what may be concluded. Each run takes one GPU, and data/adni
about 1 MB of its memory per scan. No expected score is given: nobody here has seen ADNI.
"""

from learner_jax.sweep import Budget, Study, Sweep

ARMS = {
    "mse": {"objective.name": "mse"},
    "contrastive": {"objective.name": "learner"},
    "combined": {"objective.name": "learner_combined"},
}
# Every slice as a volume, where the config takes every third as a frame ("2.5-D").
VOLUMES = {"combined 3-D": ARMS["combined"] | {"backbone.name": "resnet3d_18", "data.frames": 96}}
# Learns from pairs of visits of one patient, which the other arms do without.
FINE = {"lilac": {"objective.name": "lilac", "sampler.name": "patients_by_visits"}}
FIELDS = {
    **{"data.dir": "data/adni", "data.split": "held_out", "data.score": "mmse", "data.cache": "device"},
    # Clark 1999, on 372 patients with Alzheimer's disease: the error has an SD of 2.8 points; changes above 3 count.
    **{"eval.change_threshold": 3, "eval.better": "higher", "eval.label_noise": 2.8},
    **{"eval.every": 0, "trackers": ""},
}


def get_sweep() -> Sweep:
    """Two studies with 8 arms; three learning rates and three seeds each make 40 runs."""
    about = {
        "config": "configs/brain.py",
        "budget": Budget(examples=320_000),  # 10,000 batches of 32
        "learning_rates": (3e-4, 1e-3, 3e-3),
    }
    one, every = (FIELDS | {"data.visits_per_patient": visits} for visits in ("one", "all"))
    return Sweep(
        studies=[
            Study(name="one visit", arms=ARMS | VOLUMES, fields=one, **about),
            Study(name="all visits", arms=ARMS | FINE, fields=every, **about),
        ]
    )
