"""Has the embedding collapsed? The newest lines of metrics.jsonl -> a sentence that says what to try, or nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

PATIENCE = 5  # lines in a row: an untrained encoder embeds all scans alike and needs a few steps to tell them apart

_ONE_POINT = 0.995  # mean cosine of projections; an untrained projection of the demo's encoder starts at 0.97
_ONE_POINT_UNPROJECTED = 0.99999  # of embeddings after a ReLU, which all lie in one orthant and may well be healthy

# Objectives that compare no projections, listed by name because a report is made without JAX.
_UNPROJECTED = {"mse", "l1", "huber", "cross_entropy", "coral", "conr", "ranksim"}
_UNPROJECTED |= {"lilac", "lilac_order", "davidson", "patient_adversary"}


def diagnose(lines: Sequence[Mapping[str, Any]], objective: str) -> str:
    """What is wrong in all of the last :data:`PATIENCE` lines; empty if nothing is, or if there are fewer lines.

    Args:
      lines: of metrics.jsonl, oldest first.
      objective: its name, ``config.objective.name``.
    """
    projected = not set(objective.split("+")) <= _UNPROJECTED
    if len(lines) < PATIENCE:
        return ""
    last = lines[-PATIENCE:]
    step = last[-1].get("step", 0)
    limit = _ONE_POINT if projected else _ONE_POINT_UNPROJECTED
    if _all(last, "effective_rank", lambda x: x == 0) or _all(last, "mean_cosine", lambda x: x > limit):
        return (
            f"the embedding has collapsed at step {step}: all scans lie on one point (mean cosine "
            f"{_text(last[-1].get('mean_cosine'))}). Try a lower --config.optim.learning_rate, --config.backbone.norm="
            "group, --config.objective.ramp=rise, a wider contrast (--config.batch_size or --config.objective.queue), "
            "or mse beside it (--config.objective.name=mse+…)"
        )
    if projected and _all(last, "effective_rank", lambda x: x < 1.02):
        return (
            f"the embedding is a line at step {step} (effective rank {_text(last[-1]['effective_rank'])}): only one "
            "direction is in use. Try another --config.objective.temperature, a lower --config.optim.learning_rate, or "
            "another --config.objective.name"
        )
    if _all(last, "zero_loss_share", lambda x: x > 0.98):
        return (
            f"{100 * last[-1]['zero_loss_share']:.0f} % of the scans cost nothing at step {step}: every pair is "
            "satisfied, or batches hold no pairs that the objective compares. Choose another --config.sampler.name, "
            "or a larger --config.objective.margin or --config.batch_size"
        )
    first, newest = last[0].get("skipped"), last[-1].get("skipped")
    if first is not None and newest is not None and newest - first >= PATIENCE - 1:
        return (
            f"{newest:.0f} steps up to step {step} changed nothing, as their loss or gradient was not finite. Try a "
            "lower --config.optim.learning_rate, or a higher --config.objective.temperature"
        )
    return ""


def _all(lines: Sequence[Mapping[str, Any]], name: str, fault) -> bool:
    values = [line.get(name) for line in lines]
    return all(value is not None and fault(value) for value in values)  # NaN compares as healthy: nothing was measured


def _text(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
