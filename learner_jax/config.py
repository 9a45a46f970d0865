"""Every knob of a run, as typed fields with one comment each.

A file in ``configs/`` returns a :class:`Config` from ``get_config()``; the command line overrides any field with
``--config.section.field=value``. :func:`check` is called once at the start of a run and says what is wrong and
where to change it; afterwards nobody writes to the config.
"""

import dataclasses
from typing import Any

from learner_jax.fields import from_dict, get, walk
from tfds_builders.errors import InputError
from tfds_builders.wording import suggest


def choice(default: str, *others: str) -> Any:
    """A text field that takes one of a few words; :func:`check` names them all when another one comes."""
    return dataclasses.field(default=default, metadata={"choices": (default, *others)})


@dataclasses.dataclass
class DataConfig:
    dir: str = ""  # folder of a built dataset (python -m tfds_builders.build)
    split: str = "default"  # name of a file in DIR/splits
    score: str = ""  # which of the dataset's scores to learn and to evaluate
    visits_per_patient: str = choice(
        "all", "one"
    )  # "one": the strict coarse setting, one visit of each training patient
    train_patients: int = 0  # training sees so many of the training patients; 0: all
    score_cuts: str = ""  # training sees only between which of these a score lies, such as 190,315; empty: the score
    draw: int = 0  # another number draws other patients and visits where not all are seen
    frames: int = 8  # frames (or slices) the backbone sees
    size: int = 112  # height and width the backbone sees, in pixels
    mean: float = 0.25  # intensity (0 to 1) that the backbone sees as 0; published weights bring their own
    std: float = 0.25  # intensity range that the backbone sees as 1; likewise
    cache: str = choice("none", "device")  # "device": all training scans stay in the memory of every device
    read_threads: int = 2  # threads that read records
    read_ahead: int = 4  # global batches kept ready
    max_bad_fraction: float = 0.001  # of the training scans, or of a part in evaluation, that may be unreadable


@dataclasses.dataclass
class SamplerConfig:
    name: str = "shuffled"  # one of learner_jax.data.samplers.list_samplers()
    visits: int = 2  # patients_by_visits, mixed: visits of a patient that come together
    mix: float = 0.5  # mixed: share of the batch that comes as several visits of a patient
    curriculum_start: float = 0.5  # curriculum: smallest score difference at first, as a share of the largest
    curriculum_share: float = 0.5  # curriculum: part of the run after which pairs of any difference come


@dataclasses.dataclass
class AugmentConfig:
    """Each draws its own numbers up to these strengths; 0, False or nothing leaves an operation out."""

    shift: float = 0.06  # largest translation, as a fraction of height and width (and depth)
    zoom: float = 0.06  # largest change of depth or size, as a fraction
    rotate: float = 5.0  # largest rotation of the picture or slice, in degrees
    flip: bool = False  # mri, photograph: exchange left and right every other time
    flip_views: str = ""  # ultrasound: the views, with commas between, where left and right are exchanged likewise
    gain: float = 0.1  # ultrasound, photograph: largest additive gain, as a fraction of the intensity range
    contrast: float = 0.1  # ultrasound, photograph: largest multiplicative change of intensity, as a fraction
    tgc: float = 0.1  # ultrasound: largest gain that differs between depths (time gain compensation), likewise
    speckle: float = 0.1  # ultrasound: largest SD of multiplicative noise with a grain of 2 x 3 pixels
    drop_frames: float = 0.1  # ultrasound: probability that a frame is lost and the one before it stands still
    tilt: float = 3.0  # mri: largest rotation of the head out of the slice, in degrees, in both planes
    bias: float = 0.3  # mri: largest logarithm of the bias field's factor
    gamma: float = 0.2  # mri: largest logarithm of the exponent of the intensity
    noise: float = 0.03  # mri: largest SD of the noise, as a fraction of the intensity range
    ghost: float = 0.0  # mri: most that every 2nd, 3rd or 4th line of k-space is weakened by, as a fraction


@dataclasses.dataclass
class BackboneConfig:
    name: str = "tsm_resnet18"  # one of learner_jax.backbones.list_backbones()
    norm: str = choice("batch", "group")  # mask-aware batch norm, or group norm
    weights: str = ""  # to start from: a name of python -m learner_jax.backbones.weights, or a .safetensors file
    accept_license: bool = False  # the weights may not be used commercially, and this use is none


@dataclasses.dataclass
class WeightConfig:
    """Weight of each objective where it is a part of ``config.objective.name``."""

    adacon: float = 1.0
    conr: float = 1.0
    coral: float = 1.0
    cross_entropy: float = 1.0
    davidson: float = 1.0
    exp_kernel: float = 1.0
    huber: float = 1.0
    l1: float = 1.0
    learner: float = 1.0
    lilac: float = 1.0
    lilac_order: float = 1.0
    mse: float = 1.0
    patient_adversary: float = 1.0
    rank_n_contrast: float = 1.0
    ranksim: float = 1.0
    siamese_margin: float = 1.0
    simclr: float = 1.0
    supcon: float = 1.0
    threshold_kernel: float = 1.0
    y_aware: float = 1.0


@dataclasses.dataclass
class ObjectiveConfig:
    name: str = "learner_combined"  # of python -m learner_jax.objectives; several with + between them are a sum
    weights: WeightConfig = dataclasses.field(default_factory=WeightConfig)
    ramp: str = choice("constant", "rise", "fall")  # weights of all but regressions: rising from 0, falling to 0
    ramp_share: float = 0.1  # part of the run in which they rise or fall
    augmentations: int = 1  # augmented copies of each scan in a step; simclr makes at least 2
    projection: int = 64  # width of z, the projection that pairwise objectives compare; 0: they compare embeddings
    centre_patients: bool = False  # compare differences from each patient's mean; needs batches with several scans each
    queue: int = 0  # rows of earlier steps that anchors are compared with too
    block: int = 128  # most anchors compared at once; bounds memory to block x batch
    temperature: float = 0.0  # 0: that of the objective's source
    temperature_end: float = 0.0  # reached at the end of the run, geometrically; 0: the temperature stays
    similar: float = 0.5  # score difference, in SD, up to which two scans are alike: siamese_margin, conr, davidson
    score_range: float = (
        4.0  # score difference, in SD: learner lays it on opposite ends, bins cut it, kernels scale by it
    )
    bins: int = 10  # cross_entropy, coral, supcon: number of equal bins of the score over score_range
    form: str = choice("distance_match", "margin", "soft_infonce")  # learner: how pairs are compared
    pair_weight: str = choice("distance", "uniform", "inverse_density")  # learner: what a coarse pair counts
    weight_power: float = 1.0  # learner: distance weights are the score difference to this power
    sigma: float = 0.5  # learner soft_infonce, y_aware, threshold_kernel, exp_kernel: kernel width in SD
    margin: float = 2.0  # siamese_margin: distance beyond which unlike pairs cost nothing
    huber_delta: float = 1.0  # huber: error, in SD, from which the cost grows linearly
    adacon_margin: float = 0.2  # adacon: additive margin per SD of score difference
    conr_push: float = 0.2  # conr: growth of the push with the score difference
    ranksim_step: float = 2.0  # ranksim: step of the blackbox gradient of the ranks
    lilac_pairs: str = choice("fine", "coarse", "all")  # lilac, lilac_order: within patients (its paper), between, both


@dataclasses.dataclass
class TrainConfig:
    compute: str = choice("float32", "bfloat16")  # of the backbone; parameters, statistics, objective are float32
    remat: str = choice(
        "none", "blocks", "dots"
    )  # computed again in the backward pass: nothing, the inside of each block, the same but its matrix products
    grad_cache_chunk: int = 0  # scans encoded at once; 0: the whole batch. The gradient stays (not with batch norm)


@dataclasses.dataclass
class MeshConfig:
    fsdp: int = 1  # devices that share one copy of the parameters and of the optimizer's state; 1: each has its own
    replica: int = 0  # groups of devices with a slow network between them; 0: as many as there are TPU slices


@dataclasses.dataclass
class OptimConfig:
    name: str = choice("adamw", "sgd", "lamb")
    learning_rate: float = 1e-3  # at the peak of the schedule
    schedule: str = choice("cosine", "constant")  # after warm-up
    warmup: float = 0.05  # fraction of all steps with a linearly rising learning rate
    weight_decay: float = 1e-4  # on kernels only; biases and norm scales are never decayed
    momentum: float = 0.9  # sgd only
    clip_norm: float = 1.0  # largest global gradient norm; 0 switches clipping off
    accumulate: int = 1  # batches whose mean gradient makes one update; pairs are compared within each of them
    average: float = 0.0  # decay of the moving average of the parameters, which is then what is scored; 0: none
    freeze: str = ""  # backbone parameters that stay as they are, by patterns of their paths: "conv1/*,layer1/*"
    layer_decay: float = 1.0  # learning rate of a block of the backbone over that of the next one; 0.65 to 1


@dataclasses.dataclass
class CheckpointConfig:
    every: int = 100  # steps between checkpoints; the last step is always kept
    keep: int = 3  # newest checkpoints that stay on disk


@dataclasses.dataclass
class EvalConfig:
    every: int = 0  # steps between evaluations inside training; 0: only after the last step
    patients: str = choice(
        "test", "val"
    )  # whom scores are of; "val": to choose a recipe by, into WORKDIR/validation, and no test scan is opened
    pairs: str = choice(
        "visits", "scans"
    )  # fine pairs of visits, or of scans within one visit (spatial, not change over time)
    order: str = choice("all", "consecutive")  # all pairs of a patient's visits, or neighbours only (the paper)
    change_threshold: float | None = None  # |score difference| up to which a patient counts as stable, in score units
    better: str = choice("", "higher", "lower")  # which scores mean better health; empty: not stated
    batch_size: int = 32  # scans embedded at once
    bootstrap: int = 2000  # resamples of patients behind each interval
    confidence: float = 0.95  # coverage of the intervals
    interval: str = choice("percentile", "bca")  # how they are read off the resamples
    fusion: str = choice("mean", "learnt")  # views of a visit: equal weights, or by how well each tells the score
    readouts: str = "all"  # read-outs beside the ridge, with commas between: all that apply, or none
    label_noise: float = 0.0  # SD of the score's own measurement error, score units; 0: not stated, no noise ceiling
    late_from_days: float = 0.0  # pairs of visits from this day on are also scored by themselves; 0: they are not


@dataclasses.dataclass
class Config:
    init_from: str = ""  # workdir of an earlier run, whose newest encoder this one starts from; empty: no such run
    seed: int = 0  # initial weights, order of scans and augmentation
    steps: int = 1000  # optimiser updates in the whole run
    batch_size: int = 32  # scans per step, over all devices
    log_every: int = 10  # steps between lines of metrics.jsonl
    trackers: str = "tensorboard"  # where they go too, with commas between: tensorboard, wandb, mlflow; empty: nowhere
    profile: str = ""  # first and last step of a trace into WORKDIR/profile, such as 20:25; empty: none
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    sampler: SamplerConfig = dataclasses.field(default_factory=SamplerConfig)
    augment: AugmentConfig = dataclasses.field(default_factory=AugmentConfig)
    backbone: BackboneConfig = dataclasses.field(default_factory=BackboneConfig)
    objective: ObjectiveConfig = dataclasses.field(default_factory=ObjectiveConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    mesh: MeshConfig = dataclasses.field(default_factory=MeshConfig)
    optim: OptimConfig = dataclasses.field(default_factory=OptimConfig)
    checkpoint: CheckpointConfig = dataclasses.field(default_factory=CheckpointConfig)
    eval: EvalConfig = dataclasses.field(default_factory=EvalConfig)


_POSITIVE = (
    *("steps", "batch_size", "log_every", "objective.score_range", "objective.block"),
    *("objective.ramp_share", "objective.augmentations", "objective.sigma", "objective.huber_delta"),
    *("objective.ranksim_step", "sampler.visits", "sampler.curriculum_share"),
    *("data.frames", "data.size", "data.std", "data.read_threads", "data.read_ahead", "optim.learning_rate"),
    *("optim.layer_decay", "optim.accumulate", "mesh.fsdp"),
    *("checkpoint.every", "checkpoint.keep", "eval.batch_size", "eval.bootstrap"),
)
_NOT_NEGATIVE = (
    *(
        "seed",
        "data.train_patients",
        "data.draw",
        "data.max_bad_fraction",
        "augment.shift",
        "augment.zoom",
        "augment.rotate",
        "augment.gain",
        "augment.contrast",
        "augment.tgc",
    ),
    *("augment.speckle", "augment.drop_frames", "augment.tilt", "augment.bias", "augment.gamma", "augment.noise"),
    "augment.ghost",
    *(
        "objective.projection",
        "objective.queue",
        "objective.temperature",
        "objective.temperature_end",
        "objective.weight_power",
    ),
    *("sampler.mix", "sampler.curriculum_start"),
    *("objective.similar", "objective.margin", "objective.adacon_margin", "objective.conr_push"),
    *(f"objective.weights.{field.name}" for field in dataclasses.fields(WeightConfig)),
    *("optim.warmup", "optim.weight_decay", "optim.clip_norm", "optim.average", "eval.every", "train.grad_cache_chunk"),
    "mesh.replica",
    *("eval.label_noise", "eval.late_from_days"),
)
# A warp in two passes turns by well below 45 degrees; beyond the others nothing of the scan would be left.
_AT_MOST = {
    **{"augment.shift": 0.5, "augment.zoom": 0.5, "augment.rotate": 30, "augment.tilt": 30, "augment.ghost": 1},
    **dict.fromkeys(("objective.ramp_share", "sampler.mix", "sampler.curriculum_start", "sampler.curriculum_share"), 1),
    **{"optim.layer_decay": 1, "data.max_bad_fraction": 1, "seed": 2**32 - 1},
    **dict.fromkeys(("augment.gain", "augment.contrast", "augment.tgc", "augment.drop_frames"), 0.9),
    **{"augment.speckle": 0.5, "augment.noise": 0.5, "augment.bias": 2, "augment.gamma": 2},
}


def check(config: Config) -> None:
    """Refuse a config that cannot be run.

    Raises:
      InputError: names the field, what it holds, what it takes and the flag that changes it.
    """
    for path, field, value in walk(config):
        choices = field.metadata.get("choices", ())
        if choices and value not in choices:
            raise InputError(f"config.{path} is {value!r}; {suggest(value, choices)}. Set --config.{path}=…")
        if path in _POSITIVE and not value > 0:
            raise InputError(f"config.{path} is {value}; it must be above 0. Set --config.{path}=…")
        if path in _NOT_NEGATIVE and not value >= 0:
            raise InputError(f"config.{path} is {value}; it must not be negative. Set --config.{path}=…")
        if path in _AT_MOST and not value <= _AT_MOST[path]:
            raise InputError(f"config.{path} is {value}; it is at most {_AT_MOST[path]}. Set --config.{path}=…")
    for path, what in (("data.dir", "the folder of a built dataset"), ("data.score", "the score to learn")):
        if not get(config, path):
            raise InputError(f"config.{path} is empty; it names {what}. Set --config.{path}=…")
    if config.eval.change_threshold is None or not config.eval.change_threshold >= 0:
        raise InputError(
            f"config.eval.change_threshold is {config.eval.change_threshold}; it is the largest change of "
            f"{config.data.score!r}, in score units, that still counts as stable, and only you can know it. "
            "Set --config.eval.change_threshold=…"
        )
    if not config.optim.average < 1:
        raise InputError(f"config.optim.average is {config.optim.average}; a decay is below 1, such as 0.999.")
    if config.steps % config.optim.accumulate:
        raise InputError(
            f"config.steps is {config.steps}, which config.optim.accumulate={config.optim.accumulate} does not divide: "
            "the last batches would change nothing. Set one of them to a multiple of the other"
        )
    if not 0 < config.eval.confidence < 1:
        raise InputError(f"config.eval.confidence is {config.eval.confidence}; it lies between 0 and 1.")


# Without touching what is learnt: a checkpoint refuses other records and another split by their fingerprints.
_MAY_CHANGE = (
    "log_every",
    "trackers",
    "profile",
    "data.dir",
    "data.split",
    "data.read_",
    "data.cache",
    "data.max_bad_fraction",
    "mesh.",
    "checkpoint.",
    "eval.",
    "backbone.accept_license",
)


def changes(stored: dict, config: Config) -> list[str]:
    """Each field of the recipe in which a stored config and this one differ, then and now."""
    before = {path: value for path, _, value in walk(from_dict(Config, stored))}
    return [
        f"{path} was {before[path]!r} and is {value!r}"
        for path, _, value in walk(config)
        if value != before[path] and not path.startswith(_MAY_CHANGE)
    ]


def refuse_changes(stored: dict, config: Config, remedy: str = "Use a new --workdir, or set them back") -> None:
    """Refuse another recipe than the one a checkpoint was trained with.

    Raises:
      InputError: with each field that differs, then and now, and the remedy.
    """
    if changed := changes(stored, config):
        raise InputError(f"the workdir holds a run with another config: {'; '.join(changed)}. {remedy}")
