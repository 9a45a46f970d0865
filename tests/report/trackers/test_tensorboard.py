"""Event files, read by our own reader of the format, and by TensorBoard where it is installed."""

import pytest

from tests.report.trackers.conftest import SECRET
from tests.report.trackers.events import records, scalars


@pytest.fixture
def files(twice):
    return sorted((twice("tensorboard") / "tensorboard").iterdir())


def test_each_process_leaves_its_steps_behind_the_mark_that_hides_older_ones(files):
    assert len(files) == 2
    for path, start, steps in zip(files, (1, 4), ((1, 2, 3, 4, 5), (4, 5, 6)), strict=True):
        mark, *told = scalars(path)
        assert mark[:2] == (start, "session start")
        assert told == [(step, "loss", pytest.approx(step / 10)) for step in steps]


def test_the_config_is_there_without_paths(files):
    everything = b"".join(record for path in files for record in records(path))
    assert b"learning_rate" in everything
    assert SECRET.encode() not in everything


@pytest.mark.filterwarnings("ignore")  # TensorBoard's own
def test_tensorboard_shows_repeated_steps_once(files):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    shown = reader.EventAccumulator(str(files[0].parent)).Reload().Scalars("loss")
    assert [point.step for point in shown] == [1, 2, 3, 4, 5, 6]
