"""Find the folders that are runs."""

import os
import pathlib
from collections.abc import Iterable, Sequence

from tfds_builders.errors import InputError

# Folders inside a run, which hold many files and no other run.
_OWN = {"checkpoints", "damaged", "eval", "validation", "tensorboard", "trackers", "profile"}


def all_runs(folder: str | os.PathLike) -> list[pathlib.Path]:
    """The run in ``folder``, or the runs one level below it, evaluated or not, sorted by name.

    Raises:
      InputError: there is no such folder.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; give a run, or a folder of runs.")
    if (folder / "config.json").is_file():
        return [folder]
    return each_once(path.parent for path in folder.glob("*/config.json"))


def each_once(runs: Iterable[pathlib.Path]) -> list[pathlib.Path]:
    """Sort by path and drop links, such as ``latest``, to a run that is there itself: which would count as a seed."""
    found: dict[str, pathlib.Path] = {}
    for run in sorted(runs, key=lambda run: (os.path.realpath(run) != os.path.abspath(run), run)):
        found.setdefault(os.path.realpath(run), run)
    return sorted(found.values())


def runs_below(folders: Sequence[str | os.PathLike]) -> list[pathlib.Path]:
    """The runs in these folders and at any depth below, including below a run; each once, sorted by path.

    Raises:
      InputError: one of the folders is not there, or none holds a run.
    """
    found = set()
    for folder in folders:
        if not pathlib.Path(folder).is_dir():
            raise InputError(f"there is no folder {folder}; give runs, or folders of runs.")
        walked = set()
        for place, below, files in os.walk(folder, followlinks=True):
            if "config.json" in files:
                found.add(pathlib.Path(place))
                below[:] = [name for name in below if name not in _OWN]
            if os.path.realpath(place) in walked:  # links may go round in a circle
                below.clear()
            walked.add(os.path.realpath(place))
    if not found:
        raise InputError(
            f"{', '.join(map(str, folders))} holds no run: no folder there or below has a config.json. "
            "Make one with `python -m learner_jax.main --config … --workdir …`."
        )
    return each_once(found)
