"""Where evaluations lie: of test patients in ``WORKDIR/eval/STEP``, of validation patients in ``validation/STEP``.

So nobody takes the scores that a recipe was chosen by for those that it is judged by.
"""

from pathlib import Path

PLACES = {"test": "eval", "val": "validation"}  # by config.eval.patients


def folder(workdir: Path, step: int, patients: str = "test") -> Path:
    """Where the evaluation of a step on these patients lies."""
    return Path(workdir) / PLACES[patients] / str(step)


def exists(workdir: Path, step: int, patients: str = "test") -> bool:
    """Whether the evaluation of a step on these patients was written."""
    return (folder(workdir, step, patients) / "scores.json").is_file()


def steps(workdir: Path, patients: str = "test") -> list[int]:
    """The steps that were evaluated on these patients, oldest first."""
    found = (path.parent.name for path in Path(workdir).glob(f"{PLACES[patients]}/*/scores.json"))
    return sorted(int(name) for name in found if name.isdigit())


def newest(workdir: Path, patients: str = "test") -> int | None:
    """The last step that was evaluated on these patients; None when none was."""
    return max(steps(workdir, patients), default=None)
