"""Does learning from coarse differences between patients order fine change within a patient? Where, and where not?

    make claim

Synthetic lung ultrasound and synthetic brain MRI: twelve objectives, with one visit of each training patient and
with all of them; on the ultrasound, curves over what makes it hard, and backbones. Real: yeast colonies photographed
over five days, whose fine change was measured, over grades of the score and numbers of training colonies; and lung
ultrasound of 13 patients, whose fine pairs are places in one lung, not changes over time. The result is in
docs/claim.md.
"""

from learner_jax.sweep import Budget, Study, Sweep, grid

RATES = (1e-3, 4e-3)
BATCHES = Budget(steps=240)
MSE = {"objective.name": "mse"}
CONTRAST = {"objective.name": "learner"}
COMBINED = {"objective.name": "learner_combined"}
# In 64 dimensions embeddings can scatter at right angles to one another, which costs contrast little and says nothing
# about the score; in a plane they cannot.
PLANE = {"objective.projection": 2}
TWO = {"mse": MSE, "contrast": CONTRAST}
COARSE = {
    "mse": MSE,
    "contrast": CONTRAST,
    "contrast unweighted": CONTRAST | {"objective.pair_weight": "uniform"},
    "contrast in a plane": CONTRAST | PLANE,
    "combined": COMBINED,
    "combined in a plane": COMBINED | PLANE,
    "rank_n_contrast": {"objective.name": "rank_n_contrast"},
    "y_aware": {"objective.name": "y_aware"},
    "supcon": {"objective.name": "supcon"},
    "adacon": {"objective.name": "adacon"},
    "simclr": {"objective.name": "simclr"},
}
# Learns from pairs of visits of one patient, which the other arms do without.
FINE = {"lilac": {"objective.name": "lilac", "sampler.name": "patients_by_visits"}}

SMALL = {
    **{"backbone.name": "tsm_resnet18-test", "data.split": "halves"},
    **{"eval.readouts": "none", "eval.bootstrap": 500, "trackers": "", "checkpoint.every": 500},
}
LUNG = SMALL | {"data.dir": "claim/lung", "data.frames": 2, "data.size": 48}
BRAIN = SMALL | {
    **{"data.dir": "claim/brain", "data.score": "mmse", "data.frames": 8, "data.size": 32},
    **{"eval.change_threshold": 1.0, "eval.label_noise": 1.0},
}
# About half of the patients train; 200 are scored, so that a difference of a hundredth in ordering can be seen.
HALVES = "tfds_builders.splits {dir} --name halves --fractions 0.48 0.12 0.4"
LUNG_COHORT = "tfds_builders.build synthetic_lus --data_dir {dir} --n_patients 500 --views 1 --frames 2 --size 48"
HARDER = {  # options of the simulation: the values to try, and the default
    "variance_ratio": ((0.15, 0.35, 0.7), 0.35),  # of the severity: SD within patients over SD between patients
    "identity": ((0.0, 1.0, 2.0), 1.0),
    "label_noise": ((0.0, 15.0, 45.0), 15.0),
}


def get_sweep() -> Sweep:
    """All studies; `--only` selects some."""
    studies = [*objectives("lung", LUNG), *objectives("brain", BRAIN), *curves(), growth(), covid_blues(), backbones()]
    return Sweep(studies=studies, datasets=datasets())


def datasets() -> dict[str, list[str]]:
    """The commands that make each dataset."""
    lung = {
        dataset(knob, value): [f"{LUNG_COHORT} --{knob} {value}" if value != usual else LUNG_COHORT, HALVES]
        for knob, (values, usual) in HARDER.items()
        for value in values
    }
    return lung | {
        "claim/brain": ["tfds_builders.build synthetic_mri --data_dir {dir} --n_patients 500", HALVES],
        # Pictures of yeast reveal nobody's identity, and with a public key everybody gets the same split.
        "claim/growth": [
            "tfds_builders.cohort growth {real}/aux_growth -o {dir}.csv --pictures {dir}_stills",
            "tfds_builders.build stills --cohort {dir}.csv --root {dir}_stills --scores growth --data_dir {dir}"
            " --key_file configs/sweeps/public.key",
            "tfds_builders.splits {dir} --name held_out --fractions 0.6667 0.1667 0.1666",
        ],
        "claim/covid_blues": [
            "tfds_builders.cohort covid_blues {real} -o {dir}.csv",
            "tfds_builders.build ultrasound_clips --cohort {dir}.csv --root {real} --scores severity --data_dir {dir}"
            " --frames 4 --size 64 --key_file configs/sweeps/public.key",
            "tfds_builders.splits {dir} --name third --fractions 0.4616 0.1538 0.3846",
        ],
    }


def dataset(knob: str, value: float) -> str:
    """Name of the cohort in which an option of the simulation has a value."""
    return "claim/lung" if value == HARDER[knob][1] else f"claim/lung-{knob}={value:g}"


def objectives(name: str, fields: dict) -> list[Study]:
    """All kinds of objectives, in the strict coarse setting and with all visits of the training patients."""
    about = {"config": "configs/demo.py", "budget": BATCHES, "learning_rates": RATES}
    one, every = ({"data.visits_per_patient": visits} for visits in ("one", "all"))
    return [
        Study(name=f"{name} one visit", arms=COARSE, fields=fields | one, **about),
        Study(name=f"{name} all visits", arms=COARSE | FINE, fields=fields | every, **about),
    ]


def curves() -> list[Study]:
    """MSE and contrast over one difficulty at a time, with one visit per training patient."""
    settings = {
        "patients": {f"patients={n}": {"data.train_patients": n} for n in (30, 60, 120, 240)},
        "grades": {
            "grades=2": {"data.score_cuts": "300"},
            "grades=3": {"data.score_cuts": "235,315"},
            "grades=5": {"data.score_cuts": "190,235,315,380"},
        },
    }
    for knob, (values, _) in HARDER.items():
        stated = {"label_noise": "eval.label_noise"}.get(knob)  # from which the noise ceiling is computed
        settings[knob] = {
            f"{knob}={value:g}": {"data.dir": dataset(knob, value)} | ({stated: value} if stated else {})
            for value in values
        }
    about = {"config": "configs/demo.py", "arms": TWO, "budget": BATCHES, "learning_rates": RATES}
    fields = LUNG | {"data.visits_per_patient": "one"}
    return [Study(name=f"lung {name}", settings=own, fields=fields, **about) for name, own in settings.items()]


def backbones() -> Study:
    """Eight small backbones with two objectives and all visits."""
    families = ("tsm_resnet18", "tsn_resnet18", "tsm_efficientnet_lite", "r3d18", "x3d", "mvitv2", "swin3d", "vit")
    return Study(
        name="backbones",
        config="configs/demo.py",
        arms=grid(backbone__name=[f"{name}-test" for name in families], objective__name=["mse", "learner"]),
        budget=Budget(steps=100),
        fields={name: value for name, value in LUNG.items() if name != "backbone.name"} | {"data.size": 32},
        seeds=(0, 1),
    )


def growth() -> Study:
    """Yeast colonies: with the continuous score every arm succeeds, with 2 grades of few colonies none does."""
    grades = {"2": "40", "3": "20,50", "5": "10,25,40,60", "all": ""}
    settings = {
        f"grades {grade} colonies={n}": {"data.score_cuts": cuts, "data.train_patients": n}
        for grade, cuts in grades.items()
        for n in (16, 32, 64, 192)
    }
    own = {"data.dir": "claim/growth", "data.split": "held_out", "data.size": 48, "eval.late_from_days": 2.77}
    return Study(
        name="growth",
        config="configs/growth.py",
        arms=TWO,
        budget=Budget(steps=100),
        fields=SMALL | own,
        settings=settings,
        seeds=tuple(range(10)),
        learning_rates=RATES,
        also=("pairwise_accuracy from day 2.77", "null_false_change", "null_trend"),
        needs_real_data=True,
    )


def covid_blues() -> Study:
    """Severity in places of a lung on one day: 13 patients here, 63 in the archive."""
    own = {"data.dir": "claim/covid_blues", "data.split": "third", "data.score": "severity", "data.size": 64}
    scored = {"eval.pairs": "scans", "eval.change_threshold": 0.5, "eval.label_noise": 0.0}
    return Study(
        name="covid_blues",
        config="configs/demo.py",
        arms=TWO | {"combined": COMBINED},
        budget=Budget(steps=100),
        fields=SMALL | own | scored,
        seeds=tuple(range(5)),
        needs_real_data=True,
    )
