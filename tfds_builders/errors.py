"""The one exception for faults that the user can mend, and what a command does with it."""

import errno
import os
import re
import sys
from collections.abc import Callable

_FULL = {errno.ENOSPC: "no space is left on the disk", errno.EDQUOT: "your quota is used up on the disk"}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}


class InputError(Exception):
    """The user's input is at fault; the message says what came, what is possible and where to change it."""


def sentence(fault: Exception) -> str:
    """What the user can mend: an :class:`InputError`, a full disk or quota, a place that is closed; empty: nothing."""
    if isinstance(fault, InputError):
        return str(fault)
    if isinstance(fault, OSError) and fault.filename and fault.errno in _CLOSED:
        return f"{fault.filename} is closed to you ({fault.strerror}); choose another place, or have it opened"
    # TensorStore passes the system's words on, in an error of another kind.
    number = fault.errno if isinstance(fault, OSError) else None
    full = [told for code, told in _FULL.items() if code == number or os.strerror(code) in str(fault)]
    if not full:
        return ""
    path = re.search(r"[\"'](/[^\"']+)", str(fault))
    where = f" for {path[1]}" if path else ""
    return f"{full[0]}{where}. What was complete before is kept; make room and start the same command again"


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
