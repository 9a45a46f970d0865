"""How far each run of a sweep is, as its folder tells."""

import json
from pathlib import Path

from learner_jax.config import Config, changes
from learner_jax.evaluators import places
from learner_jax.report.health import look
from learner_jax.sweep.runs import Run
from tfds_builders.errors import InputError


def finished(run: Run, out: Path, config: Config) -> bool:
    """Whether a run has trained its steps under this config and is scored on validation patients.

    Raises:
      InputError: its folder holds a run of another recipe.
    """
    workdir, config_file = out / run.id, out / run.id / "config.json"
    if not config_file.exists():
        return False
    stored = json.loads(config_file.read_text())
    if changed := changes(stored, config):
        raise InputError(
            f"{workdir} holds a run of another recipe than the sweep file gives now: {'; '.join(changed)}. Name the "
            "arm, setting or study otherwise, or remove the folder"
        )
    return look(workdir).state == "finished"


def validation_score(workdir: Path, steps: int, score: str) -> float | None:
    """A score of a run's last step on validation patients; None: it has none."""
    path = places.folder(workdir, steps, "val") / "scores.json"
    if not path.exists():
        return None
    return {row["name"]: row["value"] for row in json.loads(path.read_text())["rows"]}.get(score)
