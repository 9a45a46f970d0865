"""Every knob of a run, as typed fields with one comment each.

A file in ``configs/`` returns a :class:`Config` from ``get_config()``; the command line overrides any field with
``--config.section.field=value``. :func:`check` is called once at the start of a run and says what is wrong and
where to change it; afterwards nobody writes to the config.
"""

import dataclasses
import typing
from collections.abc import Iterator

from tfds_builders.errors import InputError
from tfds_builders.wording import suggest


def choice(default: str, *others: str) -> typing.Any:
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
    frames: int = 8  # frames (or slices) the backbone sees
    size: int = 112  # height and width the backbone sees, in pixels
    mean: float = 0.25  # intensity (0 to 1) that the backbone sees as 0
    std: float = 0.25  # intensity range that the backbone sees as 1
    read_threads: int = 2  # threads that read records
    read_ahead: int = 4  # global batches kept ready


@dataclasses.dataclass
class AugmentConfig:
    shift: float = 0.06  # largest translation, as a fraction of height and width
    zoom: float = 0.06  # largest change of depth, as a fraction
    rotate: float = 5.0  # largest rotation in degrees
    gain: float = 0.15  # largest additive gain, as a fraction of the intensity range
    contrast: float = 0.15  # largest multiplicative change of intensity, as a fraction
    flip: bool = (
        False  # left-right flips; only where the view allows it. There is no vertical flip: depth has a direction
    )


@dataclasses.dataclass
class BackboneConfig:
    name: str = "tsm_resnet18"  # one of learner_jax.backbones.list_backbones()
    norm: str = choice("batch", "group")  # mask-aware batch norm, or group norm


@dataclasses.dataclass
class ObjectiveConfig:
    name: str = "learner_combined"  # one of learner_jax.objectives.list_objectives()
    mse_weight: float = 1.0  # learner_combined: weight of the squared error
    contrastive_weight: float = 1.0  # learner_combined: weight of the contrastive part
    pair_weight: str = choice(
        "distance", "uniform"
    )  # learner: every coarse pair counts 1, or its score distance over the largest
    score_range: float = (
        4.0  # learner: score difference, in SD of training scores, laid on opposite ends of the embedding
    )
    projection: int = 64  # width of z, the projection that the contrastive part compares
    block: int = 256  # anchors compared at once; bounds memory to block x batch


@dataclasses.dataclass
class OptimConfig:
    name: str = choice("adamw", "sgd", "lamb")
    learning_rate: float = 1e-3  # at the peak of the schedule
    schedule: str = choice("cosine", "constant")  # after warm-up
    warmup: float = 0.05  # fraction of all steps with a linearly rising learning rate
    weight_decay: float = 1e-4  # on kernels only; biases and norm scales are never decayed
    momentum: float = 0.9  # sgd only
    clip_norm: float = 1.0  # largest global gradient norm; 0 switches clipping off


@dataclasses.dataclass
class CheckpointConfig:
    every: int = 100  # steps between checkpoints; the last step is always kept
    keep: int = 3  # newest checkpoints that stay on disk


@dataclasses.dataclass
class EvalConfig:
    every: int = 0  # steps between evaluations inside training; 0: only after the last step
    pairs: str = choice(
        "visits", "scans"
    )  # fine pairs of visits, or of scans within one visit (spatial, not change over time)
    order: str = choice("all", "consecutive")  # all pairs of a patient's visits, or neighbours only (the paper)
    change_threshold: float | None = None  # |score difference| up to which a patient counts as stable, in score units
    batch_size: int = 32  # scans embedded at once
    bootstrap: int = 2000  # resamples of patients behind each interval
    confidence: float = 0.95  # coverage of the intervals


@dataclasses.dataclass
class Config:
    seed: int = 0  # initial weights, order of scans and augmentation
    steps: int = 1000  # optimiser updates in the whole run
    batch_size: int = 32  # scans per step, over all devices
    log_every: int = 10  # steps between lines of metrics.jsonl
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    augment: AugmentConfig = dataclasses.field(default_factory=AugmentConfig)
    backbone: BackboneConfig = dataclasses.field(default_factory=BackboneConfig)
    objective: ObjectiveConfig = dataclasses.field(default_factory=ObjectiveConfig)
    optim: OptimConfig = dataclasses.field(default_factory=OptimConfig)
    checkpoint: CheckpointConfig = dataclasses.field(default_factory=CheckpointConfig)
    eval: EvalConfig = dataclasses.field(default_factory=EvalConfig)


_POSITIVE = (
    "steps batch_size log_every data.frames data.size data.std data.read_threads data.read_ahead objective.projection "
    "objective.block optim.learning_rate checkpoint.every checkpoint.keep eval.batch_size eval.bootstrap "
    "objective.score_range"
).split()
_NOT_NEGATIVE = (
    "seed augment.shift augment.zoom augment.rotate augment.gain augment.contrast objective.mse_weight optim.warmup "
    "objective.contrastive_weight optim.weight_decay optim.clip_norm eval.every"
).split()


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
    for path, what in (("data.dir", "the folder of a built dataset"), ("data.score", "the score to learn")):
        if not get(config, path):
            raise InputError(f"config.{path} is empty; it names {what}. Set --config.{path}=…")
    if config.eval.change_threshold is None or not config.eval.change_threshold >= 0:
        raise InputError(
            f"config.eval.change_threshold is {config.eval.change_threshold}; it is the largest change of "
            f"{config.data.score!r}, in score units, that still counts as stable, and only you can know it. "
            "Set --config.eval.change_threshold=…"
        )
    if not 0 < config.eval.confidence < 1:
        raise InputError(f"config.eval.confidence is {config.eval.confidence}; it lies between 0 and 1.")


def check_override(argument: str) -> None:
    """Refuse ``--config.a.b=…`` when there is no field ``a.b``.

    Raises:
      InputError: with the fields that exist at that place and the nearest one.
    """
    path = argument.lstrip("-").split("=")[0].split(".")[1:]
    section: type = Config
    for depth, name in enumerate(path):
        fields = typing.get_type_hints(section) if dataclasses.is_dataclass(section) else {}
        if name not in fields:
            here = ".".join(["config", *path[:depth]])
            raise InputError(
                f"{here} has no field {name!r}; {suggest(name, fields)}. All fields: learner_jax/config.py"
            )
        section = fields[name]


def walk(config: typing.Any, prefix: str = "") -> Iterator[tuple[str, dataclasses.Field, typing.Any]]:
    """Yield ``(dotted path, field, value)`` of every leaf field."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from walk(value, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, field, value


def get(config: typing.Any, path: str) -> typing.Any:
    """The value at a dotted path."""
    for name in path.split("."):
        config = getattr(config, name)
    return config


def from_dict(values: dict, kind: type = Config) -> typing.Any:
    """Rebuild a config from ``dataclasses.asdict``, as stored in a run's config.json.

    Raises:
      InputError: for a field that this version does not have.
    """
    hints = typing.get_type_hints(kind)
    unknown = set(values) - set(hints)
    if unknown:
        raise InputError(f"the stored config has fields that this version lacks: {', '.join(sorted(unknown))}")
    return kind(**{k: from_dict(v, hints[k]) if dataclasses.is_dataclass(hints[k]) else v for k, v in values.items()})


_MAY_CHANGE = ("log_every", "data.dir", "data.read_", "checkpoint.", "eval.")  # without touching what is learnt


def refuse_changes(stored: dict, config: Config) -> None:
    """Refuse to go on with another recipe than the one a checkpoint was trained with.

    Raises:
      InputError: with each field that differs, then and now.
    """
    before = {path: value for path, _, value in walk(from_dict(stored))}
    changed = [
        f"{path} was {before[path]!r} and is {value!r}"
        for path, _, value in walk(config)
        if value != before[path] and not path.startswith(_MAY_CHANGE)
    ]
    if changed:
        raise InputError(
            f"the workdir holds a run with another config: {'; '.join(changed)}. Use a new --workdir, or set them back"
        )


def override(config: Config, argument: str) -> None:
    """Set one field from ``--config.section.field=value``.

    Raises:
      InputError: unknown field, no ``=``, or a value of another type.
    """
    check_override(argument)
    left, given, text = argument.lstrip("-").partition("=")
    *sections, name = left.split(".")[1:]
    section = get(config, ".".join(sections)) if sections else config
    kind = typing.get_type_hints(type(section))[name]
    kind = next((k for k in typing.get_args(kind) if k is not type(None)), kind)
    if dataclasses.is_dataclass(kind):
        raise InputError(
            f"{argument!r} does not set a field but a whole section; its fields are in learner_jax/config.py"
        )
    try:
        value = {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError, TypeError) as fault:
        raise InputError(f"{argument!r} does not set a {kind.__name__}; write --{left}=VALUE") from fault
    setattr(section, name, value)
