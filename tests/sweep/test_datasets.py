"""Datasets of a sweep: built once by the commands given, refused when these have changed, a failure is a sentence."""

import sys

import pytest

from learner_jax.sweep import datasets
from learner_jax.sweep.plan import Sweep
from tfds_builders.errors import InputError

NOTE = "import sys; print('building', file=open(sys.argv[1], 'a'))"


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """One dataset, made by a module that notes in a file that it was called."""
    (tmp_path / "note_it.py").write_text(NOTE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Sweep([], {"a/b": ["note_it {dir}.txt"]})


def test_it_is_built_once(sweep, tmp_path):
    for _ in range(2):
        datasets.build(sweep, "a/b", tmp_path / "data")
    assert (tmp_path / "data/a/b.txt").read_text() == "building\n"


def test_other_commands_than_those_that_built_it_are_refused(sweep, tmp_path):
    datasets.build(sweep, "a/b", tmp_path / "data")
    with pytest.raises(InputError, match="was built by other commands than the sweep file gives now"):
        datasets.build(Sweep([], {"a/b": ["note_it {dir}.csv"]}), "a/b", tmp_path / "data")


def test_a_command_that_fails_is_a_sentence_and_is_tried_again(sweep, tmp_path):
    (tmp_path / "note_it.py").write_text("raise SystemExit('error: no such folder')")
    for _ in range(2):
        with pytest.raises(
            InputError, match=r"the dataset 'a/b' cannot be built: -m note_it .*: error: no such folder"
        ):
            datasets.build(sweep, "a/b", tmp_path / "data")


def test_places_with_spaces_are_quoted_and_the_real_scans_named(tmp_path, monkeypatch):
    monkeypatch.setenv(datasets.REAL, str(tmp_path))
    (command,) = datasets.commands(Sweep([], {"x": ["m {real}/in {dir}"]}), "x", tmp_path / "my data")
    assert command == [sys.executable, "-m", "m", f"{tmp_path}/in", f"{tmp_path}/my data/x"]
    monkeypatch.delenv(datasets.REAL)
    assert datasets.real() is None
