"""What a compiled program depends on, so that the runs of one process can share programs.

A sweep trains many runs that differ only in their seed, dataset or patients. For a small net, tracing and loading the
step takes longer than training.
"""

import dataclasses
import json

from learner_jax.config import CheckpointConfig, Config, DataConfig, EvalConfig
from learner_jax.fields import from_dict

KEPT = 16  # programs of each kind that a process keeps


def key_of(config: Config) -> str:
    """The config as text, without the fields that reach programs only as data: equal texts mean equal programs.

    Seed and learning rate are part of the state, patients and scores part of the batches; shapes are keyed separately.
    """
    data = DataConfig(frames=config.data.frames, size=config.data.size, mean=config.data.mean, std=config.data.std)
    irrelevant = {"init_from": "", "seed": 0, "log_every": 1, "trackers": "", "profile": ""}
    irrelevant |= {"checkpoint": CheckpointConfig(), "eval": EvalConfig()}
    optim = dataclasses.replace(config.optim, learning_rate=1.0)
    return json.dumps(dataclasses.asdict(dataclasses.replace(config, data=data, optim=optim, **irrelevant)))


def config_of(key: str) -> Config:
    """A fresh config from its key: later changes to a run's own config cannot reach a cached program."""
    return from_dict(Config, json.loads(key))
