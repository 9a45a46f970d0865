"""The stages of a sweep: build the datasets, search the learning rates, train all seeds, open the test patients."""

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from learner_jax import programs
from learner_jax.evaluators import places
from learner_jax.report import arms, comparison, goodput
from learner_jax.sweep import account, budget, datasets
from learner_jax.sweep.plan import Study, Sweep, folder
from learner_jax.sweep.progress import finished, validation_score
from learner_jax.sweep.runs import Run, at_rates, search, used_datasets
from learner_jax.sweep.settled import settled
from learner_jax.sweep.task import Outcome, Task
from tfds_builders.errors import InputError

Launch = Callable[[Sequence[Task]], list[Outcome]]

_TO_MEASURE = 30  # steps of a run that measures speed


class Stages:
    """Works through a sweep; what is already done is not repeated.

    Args:
      sweep: as the sweep file gives it.
      studies: those to work on.
      out: folder of all runs.
      data: folder of the datasets.
      launch: runs tasks and returns their outcomes; None if nothing will be run.
      say: called with sentences on what happens.
    """

    def __init__(
        self,
        sweep: Sweep,
        studies: Sequence[Study],
        out: Path,
        data: Path,
        launch: Launch | None = None,
        say: Callable[[str], None] = print,
    ):
        self.sweep, self.studies, self._out, self._data = sweep, studies, out, data
        self._launch, self._say = launch, say
        self._steps: dict[tuple[str, str, str], int] = {}

    def train(self) -> list[Outcome]:
        """Do everything but score test patients; returns what failed."""
        for name in used_datasets(self.sweep, self.studies):
            datasets.build(self.sweep, name, self._data)
        failed = self._measure() + self._work(self._measured(self._searched()))
        self._tell()  # from here on there is a board, even if the sweep is interrupted
        failed += self._work(self.chosen())
        return failed

    def chosen(self) -> list[Run]:
        """All seeds of every arm, at the learning rate that did best on validation patients."""
        runs = [run for study in self.studies for run in at_rates(self.sweep, study, self._data, self._rates(study))]
        return self._measured(runs)

    def everything(self) -> list[Run]:
        """Every run that may be trained; until a study has chosen any rate, its first one stands for all."""
        found = self._searched()
        for study in self.studies:
            first = next(iter(study.learning_rates), None)
            rates = self._rates(study) or {(s, a): first for s in study.settings for a in study.arms}
            found += at_rates(self.sweep, study, self._data, rates)
        return list({run.id: run for run in found}.values())

    def steps(self, run: Run) -> int:
        """The number of steps of a run, by the budget of its study.

        Raises:
          InputError: the config is refused, or the budget is of seconds and the speed of its arm is not measured.
        """
        key = run.study.name, run.setting, run.arm
        if key not in self._steps:
            self._steps[key] = budget.steps(run.study.budget, settled(run), lambda: self._needed_speed(run))
        return self._steps[key]

    def open_test(self, names: Path) -> list[Outcome]:
        """Score the runs that a file names on test patients, and record that; returns what failed.

        Raises:
          InputError: a name is not of a run of the sweep, or of one that is not finished.
        """
        runs = self._named(names)
        self._tell()
        # The longest first, so that slots do not wait for one another at the end.
        tasks = [task for _, task in sorted(self._scoring(runs), key=lambda found: -found[0])]
        if not tasks:
            self._say("all of these runs have their test scores")
            return []
        if new := [run.id for run in runs if not places.exists(self._out / run.id, self.steps(run))]:
            account.note_opened(self._out, names, new)
        return [one for one in self._launch(tasks) if one.failed]

    def _scoring(self, runs: Sequence[Run]) -> Iterable[tuple[int, Task]]:
        """For each setting with something to do, the number of runs to score, and the task that scores them.

        Runs that already have test scores are scored together with the named ones, so that arms stay complete.
        """
        named = {run.id for run in runs}
        every = [
            run
            for run in self._measured(self.everything())
            if run.id in named or places.exists(self._out / run.id, self.steps(run))
        ]
        for study in self.studies:
            for setting in study.settings:
                here = [run for run in every if (run.study, run.setting) == (study, setting)]
                if not {run.id for run in here} & named:
                    continue
                place = self._out / folder(study.name) / folder(setting)
                command = [sys.executable, "-m", "learner_jax.evaluate", "--workdir", str(place)]
                command += [f"--runs={','.join(Path(run.id).name for run in here)}", "--config.eval.patients=test"]
                # A named run first: the reference may have been opened with another learning rate before.
                reference = sorted(
                    (run for run in here if run.arm == study.against), key=lambda run: run.id not in named
                )
                compared = bool(reference) and len({run.arm for run in here}) > 1
                if compared:
                    command += ["--compare", str(self._out / reference[0].id)]
                if self._is_whole(here, place, compared):
                    continue
                yield len(here), Task(f"{study.name}/{setting}: test scores", command, place / "test.log")

    def _is_whole(self, runs: Sequence[Run], place: Path, compared: bool) -> bool:
        """Whether all files that come with the test scores of a setting are there; a kill may have left some out."""
        scores = [places.folder(self._out / run.id, self.steps(run)) / "scores.json" for run in runs]
        if not all(path.is_file() for path in (*scores, *(path.parents[1] / "floors.json" for path in scores))):
            return False
        made = [place / arms.FILE] if len(runs) > len({run.arm for run in runs}) else []
        made += [place / comparison.FILE] if compared else []
        newest = max(path.stat().st_mtime for path in scores)
        return all(path.is_file() and path.stat().st_mtime >= newest for path in made)

    def _named(self, names: Path) -> list[Run]:
        if not names.is_file():
            raise InputError(f"there is no file {names}; python -m learner_jax.sweep choose … writes one")
        known = {run.id: run for run in self.everything()}
        lines = (line.split("#")[0].strip() for line in names.read_text().splitlines())
        found = []
        for name in filter(None, lines):
            if name not in known:
                raise InputError(
                    f"{names} names {name!r}, which is not a run of this sweep; `choose` lists those to choose"
                )
            if not finished(known[name], self._out, settled(known[name], self.steps(known[name]))):
                raise InputError(f"{names} names {name!r}, which is not finished; run the sweep first")
            found.append(known[name])
        return found

    def _searched(self) -> list[Run]:
        return [run for study in self.studies for run in search(self.sweep, study, self._data)]

    def _rates(self, study: Study) -> dict[tuple[str, str], float | None]:
        """The chosen rate of each arm in each setting; there is none if all its search runs failed or are not done."""
        if not study.learning_rates:
            return {(setting, arm): None for setting in study.settings for arm in study.arms}
        best: dict[tuple[str, str], tuple[float, float]] = {}
        for run in search(self.sweep, study, self._data):
            if not (self._out / run.id).exists():  # its steps may not be known yet
                continue
            score = validation_score(self._out / run.id, self.steps(run), study.choose_by)
            key = run.setting, run.arm
            if score is not None and (key not in best or score > best[key][0]):
                best[key] = score, run.learning_rate
        return {key: rate for key, (_, rate) in best.items()}

    def _work(self, runs: Sequence[Run]) -> list[Outcome]:
        tasks = []
        for run in runs:
            steps = self.steps(run)
            config = settled(run, steps)
            if not finished(run, self._out, config):
                log = self._out / f"{run.id}.log"
                tasks.append(Task(run.id, run.command(self._out, steps), log, programs.key_of(config)))
        if runs:
            self._say(f"{len(runs) - len(tasks)} of {len(runs)} runs are finished, {len(tasks)} to do")
        return [one for one in self._launch(tasks) if one.failed]

    def _measure(self) -> list[Outcome]:
        """Do short runs, by whose speed a budget of seconds becomes a number of steps; returns what failed."""
        everything = self.everything()
        measured = {run.id for run in self._measured(everything)}
        runs = [run for run in everything if run.id not in measured]
        one_each = {(run.study.name, run.setting, run.arm): run for run in runs}.values()
        tasks = []
        for run in one_each:
            workdir = self._place_of_speed(run)
            command = [*run.command(self._out, _TO_MEASURE), "--workdir", str(workdir)]
            tasks.append(Task(f"speed of {run.arm}", command, workdir.with_suffix(".log")))
        return [one for one in self._launch(tasks) if one.failed]

    def _measured(self, runs: Iterable[Run]) -> list[Run]:
        """The runs whose steps are known; those of an arm whose short run failed are not, and are left out."""
        return [run for run in runs if run.study.budget.kind != "seconds" or self._speed(run) is not None]

    def _place_of_speed(self, run: Run) -> Path:
        return self._out / ".speed" / folder(run.study.name) / folder(run.setting) / folder(run.arm)

    def _needed_speed(self, run: Run) -> float:
        if (speed := self._speed(run)) is None:
            raise InputError(
                f"the speed of {run.id}, which turns its budget into steps, is not measured yet; run the sweep first"
            )
        return speed

    def _speed(self, run: Run) -> float | None:
        """Examples per second of the short run of its arm; None if that is not finished."""
        workdir = self._place_of_speed(run)
        if not places.exists(workdir, _TO_MEASURE, "val"):
            return None
        return next(
            (life.examples_per_second for life in goodput.read(workdir)[::-1] if life.examples_per_second), None
        )

    def _tell(self) -> None:
        about = [self._about(study) for study in self.studies]
        account.write_studies(self._out, about, [study.name for study in self.sweep.studies])

    def _about(self, study: Study) -> dict:
        """What the board needs to know about a study."""
        return {
            "name": study.name,
            "config": study.config,
            "budget": {study.budget.kind: study.budget.amount},
            "reference": study.against,
            "choose_by": study.choose_by,
            "also": list(study.also),
            "settings": list(study.settings),
            "arms": list(study.arms),
            "seeds": list(study.seeds),
            "learning_rates": list(study.learning_rates),
            "runs": [
                self._told(run) for run in self._measured(at_rates(self.sweep, study, self._data, self._rates(study)))
            ],
            "tried": [self._told(run) for run in self._measured(search(self.sweep, study, self._data))],
        }

    def _told(self, run: Run) -> dict:
        config = settled(run, self.steps(run))
        try:
            own = budget.Model.of(config)
        except InputError:  # a backbone that cannot take these scans; its run will say so
            own = None
        return {
            "id": run.id,
            "setting": run.setting,
            "arm": run.arm,
            "seed": run.seed,
            "learning_rate": run.learning_rate,
            "steps": config.steps,
            "parameters": own and own.parameters,
            "flops": own and own.flops * config.steps,
        }
