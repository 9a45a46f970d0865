"""What a tracker is, which ones a config names, and what of a run they may know."""

import dataclasses
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from learner_jax.config import Config
from learner_jax.fields import walk
from learner_jax.registry import Registry
from tfds_builders.errors import InputError


class Tracker(Protocol):
    """Takes curves. Any method may raise or hang: training does not notice."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Finite values of a step by their names."""
        ...

    def close(self, finished: bool) -> None:
        """All is written, up to the last step of the run if ``finished``; have it where it belongs."""
        ...


@dataclasses.dataclass(frozen=True)
class Run:
    """What a tracker may know of a run.

    Attributes:
      workdir: for the tracker's own files on this machine; nothing of its path but the folder's name is sent.
      start: step that this process goes on from.
      about: :func:`about` of the config.
    """

    workdir: Path
    start: int
    about: dict[str, Any]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.workdir.resolve().name

    def stored_id(self, tracker: str) -> str | None:
        """What the processes before this one were called by a tracker."""
        path = self._id_file(tracker)
        return path.read_text().strip() if path.exists() else None

    def store_id(self, tracker: str, name: str) -> None:
        """For the processes after this one."""
        self._id_file(tracker).parent.mkdir(exist_ok=True)
        self._id_file(tracker).write_text(f"{name}\n")

    def _id_file(self, tracker: str) -> Path:
        return self.workdir / "trackers" / f"{tracker}.id"


@dataclasses.dataclass(frozen=True)
class Kind:
    """How a tracker is opened, and what must be installed for it."""

    open: Callable[[Run], Tracker]
    module: str
    install: str  # what to give to pip install


_trackers: Registry[Kind] = Registry("tracker", "config.trackers")


def register(name: str, module: str, install: str) -> Callable[[Callable[[Run], Tracker]], Callable[[Run], Tracker]]:
    """File what opens a tracker under its name."""

    def file(opens: Callable[[Run], Tracker]) -> Callable[[Run], Tracker]:
        _trackers.register(name)(Kind(opens, module, install))
        return opens

    return file


def list_trackers() -> list[str]:
    """Names for ``config.trackers``."""
    return _trackers.list()


def chosen(names: str) -> dict[str, Kind]:
    """The trackers of ``config.trackers``, names with commas between.

    Raises:
      InputError: an unknown name, or a library that is not installed, with the command that installs it.
    """
    kinds = {name: _trackers.get(name) for name in map(str.strip, names.split(",")) if name}
    for name, kind in kinds.items():
        found = importlib.util.find_spec(kind.module)
        if found is None or found.origin is None:  # a folder of that name in the current one is no library
            raise InputError(
                f"config.trackers names {name}, whose library {kind.module} is not installed. Install it by `pip "
                f"install {kind.install}`, or leave it out of --config.trackers=…"
            )
    return kinds


_FOLDERS = ("data.dir", "init_from")


def about(config: Config) -> dict[str, Any]:
    """The fields of a config by their dotted paths, without those that tell of the machine.

    Left out are ``data.dir``, ``init_from`` and any text with a slash or a backslash, which may be a path (weights from
    a file); patterns of parameters in ``optim.freeze`` are none. A config names no patients.
    """
    fields = {path: value for path, _, value in walk(config) if path not in _FOLDERS}
    return {path: value for path, value in fields.items() if path == "optim.freeze" or not _may_be_path(value)}


def _may_be_path(value: Any) -> bool:
    return isinstance(value, str) and ("/" in value or "\\" in value)
