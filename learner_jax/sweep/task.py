"""A command that a launcher runs, and how it ended."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

PREEMPTED = 143  # exit code of a trainer that has committed a checkpoint and wants to be started again


@dataclasses.dataclass(frozen=True)
class Task:
    """A command under a name; what it prints is added to ``log``. Those that share a ``program`` compile the same."""

    name: str
    command: Sequence[str]
    log: Path
    program: str = ""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a task ended: ``why`` is the last line that it said, of one that failed."""

    task: Task
    code: int
    seconds: float
    why: str = ""

    @property
    def failed(self) -> bool:
        """Whether it has not done what it should."""
        return self.code != 0

    def __str__(self) -> str:
        how = f"failed with {self.code} ({self.why}; {self.task.log})" if self.failed else "done"
        return f"{self.task.name}: {how} after {self.seconds:.0f} s"


def outcome(task: Task, code: int, seconds: float, since: int = 0) -> Outcome:
    """The outcome of a task whose process has ended; it began when its log had ``since`` bytes."""
    return Outcome(task, code, seconds, last_error(task.log, since) if code else "")


def said(log: Path) -> int:
    """Bytes of a log, which may hold what an earlier attempt has said."""
    return log.stat().st_size if log.exists() else 0


def last_error(log: Path, since: int = 0, most: int = 16384) -> str:
    """The last line of a log, from byte ``since`` on, that tells an error, else its last line."""
    if not log.exists():
        return "it said nothing"
    with log.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(since, file.tell() - most))
        lines = file.read().decode(errors="replace").replace("\r", "\n").splitlines()
    lines = [line.strip() for line in lines if line.strip()]
    told = [line for line in lines if line.startswith("error: ") or "Error: " in line]
    return (told or lines or ["it said nothing"])[-1]
