"""What all tests share: 8 virtual devices, a compilation cache, absl flags, and where the real scans are."""

import os
from pathlib import Path

import pytest
from absl import flags

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")
# Between two runs of the suite most of its time would go into compiling the same programs again.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")

flags.FLAGS.mark_as_parsed()  # grain reads an absl flag, and pytest parses none


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real scans; the test is skipped where there is none."""
    folder = Path(os.environ.get("LEARNER_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "MANIFEST.csv").is_file():
        pytest.skip(f"no real scans in {folder}; LEARNER_REAL_DATA names their folder")
    return folder
