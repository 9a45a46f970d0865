"""Files that are either whole or as they were."""

import pytest

from tfds_builders.whole import replacing, write_whole


def run_out_of_space(path):
    with replacing(path) as beside:
        beside.write_text("half of")
        raise OSError("full")


def test_a_file_is_replaced_when_it_is_whole_and_an_error_leaves_the_old_one_alone(tmp_path):
    path = tmp_path / "scores.json"
    write_whole(path, "old")
    with replacing(path) as beside:
        beside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    with pytest.raises(OSError, match="full"):
        run_out_of_space(path)
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
