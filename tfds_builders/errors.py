"""The one exception for faults that the user can mend, and what a command does with it."""

import errno
import os
import re
import sys
from collections.abc import Callable

_FULL = "No space left on device"  # as TensorStore passes it on, in an error of another kind


class InputError(Exception):
    """The user's input is at fault; the message says what came, what is possible and where to change it."""


def sentence(fault: Exception) -> str:
    """What the user can mend: the message of an :class:`InputError`, or that the disk is full; empty: nothing."""
    if isinstance(fault, InputError):
        return str(fault)
    if not (isinstance(fault, OSError) and fault.errno == errno.ENOSPC) and _FULL not in str(fault):
        return ""
    path = re.search(r"[\"'](/[^\"']+)", str(fault))
    where = f" for {path[1]}" if path else ""
    return (
        f"no space is left on the disk{where}. What was complete before is kept; make room and start the same command "
        "again"
    )


def exit_code(run: Callable[[], object], stopped: str = "") -> int:
    """Run a command: 0, or 2 after printing the :func:`sentence` of a fault that has one, without a traceback.

    With ``stopped``, a sentence for whoever presses Ctrl-C, also 130 after printing that. 141 where nobody reads on, as
    in ``… | head``.
    """
    try:
        run()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left would fail again at the end
        return 141
    except KeyboardInterrupt:
        if not stopped:
            raise
        print(f"\nstopped; {stopped}", file=sys.stderr)
        return 130
    except Exception as fault:
        if not (told := sentence(fault)):
            raise
        print(f"error: {told}", file=sys.stderr)
        return 2
    return 0
