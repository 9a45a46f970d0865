"""What a compiled program depends on, so that the runs of one process share programs: traced and compiled once.

A sweep trains many runs that differ in seed, dataset or patients alone. Tracing and loading the step of a small net
takes longer than training it.
"""

import dataclasses
import json

from learner_jax.config import CheckpointConfig, Config, DataConfig, EvalConfig
from learner_jax.fields import from_dict

KEPT = 16  # programs of each kind that a process keeps


def key_of(config: Config) -> str:
    """The config without what reaches no program but as data: the same text, the same programs.

    Seed and learning rate are in the state, patients and scores in the batches, and shapes are arguments of their own.
    """
    data = DataConfig(frames=config.data.frames, size=config.data.size, mean=config.data.mean, std=config.data.std)
    apart = {"init_from": "", "seed": 0, "log_every": 1, "trackers": "", "profile": "", "data": data}
    optim = dataclasses.replace(config.optim, learning_rate=1.0)
    sections = {"optim": optim, "checkpoint": CheckpointConfig(), "eval": EvalConfig()}
    return json.dumps(dataclasses.asdict(dataclasses.replace(config, **apart, **sections)))


def config_of(key: str) -> Config:
    """A config of its own for the program: what is changed in that of a run later does not reach it."""
    return from_dict(Config, json.loads(key))
