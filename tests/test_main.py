"""Commands as a user types them: help for each, one sentence and exit code 2 for what the user can mend."""

import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from learner_jax.config import Config
from learner_jax.fields import walk
from tests.command import FLAGS, ROOT

COMMANDS = (
    "learner_jax.main",
    "learner_jax.evaluate",
    "learner_jax.report",
    "learner_jax.status",
    "learner_jax.backbones",
    "learner_jax.objectives",
    "learner_jax.sweep",
    "learner_jax.sweep run",
    "tfds_builders.build",
    "tfds_builders.splits",
    "tfds_builders.resolve",
)


def run(*arguments: str, timeout: int = 120) -> subprocess.CompletedProcess:
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "1"}
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    done = run(*command.split(), "--help")
    assert done.returncode == 0, done.stderr
    assert f"python -m {command} " in done.stdout


def test_the_full_help_lists_every_field_of_the_config():
    done = run("learner_jax.main", "--helpfull")
    assert done.returncode == 0
    told = re.findall(r"(?m)^  --config\.([\w.]+): .+\n    \(.+; default: .+\)$", done.stdout)
    assert told == [path for path, *_ in walk(Config())]
    assert "\n  --workdir: Folder of this run alone" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "both --config FILE and --workdir FOLDER are needed"),
        (("--config", "configs/none.py", "--workdir", "x"), "error: there is no file configs/none.py; give --config"),
        (("--config", "README.md", "--workdir", "x"), "the config cannot be loaded"),
        (("--config", "configs/demo.py", "--workdir", "x", "--config.objectiv.name=mse"), "did you mean 'objective'?"),
        (("--config", "configs/demo.py", "--workdir", "x", "--config.steps=many"), "does not set a valid int; write"),
        (("--config", "configs/demo.py", "--wordkir", "x"), "Unknown command line flag 'wordkir'"),
        (("--config", "configs/demo.py", "--steps=5"), "flag 'steps'; fields of the config are set by --config."),
        (("--config", "configs/demo.py", "--workdir", "x", "extra"), "'extra' is not a flag"),
        (
            ("--config", "configs/demo.py", "--workdir", "x", "--config.data.dir=/nowhere"),
            "there is no folder /nowhere",
        ),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, sentence):
    done = run("learner_jax.main", *arguments)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not (ROOT / "x").exists()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [("config.steps = nothing", "name 'nothing' is not defined (NameError"), ("{}['x']", "'x' (KeyError")],
)
def test_a_mistake_in_a_config_is_told_with_its_line(tmp_path, line, sentence):
    (tmp_path / "mine.py").write_text(f"def get_config():\n    config = None\n    {line}\n")
    done = run("learner_jax.main", "--config", str(tmp_path / "mine.py"), "--workdir", str(tmp_path / "run"))
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert f" in {tmp_path}/mine.py, line 3)" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("--config.backbone.name=tsm_resnet", "no backbone is called 'tsm_resnet'; did you mean"),
        ("--config.objective.name=rnc", "no objective is called 'rnc'"),
        ("--config.data.score=mmse", "has no score 'mmse'; possible: sf_ratio, sf_ratio_true. Set --config.data.score"),
        ("--config.data.split=fold7", "fold7"),
        ("--config.data.frames=99", "--config.data.frames asks for 99"),
        ("--config.eval.change_threshold=-1", "config.eval.change_threshold is -1.0"),
    ],
)
def test_names_and_shapes_are_checked_against_the_dataset(make_config, tmp_path, override, sentence):
    from learner_jax.fields import override as set_field
    from learner_jax.train import train
    from tfds_builders.errors import InputError

    config = make_config()
    set_field(config, override)
    with pytest.raises(InputError) as fault:
        train(config, tmp_path / "run")
    assert sentence in str(fault.value)
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize(("name", "make"), [("checkpoints", Path.touch), ("config.json", Path.mkdir)])
def test_what_lies_in_the_place_of_a_runs_own_files_is_named(make_config, tmp_path, name, make):
    from learner_jax.train import train
    from tfds_builders.errors import sentence

    place = tmp_path / "run" / name
    place.parent.mkdir()
    make(place)
    with pytest.raises(OSError, match=name) as fault:
        train(make_config(), place.parent)
    assert f"{place} is in the way (" in sentence(fault.value)


def test_without_the_device_that_was_asked_for_it_says_so(tiny_dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "rocm")
    given = {"config": "configs/demo.py", "workdir": tmp_path / "run", "config.data.dir": tiny_dataset} | FLAGS
    done = run("learner_jax.main", *(f"--{name}={value}" for name, value in given.items()))
    assert "error: JAX_PLATFORMS is 'rocm', and JAX finds no such device" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 2


def test_jax_does_not_fall_back_on_the_cpu_unasked(monkeypatch):
    from learner_jax.mesh import make_mesh
    from tfds_builders.errors import InputError

    jax.devices()  # those of a CPU, as JAX has them for "cuda,cpu" too where there is no driver
    monkeypatch.setenv("JAX_PLATFORMS", "cuda,cpu")
    with pytest.raises(InputError, match="JAX_PLATFORMS is 'cuda,cpu', and JAX finds no such device"):
        make_mesh()


def test_whoever_reads_the_beginning_alone_sees_no_traceback():
    command = f"{sys.executable} -m learner_jax.objectives | head -1"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("adacon: ")
    assert not done.stderr
