"""Config -> optax optimizer with its schedule."""

from typing import Any

import jax
import optax

from learner_jax.config import OptimConfig


def schedule(config: OptimConfig, steps: int) -> optax.Schedule:
    """Learning rate by step: linear warm-up over the first ``warmup`` fraction, then cosine to 0, or constant."""
    warm = round(config.warmup * steps)
    rise = optax.linear_schedule(0.0, config.learning_rate, max(warm, 1))
    if config.schedule == "cosine":
        after = optax.cosine_decay_schedule(config.learning_rate, max(steps - warm, 1))
    else:
        after = optax.constant_schedule(config.learning_rate)
    return optax.join_schedules([rise, after], [warm]) if warm else after


def decayed(params: Any) -> Any:
    """True for what weight decay may shrink: kernels, that is, leaves of two or more axes."""
    return jax.tree.map(lambda leaf: leaf.ndim >= 2, params)


def make_optimizer(config: OptimConfig, steps: int) -> optax.GradientTransformation:
    """AdamW, SGD with Nesterov momentum, or LAMB, behind clipping of the global gradient norm."""
    rate = schedule(config, steps)
    if config.name == "adamw":
        update = optax.adamw(rate, weight_decay=config.weight_decay, mask=decayed)
    elif config.name == "lamb":
        update = optax.lamb(rate, weight_decay=config.weight_decay, mask=decayed)
    else:
        update = optax.chain(
            optax.add_decayed_weights(config.weight_decay, mask=decayed),
            optax.sgd(rate, momentum=config.momentum, nesterov=True),
        )
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), update) if config.clip_norm else update
