"""The state of a run, from its folder alone, during the run and afterwards; nothing in the folder is changed."""

import dataclasses
import fcntl
import json
import math
import pathlib
import time

from learner_jax import manifest
from learner_jax.evaluators import places
from learner_jax.report import collapse, goodput
from learner_jax.report.goodput import Life
from learner_jax.report.writer import newest_metrics
from tfds_builders.errors import InputError
from tfds_builders.wording import plural

SILENT = 600.0  # seconds without a sign of life after which a running process is suspected to hang


@dataclasses.dataclass(frozen=True)
class Health:
    """A run at one moment.

    Attributes:
      run: its folder.
      state: ``running`` (its lock is held), ``finished`` (its last step is done and scored) or ``interrupted``.
      ended: how an interrupted run ended: ``preempted``, ``killed`` or the name of an exception.
      step: last step known to have been finished.
      steps: of the whole run.
      examples_per_second: over the last 30 s of a running process, else since the first step; None if unknown.
      eta: seconds that a running process needs for the remaining steps; None if unknown.
      loss: of the newest line of metrics that has one.
      skipped: steps that changed nothing because their loss or gradient was not finite.
      input_wait: share of the time in which training waits for its next batch.
      checkpoint: step of the newest committed checkpoint, by its name (its content is not read); None if there is none.
      damaged: number of checkpoints that were set aside.
      goodput: share of the wall time of all processes spent on steps that were kept; None if unknown.
      seen: seconds since the last sign of life.
      warnings: sentences.
    """

    run: str
    state: str
    ended: str
    step: int
    steps: int
    examples_per_second: float | None
    eta: float | None
    loss: float | None
    skipped: int
    input_wait: float | None
    checkpoint: int | None
    damaged: int
    goodput: float | None
    seen: float
    warnings: tuple[str, ...]


def look(run: pathlib.Path) -> Health:
    """The health of the run in a folder.

    Raises:
      InputError: its config, metrics or goodput.json is damaged, which a killed process cannot cause.
    """
    config = _config(run)
    lines = newest_metrics(run / "metrics.jsonl", collapse.PATIENCE)
    lives = goodput.read(run)
    newest = lives[-1] if lives else None
    checkpoint = max(_committed(run), default=None)
    step = max(lines[-1]["step"] if lines else 0, newest.step if newest else 0)
    running = held(run)
    scored = places.exists(run, step, config["patients"])
    finished = not running and step >= config["steps"] and scored
    state = "running" if running else "finished" if finished else "interrupted"
    seen = max(0.0, time.time() - _last_sign(run, newest))
    rate = _rate(newest, running)
    damaged = len(list((run / "damaged").glob("*")))
    skipped = int(max((line["skipped"] for line in lines if line.get("skipped") is not None), default=0))
    losses = [line["loss"] for line in lines if line.get("loss") is not None]
    return Health(
        run=str(run),
        state=state,
        ended="" if state != "interrupted" else _how(newest),
        step=step,
        steps=config["steps"],
        examples_per_second=rate,
        eta=(config["steps"] - step) * config["batch_size"] / rate if running and rate else None,
        loss=losses[-1] if losses else None,
        skipped=skipped,
        input_wait=newest.input_wait if newest else None,
        checkpoint=checkpoint,
        damaged=damaged,
        goodput=goodput.total(lives).goodput if lives else None,
        seen=seen,
        warnings=tuple(_warnings(running, seen, damaged, skipped, lines, config["objective"])),
    )


def held(run: pathlib.Path) -> bool:
    """Whether a trainer holds the lock of a run.

    The lock is tried for a moment in shared mode; a trainer that starts just then waits that long.

    Raises:
      InputError: the lock belongs to somebody else and may not be read.
    """
    try:
        with (run / "lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # closing frees it
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except PermissionError as fault:
        raise InputError(f"{run / 'lock'} cannot be read, so it is not known whether a trainer works there") from fault
    return False


def _config(run: pathlib.Path) -> dict:
    try:
        config = json.loads((run / "config.json").read_text())
        batch_size, objective = int(config["batch_size"]), str(config["objective"]["name"])
        patients = str(config.get("eval", {}).get("patients", "test"))
        return {"steps": int(config["steps"]), "batch_size": batch_size, "objective": objective, "patients": patients}
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise InputError(
            f"{run / 'config.json'} is not the config of a run ({type(fault).__name__}: {fault}). Remove it, or name "
            "the runs themselves"
        ) from fault


def _committed(run: pathlib.Path) -> list[int]:
    folders = (path.parent.name for path in run.glob(f"checkpoints/*/{manifest.FILE}"))
    return [int(name) for name in folders if name.isdigit()]


def _last_sign(run: pathlib.Path, newest: Life | None) -> float:
    files = (run / name for name in ("config.json", "metrics.jsonl"))
    return max([newest.seen if newest else 0.0, *(path.stat().st_mtime for path in files if path.exists())])


def _rate(newest: Life | None, running: bool) -> float | None:
    if newest is None or (running and newest.ended):  # the running process has not finished a step yet
        return None
    recent = newest.recent_examples_per_second if running else None
    return newest.examples_per_second if recent is None else recent


def _how(newest: Life | None) -> str:
    return (newest.ended if newest else "") or "killed"


def _warnings(running: bool, seen: float, damaged: int, skipped: int, lines: list[dict], objective: str) -> list[str]:
    found = []
    if running and seen > SILENT:
        found.append(
            f"a process holds the lock but has shown no sign of life for {seen / 60:.0f} min: it is compiling or "
            "evaluating for long, or hangs; after 600 s without a step it writes its stacks to stderr"
        )
    if fault := collapse.diagnose(lines, objective):
        found.append(fault)
    if lines and not math.isfinite(lines[-1]["loss"] if lines[-1].get("loss") is not None else math.nan):
        found.append(f"the loss of step {lines[-1]['step']} is not finite")
    if skipped:
        found.append(f"{plural(skipped, 'step')} changed nothing, as their loss or gradient was not finite")
    if damaged:
        found.append(f"{plural(damaged, 'checkpoint')} set aside in its folder damaged/: look at the disk")
    return found
