"""The one exception for faults that the user can mend, and what a command does with it."""

import errno
import re
import sys
from collections.abc import Callable

_FULL = "No space left on device"  # as TensorStore passes it on, in an error of another kind


class InputError(Exception):
    """The user's input is at fault; the message says what came, what is possible and where to change it."""


def exit_code(run: Callable[[], object]) -> int:
    """Run a command: 0, or 2 after printing the sentence of an :class:`InputError` alone, without a traceback.

    A full disk is the user's to mend too.
    """
    try:
        run()
    except InputError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 2
    except Exception as fault:
        if not (isinstance(fault, OSError) and fault.errno == errno.ENOSPC) and _FULL not in str(fault):
            raise
        path = re.search(r"[\"'](/[^\"']+)", str(fault))
        where = f" for {path[1]}" if path else ""
        print(
            f"error: no space is left on the disk{where}. What was complete before is kept; make room and start the "
            "same command again",
            file=sys.stderr,
        )
        return 2
    return 0
