"""The one exception for faults that the user can mend, and what a command does with it."""

import sys
from collections.abc import Callable


class InputError(Exception):
    """The user's input is at fault; the message says what came, what is possible and where to change it."""


def exit_code(run: Callable[[], object]) -> int:
    """Run a command: 0, or 2 after printing the sentence of an :class:`InputError` alone, without a traceback."""
    try:
        run()
    except InputError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 2
    return 0
