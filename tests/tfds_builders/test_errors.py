"""Which faults are told as a sentence, and which keep their traceback."""

import errno
import os
import subprocess
import sys

import pytest

from tests.command import ROOT
from tfds_builders.errors import InputError, exit_code, sentence


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (InputError("set it to 3"), "set it to 3"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/runs/a"), "no space is left on the disk for /runs/a. What"),
        (ValueError('RESOURCE_EXHAUSTED: local file "/runs/b/": No space left on device'), "disk for /runs/b/. What"),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), "/runs/a"), "your quota is used up on the disk for /runs/a."),
        (
            OSError(errno.EACCES, os.strerror(errno.EACCES), "/lab/a"),
            "/lab/a is closed to you (Permission denied); choose",
        ),
        (OSError(errno.EROFS, os.strerror(errno.EROFS), "/lab/a"), "/lab/a is closed to you (Read-only file system);"),
        (OSError(errno.EISDIR, os.strerror(errno.EISDIR), "/runs/a"), "/runs/a is in the way (Is a directory); move"),
        (OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), "/runs/a"), "/runs/a is in the way (Not a directory);"),
        (OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), "/runs/a.new", None, "/runs/a"), "/runs/a is in the way ("),
        (
            OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), "/a"),
            "/a is too long a name; choose a shorter one",
        ),
        (OSError(errno.ENOENT, os.strerror(errno.ENOENT), "/runs/a"), ""),
        (ValueError("no such thing"), ""),
    ],
)
def test_what_the_user_can_mend_is_a_sentence_and_nothing_else(fault, told, capsys):
    def run():
        raise fault

    assert told in sentence(fault)
    assert bool(sentence(fault)) == bool(told)
    if told:
        assert exit_code(run) == 2
        assert capsys.readouterr().err == f"error: {sentence(fault)}\n"
    else:
        with pytest.raises(type(fault)):
            exit_code(run)


def test_a_command_whose_output_was_closed_runs_all_the_same():
    command = "from tfds_builders.errors import exit_code; raise SystemExit(exit_code(lambda: print('done')))"
    run = f'{sys.executable} -c "{command}" {{}}'
    for closed in (">&-", "2>&-", ">&- 2>&-"):
        done = subprocess.run(run.format(closed), shell=True, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert not done.stderr
