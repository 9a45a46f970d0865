"""A run on disk, ready to be scored: its config, its checkpoints, its cohort."""

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path

from learner_jax import backbones
from learner_jax.checkpoint import Checkpoints
from learner_jax.config import Config, changes, check, refuse_changes
from learner_jax.data import cohort as cohorts
from learner_jax.data.pipeline import open_reader
from learner_jax.evaluators import artifacts, seen
from learner_jax.evaluators.api import Evaluator
from learner_jax.fields import from_dict, override
from learner_jax.mesh import check_batch_size, make_mesh
from learner_jax.placement import placed_shapes
from tfds_builders.errors import InputError
from tfds_builders.whole import read_object


class Run:
    """What scoring needs of a run.

    Args:
      workdir: folder of the run.
      overrides: ``--config.section.field=value`` for fields on which nothing learnt depends.

    Raises:
      InputError: the folder, the overrides or the dataset do not allow scoring.
    """

    def __init__(self, workdir: Path, overrides: Iterable[str] = ()):
        self.workdir = workdir
        stored = read_object(workdir / "config.json", "Copy the run again")
        self.config: Config = from_dict(Config, stored)
        for argument in overrides:
            override(self.config, argument)
        check(self.config)
        refuse_changes(stored, self.config)
        mesh = make_mesh()
        check_batch_size(self.config.eval.batch_size, mesh, "config.eval.batch_size")
        self._cohort = cohorts.load(self.config.data)
        self._trained_split = seen.refuse_seen(workdir, self._cohort)
        reader = open_reader(self._cohort, self.config.data)
        backbone = backbones.create(self.config.backbone.name, self.config.backbone.norm)
        self.evaluator = Evaluator(self.config, self._cohort, reader, backbone, mesh)
        self._abstract = placed_shapes(backbone.shapes(reader.spec(1)), mesh)

    def steps(self) -> list[int]:
        """Steps with a committed checkpoint."""
        with Checkpoints(self.workdir) as checkpoints:
            return checkpoints.steps()

    def score(self, step: int) -> None:
        """Score the checkpoint of a step and write the result.

        Raises:
          InputError: the checkpoint was trained with another split than the one in the run's folder, or the run's
            dataset has changed since and no other dataset was named.
        """
        with Checkpoints(self.workdir) as checkpoints:
            self._check_data(checkpoints.meta(step), step)
            variables, heads = checkpoints.restore_for_scoring(step, self._abstract)
        self.evaluator.write(self.evaluator.evaluate(variables, heads, step), self.workdir, step)

    def _check_data(self, trained_on: dict, step: int) -> None:
        if trained_on["fingerprints"]["split"] != self._trained_split.fingerprint:
            raise InputError(
                f"step {step} of {self.workdir} was trained with another split than its {seen.FILE} holds, so the test "
                "patients may be among those it was trained on; restore the file of that split"
            )
        if changed := [one for one in changes(trained_on["config"], self.config) if one.startswith("data.")]:
            print(
                f"note: step {step} of {self.workdir} was trained with another config (--allow_changed), and is scored "
                f"with that of {self.workdir / 'config.json'}: {'; '.join(changed)}",
                file=sys.stderr,
            )
        if trained_on["fingerprints"]["data"] == self._cohort.fingerprints["data"]:
            return
        folder = self.config.data.dir
        if folder == trained_on["config"]["data"]["dir"]:
            raise InputError(
                f"{self.workdir} was trained with other data than {folder} gives now; name the old dataset, or "
                "another one to score on, by --config.data.dir=…"
            )
        print(
            f"note: {self.workdir} was trained on another dataset than {folder}; read-out and scores of step {step} "
            "are of the latter and replace those of the former",
            file=sys.stderr,
        )

    def floors_key(self) -> str:
        """A key that is equal for runs whose floors are equal."""
        config = self.config
        parts = repr((self._cohort.fingerprints, config.data, config.backbone, config.eval))
        return hashlib.sha256(parts.encode()).hexdigest()

    def line(self, step: int) -> str:
        """The headline of a step's scores."""
        scores = artifacts.read_scores(self.workdir, step, self.config.eval.patients)
        return f"{self.workdir} step {step}: {artifacts.in_words(scores)}"
