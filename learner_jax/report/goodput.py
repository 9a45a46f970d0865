"""WORKDIR/goodput.json: what the wall time of a run went into, over all processes that worked on it in turn.

Each entry of ``processes`` is one life of the run, with the fields of :class:`Life`. Where a life starts at an earlier
step than the one before it had reached, the steps in between were lost (a kill, a damaged checkpoint) and repeated.
"""

import dataclasses
import json
import pathlib
from collections.abc import Sequence

from learner_jax.report.ledger import ACCOUNTS
from tfds_builders.errors import InputError
from tfds_builders.whole import write_whole

FILE = "goodput.json"


@dataclasses.dataclass
class Life:
    """One process of a run: what it did and where its wall time went.

    Attributes:
      start: step from which it continued.
      step: last step that it saw finished.
      seconds: wall time by account of :data:`learner_jax.report.ledger.ACCOUNTS`; their sum is all of it.
      began: Unix time.
      seen: Unix time of the last sign of life, which is when this was written.
      ended: ``finished``, ``preempted``, or the name of an exception; empty while it runs, or if it was killed.
      skipped: steps of the run so far that changed nothing because they were not finite.
      loss: of ``step``; None if not finite.
      examples_per_second: after the first step, counting only the time of steps and of waiting for input.
      recent_examples_per_second: over the last 30 s, counting all time; None if unknown.
      input_wait: share of the wall time since the first finished step in which the loop waited for the next batch.
      host_peak_bytes: peak resident memory of the process; 0 if an earlier run in the process had reached more.
      device_peak_bytes: peak memory in use on one of its devices; None likewise, or if the device does not report it.
      mfu: model FLOPs utilisation during steps; None if the device's peak is unknown.
      of_bound: roofline bound of a step over its time; None likewise.
      devices: number of devices of all its processes.
    """

    start: int
    step: int
    seconds: dict[str, float]
    began: float
    seen: float
    ended: str = ""
    skipped: int = 0
    loss: float | None = None
    examples_per_second: float | None = None
    recent_examples_per_second: float | None = None
    input_wait: float | None = None
    host_peak_bytes: int = 0
    device_peak_bytes: int | None = None
    mfu: float | None = None
    of_bound: float | None = None
    devices: int = 1

    @property
    def wall(self) -> float:
        """Wall time in seconds."""
        return sum(self.seconds.values())


@dataclasses.dataclass(frozen=True)
class Total:
    """All lives of a run together; ``goodput`` is ``productive / wall``, and 0 before any time has passed."""

    seconds: dict[str, float]
    wall: float
    productive: float  # seconds on steps that were not lost
    repeated: int  # steps
    goodput: float


def total(lives: Sequence[Life]) -> Total:
    """Sum over lives. Of a life that computed steps a to b, of which those after c were lost, a share of
    (c - a) / (b - a) of its time on steps counts as productive.
    """
    seconds = {account: sum(life.seconds.get(account, 0.0) for life in lives) for account in ACCOUNTS}
    productive, repeated = 0.0, 0
    for number, life in enumerate(lives):
        kept = min([life.step, *(later.start for later in lives[number + 1 :])])
        lost, done = life.step - max(life.start, kept), life.step - life.start
        repeated += lost
        productive += life.seconds.get("steps", 0.0) * (1 - lost / done if done else 1)
    wall = sum(seconds.values())
    return Total(seconds, wall, productive, repeated, productive / wall if wall else 0.0)


def read(workdir: pathlib.Path) -> list[Life]:
    """The lives of a run, oldest first; empty if there is no file.

    Raises:
      InputError: the file is damaged, which a killed process cannot cause.
    """
    path = workdir / FILE
    if not path.exists():
        return []
    known = {field.name for field in dataclasses.fields(Life)}
    try:
        lives = json.loads(path.read_text())["processes"]
        return [Life(**{name: value for name, value in life.items() if name in known}) for life in lives]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise InputError(f"{path} cannot be read ({fault}); it only records time: remove it") from fault


def write(workdir: pathlib.Path, lives: Sequence[Life]) -> None:
    """Write the lives and their total."""
    processes = [dataclasses.asdict(life) for life in lives]
    values = {"total": dataclasses.asdict(total(lives)), "processes": processes}
    write_whole(workdir / FILE, json.dumps(values, indent=1) + "\n")


def table(lives: Sequence[Life]) -> str:
    """Where the time of the last life went and, if there are several, that of all; then speed and memory."""
    last, whole = lives[-1], total(lives)
    columns = [("this process", last.seconds), (f"all {len(lives)} processes", whole.seconds)][: min(len(lives), 2)]
    lines = [f"{'where the time went':<40}" + "".join(f"{title:>20}" for title, _ in columns)]
    for account, words in ACCOUNTS.items():
        lines.append(f"{words:<40}" + "".join(_part(seconds, account) for _, seconds in columns))
    walls = "".join(f"{sum(seconds.values()):>10.1f} s" + 8 * " " for _, seconds in columns)
    lines.append(f"{'wall time':<40}{walls}".rstrip())
    about = [f"goodput {100 * whole.goodput:.1f} % (time on steps that were kept, over wall time)"]
    if whole.repeated:
        about.append(f"{whole.repeated} steps were lost and computed again")
    if last.skipped:
        about.append(f"{last.skipped} steps changed nothing, as their loss or gradient was not finite")
    return "\n".join([*lines, *about, *_speed(last), f"most memory: {_memory(last)}"])


def _part(seconds: dict[str, float], account: str) -> str:
    wall = sum(seconds.values())
    share = f"{100 * seconds[account] / wall:.1f} %" if wall else ""
    return f"{seconds[account]:>10.1f} s{share:>8}"


def _speed(life: Life) -> list[str]:
    parts = []
    if life.examples_per_second is not None:
        parts.append(f"{life.examples_per_second:.0f} examples/s")
    if life.input_wait is not None:
        parts.append(f"input wait {100 * life.input_wait:.1f} %")
    if life.mfu is not None:
        parts.append(f"MFU {100 * life.mfu:.1f} %")
    if life.of_bound is not None:
        parts.append(f"{100 * life.of_bound:.1f} % of the roofline bound")
    return [f"after the first step: {', '.join(parts)}"] if parts else []


def _memory(life: Life) -> str:
    host, device = (
        f"{peak / 2**30:.2f} GiB" if peak else "not known" for peak in (life.host_peak_bytes, life.device_peak_bytes)
    )
    return f"host {host}, a device {device}"
