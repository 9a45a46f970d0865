"""By which name a command was called: ``learner-build``, once installed, or ``python -m tfds_builders.build``."""

import sys
from pathlib import PurePath
from typing import Any


def program(module: str) -> str:
    """The console script that this process is, else ``python -m`` and the module."""
    called = PurePath(sys.argv[0]).stem
    return called if called.startswith("learner-") else f"python -m {module}"


def say_stopped() -> None:
    """Ctrl-C where no command catches it, as while it imports, which may take ten seconds: a word, and no traceback."""
    called = PurePath(sys.argv[0]).stem if sys.argv else ""
    if called == "-m" or called.startswith("learner-"):  # "-m" is what runpy calls a program until it is found
        sys.excepthook = _stopped


def _stopped(kind: type[BaseException], fault: BaseException, trace: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("\nstopped", file=sys.stderr)
    else:
        sys.__excepthook__(kind, fault, trace)


def worded(text: str, module: str) -> str:
    """A text for ``--help`` in which the command has the name that it was called by."""
    return text.replace(f"python -m {module}", program(module))


def import_from_here() -> None:
    """Let a config import modules of the working folder, which ``python -m`` does and a console script does not.

    Last, so that no file there takes the place of a library's.
    """
    if "" not in sys.path:
        sys.path.append("")
