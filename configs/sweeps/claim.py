"""Does learning from coarse differences between patients order fine change within a patient? Where, and where not?

make claim

Synthetic lung ultrasound: ten objectives, with one visit of each training patient and with all of them; curves over
what makes it hard; backbones. Real: yeast colonies photographed over five days, whose fine change was measured, over
grades of the score and numbers of training colonies.
"""

from learner_jax.sweep import Budget, Study, Sweep, grid

MSE, CONTRAST, COMBINED = (
    {"objective.name": "mse"},
    {"objective.name": "learner"},
    {"objective.name": "learner_combined"},
)
COARSE = {
    "mse": MSE,
    "contrast": CONTRAST | {"objective.pair_weight": "uniform"},
    "contrast, weighted": CONTRAST,
    "combined": COMBINED,
    "rank_n_contrast": {"objective.name": "rank_n_contrast"},
    "y_aware": {"objective.name": "y_aware"},
    "supcon": {"objective.name": "supcon"},
    "adacon": {"objective.name": "adacon"},
    "simclr": {"objective.name": "simclr"},
}
# Pairs of visits of one patient: what the others do without.
FINE = {"lilac": {"objective.name": "lilac", "sampler.name": "patients_by_visits"}}
FEW = {"mse": MSE, "contrast": CONTRAST, "combined": COMBINED}

COHORT = "tfds_builders.build synthetic_lus --data_dir {dir} --n_patients 240 --frames 4 --size 48"
SMALL = {
    **{"data.dir": "claim/lus", "data.frames": 4, "data.size": 48, "data.visits_per_patient": "one"},
    **{"eval.readouts": "none", "eval.bootstrap": 1000, "trackers": "", "checkpoint.every": 500},
}
HARDER = {  # options of the simulation, and what they are where nothing is said
    "variance_ratio": ((0.15, 0.35, 0.7), 0.35),  # of the severity: within patients over between patients
    "identity": ((0.0, 1.0, 2.0), 1.0),
    "label_noise": ((0.0, 15.0, 45.0), 15.0),
}


def dataset(knob: str, value: float) -> str:
    """The cohort in which an option of the simulation is so."""
    return "claim/lus" if value == HARDER[knob][1] else f"claim/{knob}={value:g}"


def get_sweep() -> Sweep:
    """All parts; `--only` works on some."""
    datasets = {
        dataset(knob, value): [f"{COHORT} --{knob} {value}" if value != usual else COHORT]
        for knob, (values, usual) in HARDER.items()
        for value in values
    }
    datasets["claim/growth"] = [
        "tfds_builders.cohort growth {real}/aux_growth -o {dir}.csv --pictures {dir}_stills",
        "tfds_builders.build stills --cohort {dir}.csv --root {dir}_stills --scores growth --data_dir {dir}",
        "tfds_builders.splits {dir} --name held_out --fractions 0.5833 0.0833 0.3334",
    ]
    return Sweep(studies=[*objectives(), *curves(), backbones(), growth()], datasets=datasets)


def objectives() -> list[Study]:
    """Every kind of objective, in the strict coarse setting and with all visits of the training patients."""
    about = {
        "config": "configs/demo.py",
        "budget": Budget(steps=200),
        "reference": "mse",
        "learning_rates": (1e-3, 4e-3),
    }
    every = SMALL | {"data.visits_per_patient": "all"}
    return [
        Study(name="one visit", arms=COARSE, fields=SMALL, **about),
        Study(name="all visits", arms=COARSE | FINE, fields=every, **about),
    ]


def curves() -> list[Study]:
    """MSE, contrast and both over one difficulty at a time; the learning rate is the demo's."""
    about = {"config": "configs/demo.py", "arms": FEW, "budget": Budget(steps=200), "fields": SMALL}
    settings = {
        "patients": {f"patients={n}": {"data.train_patients": n} for n in (18, 36, 72, 144)},
        "grades": {
            "grades=2": {"data.score_cuts": "300"},
            "grades=3": {"data.score_cuts": "235,315"},
            "grades=5": {"data.score_cuts": "190,235,315,380"},
        },
    }
    for knob, (values, _) in HARDER.items():
        settings[knob] = {f"{knob}={value:g}": {"data.dir": dataset(knob, value)} for value in values}
    return [Study(name=name, settings=own, **about) for name, own in settings.items()]


def backbones() -> Study:
    """Nine small backbones under two objectives."""
    names = [
        "tsm_resnet18",
        "tsn_resnet18",
        "tsm_efficientnet_lite",
        "r3d18",
        "x3d",
        "slowfast",
        "mvitv2",
        "swin3d",
        "vit",
    ]
    return Study(
        name="backbones",
        config="configs/demo.py",
        arms=grid(backbone__name=[f"{name}-test" for name in names], objective__name=["mse", "learner"]),
        budget=Budget(steps=200),
        fields=SMALL | {"data.size": 32},
    )


def growth() -> Study:
    """Yeast colonies: with the continuous score every arm is right, with 2 grades of 24 colonies none is."""
    grades = {"2": "40", "3": "20,50", "5": "10,25,40,60", "all": ""}
    settings = {
        f"grades {grade}, colonies={n}": {"data.score_cuts": cuts, "data.train_patients": n}
        for grade, cuts in grades.items()
        for n in (16, 32, 64, 192)
    }
    return Study(
        name="growth",
        config="configs/growth.py",
        arms=FEW,
        budget=Budget(steps=150),
        fields={
            **{
                "data.dir": "claim/growth",
                "eval.readouts": "none",
                "eval.bootstrap": 1000,
                "eval.late_from_days": 2.77,
            },
            **{"trackers": "", "checkpoint.every": 500},
        },
        settings=settings,
        seeds=tuple(range(10)),
        needs_real_data=True,
    )
