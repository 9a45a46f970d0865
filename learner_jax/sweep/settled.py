"""The config of a run before it is trained, as ``learner_jax.main`` will make it."""

from learner_jax.config import Config, check
from learner_jax.fields import override
from learner_jax.sweep.runs import Run
from learner_jax.sweep.source import returned
from tfds_builders.errors import InputError


def settled(run: Run, steps: int = 1) -> Config:
    """The checked config of a run.

    Raises:
      InputError: the file does not return a config, or a field or value is refused.
    """
    config = returned(run.study.config, "get_config", Config)
    for path, value in {**run.fields, "steps": steps}.items():
        override(config, f"--config.{path}={value}")
    try:
        check(config)
    except InputError as fault:
        raise InputError(f"{run.id}: {fault}") from fault
    return config
