"""By which name a command was called: ``learner-build``, once installed, or ``python -m tfds_builders.build``."""

import sys
from pathlib import PurePath


def program(module: str) -> str:
    """The console script that this process is, else ``python -m`` and the module."""
    called = PurePath(sys.argv[0]).stem
    return called if called.startswith("learner-") else f"python -m {module}"


def worded(text: str, module: str) -> str:
    """A text for ``--help`` in which the command has the name that it was called by."""
    return text.replace(f"python -m {module}", program(module))


def import_from_here() -> None:
    """Let a config import modules of the working folder, which ``python -m`` does and a console script does not.

    Last, so that no file there takes the place of a library's.
    """
    if "" not in sys.path:
        sys.path.append("")
