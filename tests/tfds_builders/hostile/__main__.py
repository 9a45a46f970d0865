"""The table of refusals: python -m tests.tfds_builders.hostile"""

import tempfile
from pathlib import Path

from tests.tfds_builders.hostile.files import CASES
from tests.tfds_builders.hostile.trial import Trial

print(f"{'file':62s} {'error':18s} {'s':>5s} {'MiB':>5s}  sentence")
with Trial() as trial:
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            path = case.make(Path(folder))
            got = trial.read(case.reader, path, case.unprivileged)
        sentence = got["message"].replace(folder, "").split("\n  ")[-1]
        what = got["error"] or (f"signal {got['signal']}" if got["signal"] else "READ")
        print(f"{case.name:62s} {what:18s} {got['seconds']:5.2f} {got['mib']:5.0f}  {sentence[:140]}")
print(f"{len(CASES)} files")
