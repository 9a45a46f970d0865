"""Programs of a cluster, and a trainer, as far as a launch script sees them: they note what they were told and end with
codes given beforehand."""

import os
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Lives for SECONDS (0 where none is given), ends with the next of CODES, and answers SIGTERM with 143.
_PROGRAM = """#!/usr/bin/env bash
name=$(basename "$0")
echo "$name $*" >> "$NOTES"
if [[ $name != "$LIVES" ]]; then exit "${CODE:-0}"; fi
trap 'echo "$name got SIGTERM" >> "$NOTES"; kill $!; sleep 0.3; exit 143' TERM
life=$(grep -c "^$name [^g]" "$NOTES")
echo $$ > "$NOTES.pid"
sleep "${SECONDS_OF_LIFE:-0}" & wait $!
exit "$(cut -d, -f"$life" <<< "$CODES")"
"""


class Script:
    """A launch script that has been started among stand-ins.

    Args:
      path: of the script, from the root of the repository.
      folder: for the stand-ins and their notes.
      lives: which stand-in stands for the trainer.
      codes: that it ends with, life after life.
      more: stand-ins that only note that they were called.
      environment: variables of the script.
    """

    def __init__(self, path: str, folder: Path, lives: str, codes: tuple[int, ...], more=(), **environment: object):
        self.notes = folder / "notes"
        for name in (lives, *more):
            (folder / name).write_text(_PROGRAM)
            (folder / name).chmod(0o755)
        known = {"NOTES": self.notes, "LIVES": lives, "CODES": ",".join(map(str, codes)), "PAUSE": 0}
        search = f"{folder}{os.pathsep}{os.environ['PATH']}"
        given = {name: str(value) for name, value in (known | environment).items()}
        self.process = subprocess.Popen(
            ["bash", path, "--config", "a config.py"],
            **{"cwd": ROOT, "env": os.environ | {"PATH": search} | given, "text": True, "stderr": subprocess.PIPE},
        )

    def until_it_lives(self) -> int:
        """Wait for the trainer's stand-in; its process id."""
        deadline = time.monotonic() + 30
        while not (text := self._pid()):
            assert time.monotonic() < deadline, "nothing was started"
            time.sleep(0.02)
        return int(text)

    def _pid(self) -> str:
        path = Path(f"{self.notes}.pid")
        return path.read_text().strip() if path.exists() else ""

    def tell(self, what: signal.Signals) -> None:
        """Send the script a signal."""
        self.process.send_signal(what)

    def end(self) -> tuple[int, list[str], str]:
        """Its code, what the stand-ins noted, and what it said."""
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, self.notes.read_text().splitlines(), said
