"""Where evaluations lie: those of test patients in ``WORKDIR/eval/STEP``, those of val in ``WORKDIR/validation/STEP``.

Kept apart so that scores by which a recipe was chosen are not mistaken for those by which it is judged.
"""

from pathlib import Path

PLACES = {"test": "eval", "val": "validation"}  # by config.eval.patients


def folder(workdir: Path, step: int, patients: str = "test") -> Path:
    """The folder of a step's evaluation on these patients."""
    return Path(workdir) / PLACES[patients] / str(step)


def exists(workdir: Path, step: int, patients: str = "test") -> bool:
    """Whether a step's evaluation on these patients has been written."""
    return (folder(workdir, step, patients) / "scores.json").is_file()


def steps(workdir: Path, patients: str = "test") -> list[int]:
    """The steps evaluated on these patients, ascending."""
    found = (path.parent.name for path in Path(workdir).glob(f"{PLACES[patients]}/*/scores.json"))
    return sorted(int(name) for name in found if name.isdigit())


def newest(workdir: Path, patients: str = "test") -> int | None:
    """The last step evaluated on these patients; None if there is none."""
    return max(steps(workdir, patients), default=None)


def later(workdir: Path, step: int) -> list[Path]:
    """Folders of the evaluations of later steps than this one, complete or not."""
    found = (path for place in PLACES.values() for path in Path(workdir).glob(f"{place}/*"))
    return sorted(path for path in found if path.name.isdigit() and int(path.name) > step)
