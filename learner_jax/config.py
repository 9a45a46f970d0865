"""Every knob of a run, as typed fields with one comment each.

A file in ``configs/`` returns a :class:`Config` from ``get_config()``; the command line overrides any field with
``--config.section.field=value``. :func:`check` runs once at the start and says what is wrong and where to change it;
after that, nothing writes to the config.
"""

import dataclasses
from typing import Annotated, Any

from learner_jax.bounds import Amount, Count, Decay, Positive, PositiveShare, Several, Share, Whole, below, broken, most
from learner_jax.fields import from_dict, get, walk
from tfds_builders.errors import InputError
from tfds_builders.wording import suggest


def choice(default: str, *others: str) -> Any:
    """A text field restricted to a few words, the first of them its default; :func:`check` enforces it."""
    return dataclasses.field(default=default, metadata={"choices": (default, *others)})


@dataclasses.dataclass(slots=True)
class DataConfig:
    dir: str = ""  # folder of a built dataset (python -m tfds_builders.build)
    split: str = "default"  # name of a split file in DIR/splits
    score: str = ""  # which of the dataset's scores to learn and to evaluate
    visits_per_patient: str = choice("all", "one")  # "one": the coarse setting, one visit of each training patient
    train_patients: Whole = 0  # number of training patients to use; 0: all
    score_cuts: str = ""  # cuts between grades, such as 190,315: training sees only a score's grade; empty: the score
    draw: Whole = 0  # changes which patients and visits are drawn where not all are used
    frames: Count = 8  # frames (or slices) the backbone sees
    size: Count = 112  # height and width the backbone sees, in pixels
    mean: float = 0.25  # intensity (0 to 1) that the backbone sees as 0; published weights bring their own
    std: Positive = 0.25  # intensity difference that the backbone sees as 1; likewise
    cache: str = choice("none", "device")  # "device": keep all training scans in the memory of every device
    read_threads: Count = 2  # threads that read records
    read_ahead: Count = 4  # global batches kept ready, at least one per reading thread
    max_bad_fraction: Share = 0.001  # largest fraction of unreadable scans in training, or in a part that is evaluated


@dataclasses.dataclass(slots=True)
class SamplerConfig:
    name: str = "shuffled"  # what a batch is made of; docs/objectives.md has all of them
    visits: Count = 2  # patients_by_visits, mixed: visits of one patient in a group
    mix: Share = 0.5  # mixed: fraction of the batch that is made of such groups
    curriculum_start: Share = 0.5  # curriculum: smallest score difference at first, as a fraction of the largest
    curriculum_share: PositiveShare = 0.5  # curriculum: fraction of the run after which any difference is allowed


# A warp in two passes needs angles well below 45 degrees; beyond the other bounds little of the scan would be left.
Degrees = Annotated[Amount, most(30)]
Half = Annotated[Amount, most(0.5)]
Most = Annotated[Amount, most(0.9)]
Logarithm = Annotated[Amount, most(2)]


@dataclasses.dataclass(slots=True)
class AugmentConfig:
    """Largest strength of each operation, which draws its own numbers up to it; 0, False or empty switches it off."""

    shift: Half = 0.06  # largest translation, as a fraction of height and width (and depth)
    zoom: Half = 0.06  # largest change of scale (ultrasound: of imaging depth), as a fraction
    rotate: Degrees = 5.0  # largest rotation of the picture or slice, in degrees
    flip: bool = False  # mri, photograph: exchange left and right in half of the scans, at random
    flip_views: str = ""  # ultrasound: comma-separated views in which left and right are exchanged likewise
    gain: Most = 0.1  # ultrasound, photograph: largest additive gain, as a fraction of the intensity range
    contrast: Most = 0.1  # ultrasound, photograph: largest multiplicative change of intensity, as a fraction
    tgc: Most = 0.1  # ultrasound: largest gain that varies with depth (time gain compensation), likewise
    speckle: Half = 0.1  # ultrasound: largest SD of multiplicative noise with a grain of 2 x 3 pixels
    drop_frames: Most = 0.1  # ultrasound: probability that a frame is replaced by the one before it
    tilt: Degrees = 3.0  # mri: largest rotation of the head out of the slice, in degrees, in both planes
    bias: Logarithm = 0.3  # mri: largest logarithm of the bias field's factor
    gamma: Logarithm = 0.2  # mri: largest logarithm of the exponent applied to intensities
    noise: Half = 0.03  # mri: largest SD of the noise, as a fraction of the intensity range
    ghost: Share = 0.0  # mri: largest attenuation of every 2nd, 3rd or 4th line of k-space, as a fraction


@dataclasses.dataclass(slots=True)
class BackboneConfig:
    name: str = "tsm_resnet18"  # any that python -m learner_jax.backbones lists
    norm: str = choice("batch", "group")  # mask-aware batch norm, or group norm
    weights: str = ""  # initial weights: a name from python -m learner_jax.backbones.weights, or a .safetensors file
    accept_license: bool = False  # confirms that a use of non-commercial weights is allowed by their licence


@dataclasses.dataclass(slots=True)
class WeightConfig:
    """Weight of the objective of that name within a sum."""

    adacon: Amount = 1.0
    conr: Amount = 1.0
    coral: Amount = 1.0
    cross_entropy: Amount = 1.0
    davidson: Amount = 1.0
    exp_kernel: Amount = 1.0
    huber: Amount = 1.0
    l1: Amount = 1.0
    learner: Amount = 1.0
    lilac: Amount = 1.0
    lilac_order: Amount = 1.0
    mse: Amount = 1.0
    patient_adversary: Amount = 1.0
    rank_n_contrast: Amount = 1.0
    ranksim: Amount = 1.0
    siamese_margin: Amount = 1.0
    simclr: Amount = 1.0
    supcon: Amount = 1.0
    threshold_kernel: Amount = 1.0
    y_aware: Amount = 1.0


@dataclasses.dataclass(slots=True)
class ObjectiveConfig:
    name: str = "learner_combined"  # any that python -m learner_jax.objectives lists; join several by + for their sum
    weights: WeightConfig = dataclasses.field(default_factory=WeightConfig)
    ramp: str = choice("constant", "rise", "fall")  # weights of all but regressions: constant, rise from 0, fall to 0
    ramp_share: PositiveShare = 0.1  # fraction of the run over which they rise or fall
    augmentations: Count = 1  # augmented copies of each scan in a step; simclr makes at least 2
    projection: Whole = 64  # width of z, the projection that pairwise objectives compare; 0: they compare embeddings
    centre_patients: bool = False  # compare differences from each patient's mean; needs several scans each in a batch
    queue: Whole = 0  # number of rows of earlier steps that anchors are compared with too
    block: Count = 128  # largest number of anchors compared at once; bounds memory to block x batch
    temperature: Amount = 0.0  # divisor of similarities; 0: that of the objective's source
    temperature_end: Amount = 0.0  # temperature at the end of the run, reached geometrically; 0: it stays constant
    similar: Amount = 0.5  # siamese_margin, conr, davidson: largest score difference of similar scans, in SD
    score_range: Positive = 4.0  # range of scores, in SD, that learner maps to opposite embeddings and bins divide
    bins: Several = 10  # cross_entropy, coral, supcon, adacon: number of equal bins of the score over score_range
    form: str = choice("distance_match", "margin", "soft_infonce")  # learner: how pairs are compared
    pair_weight: str = choice("distance", "uniform", "inverse_density")  # learner: weight of a coarse pair
    weight_power: Amount = 1.0  # learner: distance weights are the score difference to this power
    sigma: Positive = 0.5  # learner soft_infonce, y_aware, threshold_kernel, exp_kernel: kernel width in SD
    margin: Amount = 2.0  # siamese_margin: distance beyond which dissimilar pairs cost nothing
    huber_delta: Positive = 1.0  # huber: error, in SD, from which the cost grows linearly
    adacon_margin: Amount = 0.2  # adacon: additive margin per SD of score difference
    conr_push: Amount = 0.2  # conr: growth of the repulsion per SD of score difference
    ranksim_step: Positive = 2.0  # ranksim: step of the blackbox gradient of the ranks
    lilac_pairs: str = choice("fine", "coarse", "all")  # lilac, lilac_order: within patients (its paper), between, both


@dataclasses.dataclass(slots=True)
class TrainConfig:
    compute: str = choice(
        "float32", "bfloat16"
    )  # dtype of the backbone; parameters, statistics, objective stay float32
    # what the backward pass recomputes: nothing, each block, or each block except its matrix products
    remat: str = choice("none", "blocks", "dots")
    grad_cache_chunk: Whole = 0  # scans encoded at once, with the same gradient (except by batch norm); 0: all


@dataclasses.dataclass(slots=True)
class MeshConfig:
    fsdp: Count = 1  # devices that share one copy of the parameters and of the optimizer's state; 1: each has its own
    replica: Whole = 0  # groups of devices with a slow network between them; 0: one per TPU slice


@dataclasses.dataclass(slots=True)
class OptimConfig:
    name: str = choice("adamw", "sgd", "lamb")  # the optimizer
    learning_rate: Positive = 1e-3  # at the peak of the schedule
    schedule: str = choice("cosine", "constant")  # of the learning rate, after warm-up
    warmup: Share = 0.05  # fraction of all steps with a linearly rising learning rate
    weight_decay: Amount = 1e-4  # on kernels only: no biases, scales of norms, tokens or tables of positions
    momentum: Decay = 0.9  # sgd only
    clip_norm: Amount = 1.0  # largest global gradient norm; 0 switches clipping off
    accumulate: Count = 1  # batches whose mean gradient makes one update; pairs are compared within each of them
    average: Decay = 0.0  # decay of a moving average of the parameters, which is then scored, such as 0.999; 0: none
    freeze: str = ""  # backbone parameters that are not trained, by patterns of their paths: "conv1/*,layer1/*"
    layer_decay: PositiveShare = 1.0  # learning rate of each backbone block relative to the next, usually 0.65 to 1


@dataclasses.dataclass(slots=True)
class CheckpointConfig:
    every: Count = 100  # steps between checkpoints; the last step always gets one
    keep: Count = 3  # number of newest checkpoints to keep


@dataclasses.dataclass(slots=True)
class EvalConfig:
    every: Whole = 0  # steps between evaluations during training; 0: only after the last step
    # which patients to score; "val": to choose a recipe, into WORKDIR/validation, without opening any test scan
    patients: str = choice("test", "val")
    pairs: str = choice("visits", "scans")  # of visits, or of scans within one visit (spatial, not change over time)
    order: str = choice("all", "consecutive")  # all pairs of a patient's visits, or neighbours only (the paper)
    change_threshold: float | None = None  # |score difference| up to which a patient counts as stable, in score units
    better: str = choice("", "higher", "lower")  # which scores mean better health; empty: not stated
    batch_size: Count = 32  # scans embedded at once
    bootstrap: Count = 2000  # resamples of patients behind each interval
    confidence: Annotated[Positive, below(1)] = 0.95  # coverage of the intervals
    interval: str = choice("percentile", "bca")  # how intervals are computed from the resamples
    fusion: str = choice("mean", "learnt")  # views of a visit: equal weights, or by how well each predicts the score
    readouts: str = "all"  # comma-separated read-outs beside the ridge; all: whichever apply; or none
    label_noise: Amount = 0.0  # SD of the score's own measurement error, score units; 0: not stated, no noise ceiling
    late_from_days: Amount = 0.0  # pairs of visits from this day on are also scored by themselves; 0: they are not


@dataclasses.dataclass(slots=True)
class Config:
    init_from: str = ""  # workdir of an earlier run whose newest encoder to start from; empty: none
    seed: Annotated[Whole, most(2**32 - 1)] = 0  # of the initial weights, the order of scans and the augmentation
    steps: Count = 1000  # batches in the whole run; an update takes one, or optim.accumulate of them
    batch_size: Count = 32  # scans per step, over all devices
    log_every: Count = 10  # steps between lines of metrics.jsonl
    trackers: str = "tensorboard"  # comma-separated, to log metrics to as well: tensorboard, wandb, mlflow; empty: none
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


def check(config: Config) -> None:
    """Refuse a config that cannot be run.

    Raises:
      InputError: with the field, its value, what it takes and the flag that changes it.
    """
    for path, field, value in walk(config):
        choices = field.metadata.get("choices", ())
        if choices and value not in choices:
            raise InputError(f"config.{path} is {value!r}; {suggest(value, choices)}. Set --config.{path}=…")
        if words := broken(field.type, value):
            raise InputError(f"config.{path} is {value!r}; {words}. Set --config.{path}=…")
    for path, what in (("data.dir", "the folder of a built dataset"), ("data.score", "the score to learn")):
        if not get(config, path):
            raise InputError(f"config.{path} is empty; it names {what}. Set --config.{path}=…")
    if config.eval.change_threshold is None or not config.eval.change_threshold >= 0:
        raise InputError(
            f"config.eval.change_threshold is {config.eval.change_threshold}; it is the largest change of "
            f"{config.data.score!r}, in score units, that still counts as stable, and only you can know it. "
            "Set --config.eval.change_threshold=…"
        )
    if config.steps % config.optim.accumulate:
        raise InputError(
            f"config.steps is {config.steps}, which config.optim.accumulate={config.optim.accumulate} does not divide: "
            "the last batches would change nothing. Set one of them to a multiple of the other"
        )


# Prefixes of fields that do not affect what is learnt. Other records or another split, which data.dir and data.split
# may name, are refused by their fingerprints.
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
    """A sentence for each field of the recipe that differs between a stored config and this one."""
    before = {path: value for path, _, value in walk(from_dict(Config, stored))}
    return [
        f"{path} was {before[path]!r} and is {value!r}"
        for path, _, value in walk(config)
        if value != before[path] and not path.startswith(_MAY_CHANGE)
    ]


def refuse_changes(stored: dict, config: Config, remedy: str = "Use a new --workdir, or set them back") -> None:
    """Refuse a recipe that differs from the one a checkpoint was trained with.

    Raises:
      InputError: with each differing field, its old and its new value, and the remedy.
    """
    if changed := changes(stored, config):
        raise InputError(f"the workdir holds a run with another config: {'; '.join(changed)}. {remedy}")
