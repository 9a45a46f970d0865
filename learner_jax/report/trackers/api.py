"""What a tracker is, which trackers a config names, and what they may know about a run."""

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
    """Receives curves. Any method may raise or hang without affecting training."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Take the finite values of a step, by name."""
        ...

    def close(self, finished: bool) -> None:
        """Store what was written; ``finished`` says whether that includes the last step of the run."""
        ...


@dataclasses.dataclass(frozen=True)
class Run:
    """What a tracker may know about a run.

    Attributes:
      workdir: for the tracker's own files on this machine; of its path, only the folder's name is sent.
      start: step from which this process continues.
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
        """The id that a tracker gave to this run in earlier processes; None if there is none."""
        path = self._id_file(tracker)
        return path.read_text().strip() if path.exists() else None

    def store_id(self, tracker: str, name: str) -> None:
        """Store the id that a tracker gave to this run, for later processes."""
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
    """Decorator that registers what opens a tracker under its name."""

    def file(opens: Callable[[Run], Tracker]) -> Callable[[Run], Tracker]:
        _trackers.register(name)(Kind(opens, module, install))
        return opens

    return file


def list_trackers() -> list[str]:
    """Names for ``config.trackers``."""
    return _trackers.list()


def chosen(names: str) -> dict[str, Kind]:
    """The trackers in ``config.trackers``, a list of names separated by commas.

    Raises:
      InputError: a name is unknown, or a library is not installed; the message gives the command that installs it.
    """
    kinds = {name: _trackers.get(name) for name in map(str.strip, names.split(",")) if name}
    for name, kind in kinds.items():
        found = importlib.util.find_spec(kind.module)
        if found is None or found.origin is None:  # a folder of that name in the current folder is not the library
            raise InputError(
                f"config.trackers names {name}, whose library {kind.module} is not installed. Install it with `pip "
                f"install {kind.install}`, or leave it out of --config.trackers=…"
            )
    return kinds


_FOLDERS = ("data.dir", "init_from")


def about(config: Config) -> dict[str, Any]:
    """The fields of a config by dotted path, without those that may reveal paths of the machine.

    Left out are ``data.dir``, ``init_from`` and any text with a slash or a backslash, which may be a path (such as that
    of a weight file), except ``optim.freeze``, whose slashes are part of patterns. A config names no patients.
    """
    fields = {path: value for path, _, value in walk(config) if path not in _FOLDERS}
    return {path: value for path, value in fields.items() if path == "optim.freeze" or not _may_be_path(value)}


def _may_be_path(value: Any) -> bool:
    return isinstance(value, str) and ("/" in value or "\\" in value)
