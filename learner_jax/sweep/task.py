"""A command that a launcher runs, and how it ended."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

PREEMPTED = 143  # exit code of a trainer that has committed a checkpoint and wants to be started again


@dataclasses.dataclass(frozen=True)
class Task:
    """A named command, whose output is appended to ``log``. Tasks with the same ``program`` compile the same code."""

    name: str
    command: Sequence[str]
    log: Path
    program: str = ""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a task ended; ``why`` is the last error in the output of a task that failed."""

    task: Task
    code: int
    seconds: float
    why: str = ""

    @property
    def failed(self) -> bool:
        """Whether the task failed."""
        return self.code != 0

    def __str__(self) -> str:
        how = f"failed with {self.code} ({self.why}; {self.task.log})" if self.failed else "done"
        return f"{self.task.name}: {how} after {self.seconds:.0f} s"


def outcome(task: Task, code: int, seconds: float, since: int = 0) -> Outcome:
    """The outcome of a task whose process has ended; its own output starts at byte ``since`` of the log."""
    return Outcome(task, code, seconds, last_error(task.log, since) if code else "")


def said(log: Path) -> int:
    """Size of a log in bytes; it may hold the output of earlier attempts."""
    return log.stat().st_size if log.exists() else 0


def last_error(log: Path, since: int = 0, most: int = 16384) -> str:
    """The last line of a log from byte ``since`` on that reports an error, or else its last line."""
    if not log.exists():
        return "it said nothing"
    with log.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(since, file.tell() - most))
        lines = file.read().decode(errors="replace").replace("\r", "\n").splitlines()
    lines = [line.strip() for line in lines if line.strip()]
    told = [line for line in lines if line.startswith("error: ") or "Error: " in line]
    return (told or lines or ["it said nothing"])[-1]
