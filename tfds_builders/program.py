"""The name a command was called by: ``learner-build`` once installed, or ``python -m tfds_builders.build``."""

import sys
from pathlib import PurePath
from typing import Any


def program(module: str) -> str:
    """The name of the running console script, or else ``python -m MODULE``."""
    called = PurePath(sys.argv[0]).stem
    return called if called.startswith("learner-") else f"python -m {module}"


def say_stopped() -> None:
    """Print a word instead of a traceback for Ctrl-C that no command catches: imports alone may take ten seconds."""
    called = PurePath(sys.argv[0]).stem if sys.argv else ""
    if called == "-m" or called.startswith("learner-"):  # "-m" is argv[0] until runpy has found the program
        sys.excepthook = _stopped


def _stopped(kind: type[BaseException], fault: BaseException, trace: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("\nstopped", file=sys.stderr)
    else:
        sys.__excepthook__(kind, fault, trace)


def worded(text: str, module: str) -> str:
    """A text for ``--help`` in which the command has the name it was called by."""
    return text.replace(f"python -m {module}", program(module))


def import_from_here() -> None:
    """Let a config import modules from the working folder, as ``python -m`` does and a console script does not.

    The folder goes to the end of ``sys.path``, so that no file in it shadows a library.
    """
    if "" not in sys.path:
        sys.path.append("")
