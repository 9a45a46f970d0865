"""Two processes of a run of 6 steps, the second of which repeats two of them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from learner_jax.config import Config
from learner_jax.report import trackers

SECRET = "ward7-P0001"


@pytest.fixture
def twice(tmp_path):
    """``twice(name)``: steps 1 to 5, a kill, and steps 4 to 6, of which ``loss`` is a tenth, told to a tracker.

    ``between``, if given, is called after the kill with the workdir.
    """

    def live(name: str, between: Callable[[Path], None] = lambda workdir: None) -> Path:
        config = Config(trackers=name, steps=6)
        config.data.dir, config.backbone.weights = f"/{SECRET}/data", f"/{SECRET}/w.safetensors"
        said: list[str] = []
        for start, stop in ((0, 5), (3, 6)):
            with trackers.opened(config, tmp_path / "run", start, said.append) as (tracker,):
                for step in range(start + 1, stop + 1):
                    tracker.write(step, {"loss": step / 10})
            if stop < config.steps:
                between(tmp_path / "run")
        assert said == []
        return tmp_path / "run"

    (tmp_path / "run").mkdir()
    return live
