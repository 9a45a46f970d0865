import importlib.metadata
import json
import subprocess
from types import SimpleNamespace

import pytest

from learner_jax.report import environment
from tfds_builders.errors import InputError

CPU = [SimpleNamespace(device_kind="cpu")] * 2


def test_a_process_adds_what_differs_and_nothing_else(tmp_path):
    environment.note(tmp_path, CPU)
    environment.note(tmp_path, CPU)
    (one,) = environment.read(tmp_path)
    assert one["jax"] == importlib.metadata.version("jax")
    assert (one["devices"], one["device_kind"], one["processes"]) == (2, "cpu", 1)
    environment.note(tmp_path, CPU, processes=2)
    assert [one["processes"] for one in environment.read(tmp_path)] == [1, 2]
    assert [path.name for path in tmp_path.iterdir()] == [environment.FILE]


def test_no_name_of_a_person_a_machine_or_a_folder_is_in_it(tmp_path):
    import getpass
    import platform

    environment.note(tmp_path, CPU)
    text = (tmp_path / environment.FILE).read_text()
    assert platform.node() not in text
    assert f'"{getpass.getuser()}"' not in text
    assert "/" not in text


def test_the_commit_is_that_of_the_checkout_and_says_when_it_differs(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "_ROOT", tmp_path)
    assert environment.commit() == "", "an installed package lies in no checkout"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.example"]
    (tmp_path / "file").write_text("one")
    for command in (["init", "-q"], ["add", "file"], ["commit", "-qm", "One"], ["tag", "v1"]):
        subprocess.run([*git, *command], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
    assert environment.commit() == head[:12]
    (tmp_path / "file").write_text("two")
    assert environment.commit() == f"{head[:12]}-dirty"


@pytest.mark.parametrize("text", ["{", "[3]", "7"])
def test_a_damaged_file_is_a_sentence(text, tmp_path):
    (tmp_path / environment.FILE).write_text(text)
    with pytest.raises(InputError, match=r"environment.json cannot be read .* it only records versions: remove it"):
        environment.read(tmp_path)


def test_a_run_without_one_has_none(tmp_path):
    assert environment.read(tmp_path) == []
    assert json.dumps(environment.current())
