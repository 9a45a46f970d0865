"""How far each run of a sweep is, from its folder."""

from pathlib import Path
from typing import Any

from learner_jax.config import Config, changes
from learner_jax.evaluators import places
from learner_jax.fields import from_dict, get
from learner_jax.report.health import look
from learner_jax.sweep.runs import Run
from tfds_builders.errors import InputError
from tfds_builders.whole import read_object

_REMEDY = "Remove it; the same sweep writes it again"
_SCORED_BY = ("data.split", "eval.pairs", "eval.order", "eval.change_threshold", "eval.fusion")


def finished(run: Run, out: Path, config: Config) -> bool:
    """Whether a run has trained all its steps with this config and is scored on validation patients.

    Raises:
      InputError: its folder holds a run with another config, or its config is damaged.
    """
    workdir, config_file = out / run.id, out / run.id / "config.json"
    if not config_file.exists():
        return False
    stored = read_object(config_file, _REMEDY)
    if changed := changes(stored, config) + _scored_otherwise(stored, config):
        raise InputError(
            f"{workdir} holds a run with another config than the sweep file now gives: {'; '.join(changed)}. Rename "
            "the arm, setting or study, or remove the folder"
        )
    return look(workdir).state == "finished"


def _scored_otherwise(stored: dict[str, Any], config: Config) -> list[str]:
    """Fields that may change when training continues, but by which a finished run was scored differently."""
    before = from_dict(Config, stored)
    both = {path: (get(before, path), get(config, path)) for path in _SCORED_BY}
    both["data.dir"] = Path(before.data.dir).name, Path(config.data.dir).name  # a dataset may have been moved
    return [f"{path} was {then!r} and is {now!r}" for path, (then, now) in both.items() if then != now]


def validation_score(workdir: Path, steps: int, score: str) -> float | None:
    """A score of a run's last step on validation patients; None if there is none.

    Raises:
      InputError: the file is damaged.
    """
    path = places.folder(workdir, steps, "val") / "scores.json"
    if not path.exists():
        return None
    return {row["name"]: row["value"] for row in read_object(path, _REMEDY)["rows"]}.get(score)
