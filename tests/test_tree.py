"""A run of the suite leaves nothing in the tree."""

from pathlib import Path

from hypothesis.configuration import storage_directory


def test_hypothesis_writes_elsewhere():
    assert not Path(storage_directory("constants").path).resolve().is_relative_to(Path(__file__).parents[1])
