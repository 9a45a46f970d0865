"""What all tests share: 8 virtual devices, a compilation cache, absl flags, Hypothesis, where the real scans are."""

import gc
import os
import shutil
import tempfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from absl import flags
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")
# Between two runs of the suite most of its time would go into compiling the same programs again.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# Compilers take seconds to optimise what then runs for some milliseconds: the step of the tiny TSM-ResNet-18 on 8
# devices compiles in 21.6 s, without LLVM's optimisation in 6.2, without XLA's newer emitters of fused loops, which jax
# 0.12 always uses, in 2.9 (2 cores, November 2026). What is fused and which library is called stays as users have it.
# One LLVM module for a program, not 32 side by side, is a tenth less work for the tests of objectives.
hasty = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
hasty += " --xla_cpu_parallel_codegen_split_count=1"
if metadata.version("jaxlib").startswith("0.10."):
    hasty += " --xla_cpu_use_fusion_emitters=false"
os.environ.setdefault("XLA_FLAGS", hasty)
# Traces are millions of small objects that stay, among which Python looks for cycles at each 700 new ones. Less often,
# tests/objectives/test_all.py takes 90 s of CPU time instead of 110, backbones/test_zoo.py 91 instead of 104.
gc.set_threshold(1_000_000)

# No deadline: a first example compiles, and machines are noisy. Derandomized: a run depends on the code alone.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")
# Hypothesis keeps the constants of the code it tests; a run of the suite leaves nothing in the tree.
set_hypothesis_home_dir(Path(tempfile.gettempdir()) / f"hypothesis-{os.getuid()}")

flags.FLAGS.mark_as_parsed()  # grain reads an absl flag, and pytest parses none


def pytest_sessionstart() -> None:
    """Two workers share the cache: what one has written in part, the other would read."""
    from learner_jax.compilation_cache import keep_compiled

    keep_compiled()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real scans; the test is skipped where there is none."""
    folder = Path(os.environ.get("LEARNER_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "MANIFEST.csv").is_file():
        pytest.skip(f"no real scans in {folder}; LEARNER_REAL_DATA names their folder")
    return folder


@pytest.fixture
def identity_key(tmp_path_factory, monkeypatch) -> Path:
    """The key that every build of the test uses: always the same one, so that splits are, and nobody's own."""
    path = tmp_path_factory.mktemp("keys") / "identity.key"
    path.write_text("0123456789abcdef" * 4 + "\n")
    monkeypatch.setenv("LEARNER_KEY_FILE", str(path))
    return path


@pytest.fixture(scope="session")
def make_batch():
    """``make_batch(n, seed, shape, **fields)``: a Batch of noise with tied scores and two scans of most patients."""
    from learner_jax.batch import Batch

    def make(n=16, seed=0, shape=(1, 1, 1, 1), **fields):
        rng = np.random.default_rng(seed)
        values = {
            "scan": rng.integers(0, 256, (n, *shape), dtype=np.uint8),
            "scale": np.full(n, 1 / 255, np.float32),
            "offset": np.zeros(n, np.float32),
            "score": rng.choice([-2.0, -0.5, 0.3, 1.7, 2.5], n).astype(np.float32),
            "patient": rng.integers(0, n // 2, n).astype(np.int32),
            "visit": np.zeros(n, np.int32),
            "view": np.zeros(n, np.int32),
            "site": np.zeros(n, np.int32),
            "row": np.arange(n, dtype=np.int32),
            "time_days": np.zeros(n, np.float32),
            "mask": np.ones(n, bool),
        }
        return Batch(**(values | fields))

    return make


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory) -> Path:
    """A built synthetic cohort: 24 patients, 3 visits, 1 view, clips of 4 frames of 32x32."""
    from tfds_builders import build

    folder = tmp_path_factory.mktemp("tiny") / "dataset"
    knobs = {"n_patients": 24, "visits": 3, "views": 1, "frames": 4, "size": 32}
    flags = [text for name, value in knobs.items() for text in (f"--{name}", str(value))]
    assert build.main(["synthetic_lus", "--data_dir", str(folder), "--processes", "1", *flags]) == 0
    return folder


@pytest.fixture(scope="session")
def make_config(tiny_dataset):
    """``make_config()``: a new config that trains 4 steps on ``tiny_dataset`` in seconds."""
    from configs.demo import get_config

    def make():
        config = get_config()
        config.steps, config.batch_size, config.log_every = 4, 16, 1
        config.data.dir, config.data.frames, config.data.size = str(tiny_dataset), 4, 32
        config.backbone.name, config.objective.projection = "tsm_resnet18-test", 8
        config.checkpoint.every, config.eval.batch_size, config.eval.bootstrap = 2, 16, 100
        config.eval.readouts, config.eval.label_noise = "none", 0.0  # else scoring takes longer than training
        return config

    return make


@pytest.fixture(scope="session")
def dataset(tiny_dataset, tmp_path_factory) -> Path:
    """The tiny cohort with a split of 9, 10 and 5 patients."""
    from tfds_builders.splits.command import main as make_split

    folder = Path(shutil.copytree(tiny_dataset, tmp_path_factory.mktemp("predict") / "dataset"))
    assert make_split([str(folder), "--name", "held", "--fractions", "9", "10", "5"]) == 0
    return folder


@pytest.fixture(scope="session")
def trained(dataset, make_config, tmp_path_factory) -> Path:
    """The workdir of a run on :func:`dataset`, evaluated at step 4."""
    from learner_jax.train import train

    config = make_config()
    config.data.dir, config.data.split, config.trackers = str(dataset), "held", ""
    config.optim.average = 0.5  # so that what is scored is not what is trained
    workdir = tmp_path_factory.mktemp("predict") / "run"
    train(config, workdir)
    return workdir
