"""The one exception for faults that the user can fix, and what a command does with it."""

import errno
import os
import re
import sys
from collections.abc import Callable

_FULL = {errno.ENOSPC: "no space is left on the disk", errno.EDQUOT: "your quota is used up on the disk"}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_IN_THE_WAY = {errno.EISDIR, errno.ENOTDIR, errno.EEXIST}


class InputError(Exception):
    """The user's input is at fault; the message says what was given, what is possible and where to change it."""


def sentence(fault: Exception) -> str:
    """A sentence for a fault that the user can fix: an :class:`InputError`, a full disk or quota, denied access,
    a file in the place of a folder or the reverse.

    Empty for any other fault.
    """
    if isinstance(fault, InputError):
        return str(fault)
    if isinstance(fault, OSError) and fault.filename and fault.errno in _CLOSED:
        return f"{fault.filename} is closed to you ({fault.strerror}); choose another place, or have it opened"
    if isinstance(fault, OSError) and fault.filename and fault.errno == errno.ENAMETOOLONG:
        return f"{fault.filename} is too long a name; choose a shorter one"
    if isinstance(fault, OSError) and fault.filename and fault.errno in _IN_THE_WAY:
        return f"{fault.filename2 or fault.filename} is in the way ({fault.strerror}); move it, or choose another place"
    # TensorStore wraps the system's message in an error of another type.
    number = fault.errno if isinstance(fault, OSError) else None
    full = [told for code, told in _FULL.items() if code == number or os.strerror(code) in str(fault)]
    if not full:
        return ""
    path = re.search(r"[\"'](/[^\"']+)", str(fault))
    where = f" for {path[1]}" if path else ""
    return f"{full[0]}{where}. What was complete before is kept; make room and start the same command again"


def exit_code(run: Callable[[], object], stopped: str = "") -> int:
    """Run a command and return its exit code.

    Args:
      run: the command.
      stopped: what to say after Ctrl-C; where it is empty, KeyboardInterrupt is passed on.

    Returns:
      0: done. 2: a fault that the user can fix, after printing its :func:`sentence` without a traceback. 130: Ctrl-C.
      141: nobody reads the output any more, as in ``… | head``.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # as Python leaves it where the stream was closed before, as by ``… >&-``
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    try:
        run()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit would fail again
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
