"""One process that reads files for another: each in a fork, so that memory, time and a crash are its own.

trial = Trial()
trial.read("clip", path)  # -> {"error": "TooLarge", "message": …, "seconds": 0.1, "mib": 3.2, "signal": 0}
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

SECONDS = 20  # after which a read is killed; what is asked for is less
_NOBODY = 65534


class Trial:
    """Keeps the process; a context manager."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def read(self, reader: str, path: Path, unprivileged: bool = False) -> dict:
        """What came of reading a file."""
        print(json.dumps([reader, str(path), unprivileged]), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def __enter__(self) -> "Trial":
        return self

    def __exit__(self, *_) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def _read(reader: str, path: str) -> str:
    if reader == "cohort":
        return f"{cohort_csv.read(path, ('severity',)).height} rows"
    builder = {"clip": UltrasoundClips, "volume": BrainVolumes}[reader]
    builder.probe({"path": path}, builder.OPTIONS())
    return str(builder.read({"path": path}, builder.OPTIONS()).scan.shape)


def _mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _child(reader: str, path: str, unprivileged: bool, out: int) -> None:
    if unprivileged and os.getuid() == 0:
        os.setuid(_NOBODY)
    # What a fork has touched of its parent's memory counts from the start: the peak is of the read alone.
    before, start = _mib(), time.monotonic()
    try:
        error, message = "", _read(reader, path)
    except Exception as caught:
        error, message = type(caught).__name__, str(caught)
    told = {"error": error, "message": message[:500], "seconds": time.monotonic() - start, "mib": _mib() - before}
    os.write(out, json.dumps(told).encode())
    os._exit(0)


def _try(reader: str, path: str, unprivileged: bool) -> dict:
    back, out = os.pipe()
    child = os.fork()
    if not child:
        os.close(back)
        signal.alarm(SECONDS)
        _child(reader, path, unprivileged, out)
    os.close(out)
    with open(back, "rb") as file:
        told = file.read()
    _, status = os.waitpid(child, 0)
    if not told:
        return {"error": "", "message": "", "seconds": SECONDS, "mib": 0, "signal": os.WTERMSIG(status)}
    return json.loads(told) | {"signal": 0}


if __name__ == "__main__":
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders grumble there by themselves
    from tfds_builders import cohort_csv
    from tfds_builders.brain_volumes.brain_volumes_dataset_builder import Builder as BrainVolumes
    from tfds_builders.ultrasound_clips.ultrasound_clips_dataset_builder import Builder as UltrasoundClips

    for line in sys.stdin:
        print(json.dumps(_try(*json.loads(line))), flush=True)
