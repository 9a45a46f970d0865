import pytest

from learner_jax.evaluate import find
from learner_jax.report.folders import all_runs, runs_below
from tfds_builders.errors import InputError


@pytest.fixture
def tree(tmp_path):
    for run in ("a", "sweep/b", "sweep/deep/c", "a/checkpoints/1/inner"):
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "config.json").touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_runs_at_any_depth_each_once_also_below_a_run_and_none_in_what_is_its_own(tree):
    assert runs_below([tree]) == [tree / "a", tree / "sweep/b", tree / "sweep/deep/c"]
    (tree / "config.json").touch()
    assert runs_below([tree]) == [tree, tree / "a", tree / "sweep/b", tree / "sweep/deep/c"]
    (tree / "config.json").unlink()
    assert runs_below([tree / "sweep", tree / "a", tree / "sweep/b"]) == [
        tree / "a",
        tree / "sweep/b",
        tree / "sweep/deep/c",
    ]


def test_a_link_to_a_run_is_no_other_run(tree):
    (tree / "Latest").symlink_to(tree / "a")
    (tree / "elsewhere").symlink_to(tree / "sweep/b")
    assert all_runs(tree) == find(tree) == [tree / "a", tree / "elsewhere"]
    assert runs_below([tree]) == [tree / "a", tree / "sweep/b", tree / "sweep/deep/c"]


def test_runs_of_a_report_lie_one_level_below(tree):
    assert all_runs(tree) == [tree / "a"]
    assert all_runs(tree / "sweep/b") == [tree / "sweep/b"]


def test_where_there_is_no_run_a_sentence_says_so(tree):
    with pytest.raises(InputError, match=r"empty holds no run: .* Make one with `python -m learner_jax.main"):
        runs_below([tree / "empty"])
    for refused in (all_runs, lambda folder: runs_below([tree, folder])):
        with pytest.raises(InputError, match=r"there is no folder .*missing"):
            refused(tree / "missing")
