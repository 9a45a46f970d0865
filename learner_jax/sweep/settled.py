"""The config of a run before it is trained, as ``main`` will make it."""

import importlib.util
from pathlib import Path
from typing import Any

from learner_jax.config import Config, check
from learner_jax.fields import override
from learner_jax.sweep.runs import Run
from tfds_builders.errors import InputError


def settled(run: Run, steps: int = 1) -> Config:
    """The checked config of a run.

    Raises:
      InputError: the file is no config, or a field or value is refused.
    """
    config = from_file(run.study.config)
    for path, value in {**run.fields, "steps": steps}.items():
        override(config, f"--config.{path}={value}")
    try:
        check(config)
    except InputError as fault:
        raise InputError(f"{run.id}: {fault}") from fault
    return config


def from_file(path: str) -> Config:
    """What ``get_config()`` of a file returns.

    Raises:
      InputError: there is no such file, or it returns no config.
    """
    if not Path(path).is_file():
        raise InputError(f"there is no config file {path}")
    spec = importlib.util.spec_from_file_location(f"config_{Path(path).stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config: Any = module.get_config()
    if not isinstance(config, Config):
        raise InputError(f"get_config() of {path} returns a {type(config).__name__}; a Config is needed")
    return config
