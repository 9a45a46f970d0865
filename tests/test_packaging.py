"""What an installed package has: its commands under their names, its data; the image, how to cite."""

import argparse
import fnmatch
import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from tfds_builders.program import program, worded

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SCRIPTS = PROJECT["project"]["scripts"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def script(name: str) -> metadata.EntryPoint:
    return metadata.EntryPoint(name, SCRIPTS[name], "console_scripts")


def as_script(name: str, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    """The command as a file of that name in a folder of programs would start it; the working folder is not its own."""
    module, function = SCRIPTS[name].split(":")
    start = (
        f"import sys; sys.path[:] = [{str(ROOT)!r}, *sys.path[1:]]; sys.argv[0] = '/programs/{name}'; "
        f"from {module} import {function}; sys.exit({function}())"
    )
    return subprocess.run(
        [sys.executable, "-c", start, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60
    )


def test_the_commands():
    assert set(SCRIPTS) == {
        f"learner-{name}" for name in ("build", "eval", "predict", "report", "status", "sweep", "train")
    }


@pytest.fixture(scope="module")
def evaluator() -> dict:
    """What needs JAX, of one process that imports it: here it would be checked by beartype, which takes longer."""
    done = subprocess.run([sys.executable, "-c", EVALUATOR], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


EVALUATOR = """
import json, sys
from learner_jax import completion, evaluate

told = {"help": {}, "flags": {}}
assert evaluate.main
for called in ("/programs/learner-eval", "/source/__main__.py"):
    sys.argv[0] = called
    told["help"][called] = evaluate.parser().format_help()
for parser in completion.parsers():
    told["flags"][parser.prog] = sorted(parser._option_string_actions)
told["bash"] = completion.scripts("bash")
print(json.dumps(told))
"""


def test_help_of_the_evaluator_has_the_name_that_it_was_called_by(evaluator):
    assert SCRIPTS["learner-eval"] == "learner_jax.evaluate:main"
    installed, module = evaluator["help"].values()
    assert "learner-eval --workdir runs/demo" in installed
    assert "python -m" not in installed
    assert "python -m learner_jax.evaluate --workdir runs/demo" in module


@pytest.mark.parametrize("name", sorted(set(SCRIPTS) - {"learner-eval"}))
def test_help_has_the_name_that_the_command_was_called_by(name, monkeypatch, capsys):
    run = script(name).load()
    module = SCRIPTS[name].split(":")[0].removesuffix(".__main__")
    for called, known_as in ((f"/programs/{name}", name), ("/source/__main__.py", f"python -m {module}")):
        monkeypatch.setattr(sys, "argv", [called, "--help"])
        with pytest.raises(SystemExit) as end:
            run()
        assert end.value.code == 0
        told = capsys.readouterr().out
        assert f"{known_as} " in told
        assert ("python -m" in told) == (known_as != name)


def test_examples_of_a_dataset_have_the_name_too(monkeypatch):
    from tfds_builders import build

    for called, known_as in (("learner-build", "learner-build"), ("learner-build.exe", "learner-build")):
        monkeypatch.setattr(sys, "argv", [called])
        (commands,) = (a for a in build.parser()._actions if isinstance(a, argparse._SubParsersAction))
        for name, command in commands.choices.items():
            assert command.prog == f"{known_as} {name}"
            assert command.epilog.startswith(f"example:\n  {known_as} {name} ")


@pytest.mark.parametrize("called", ["", "-c", "-m", "pytest", "/usr/lib/learner/__main__.py"])
def test_otherwise_it_is_python_and_the_module(called, monkeypatch):
    monkeypatch.setattr(sys, "argv", [called])
    assert program("a.b") == "python -m a.b"
    assert worded("try python -m a.b x", "a.b") == "try python -m a.b x"


def test_a_config_of_a_user_in_her_own_folder(tmp_path):
    (tmp_path / "shared.py").write_text("steps = 7")
    lines = (
        "import shared",
        "from learner_jax.config import Config",
        "get_config = lambda: Config(steps=shared.steps)",
    )
    (tmp_path / "mine.py").write_text("\n".join(lines))
    done = as_script("learner-train", "--config", "mine.py", cwd=tmp_path)  # it is loaded before the next is missed
    assert done.returncode == 2, done.stderr
    assert "both --config FILE and --workdir FOLDER are needed" in done.stderr
    (tmp_path / "shared.py").unlink()
    done = as_script("learner-train", "--config", "mine.py", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: the config cannot be loaded: No module named 'shared'")


def test_a_file_of_the_working_folder_takes_the_place_of_no_library(tmp_path):
    (tmp_path / "absl.py").write_text("raise SystemExit('taken')")
    (tmp_path / "rich.py").write_text("raise SystemExit('taken')")
    for name in ("learner-train", "learner-sweep", "learner-status"):
        done = as_script(name, "--help", cwd=tmp_path)
        assert done.returncode == 0, done.stderr


def test_a_command_that_reads_no_scan_starts_without_jax():
    modules = [SCRIPTS[f"learner-{name}"].split(":")[0] for name in ("train", "status", "sweep", "report")]
    code = f"import sys, {', '.join(modules)}; sys.exit('jax' in sys.modules or 'tensorflow_datasets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0


def test_files_that_are_no_python_are_in_the_package_data():
    listed = PROJECT["tool"]["setuptools"]["package-data"]
    for top in ("learner_jax", "tfds_builders"):
        for path in (ROOT / top).rglob("*"):
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                package = ".".join(path.parent.relative_to(ROOT).parts)
                assert any(fnmatch.fnmatch(path.name, pattern) for pattern in listed.get(package, ())), path


def test_every_folder_with_python_is_a_package():
    for top in ("learner_jax", "tfds_builders"):
        for folder in {path.parent for path in (ROOT / top).rglob("*.py")}:
            assert (folder / "__init__.py").is_file(), f"{folder} would not be in the wheel"


def test_the_trainer_completes_every_field_of_the_config(evaluator):
    from learner_jax.config import Config
    from learner_jax.fields import walk

    assert set(evaluator["flags"]) == set(SCRIPTS)
    flags = set(evaluator["flags"]["learner-train"])
    assert flags >= {"--config", "--workdir", "--dry_run", "--allow_changed"}
    assert flags >= {f"--config.{path}" for path, *_ in walk(Config())}


def test_without_its_library_completion_says_what_to_install(monkeypatch, capsys):
    from learner_jax import completion

    monkeypatch.setitem(sys.modules, "shtab", None)
    assert completion.main(["bash"]) == 2
    assert "pip install shtab" in capsys.readouterr().err


TAB = """
eval "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
"$(complete -p "$1" | sed 's/.*-F \\([^ ]*\\) .*/\\1/')" && printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("learner-train --config.eval.pairs ", {"visits", "scans"}),
        ("learner-train --config.eval.pair", {"--config.eval.pairs"}),
        ("learner-train --dry", {"--dry_run"}),
        ("learner-build syn", {"synthetic_lus", "synthetic_mri"}),
        ("learner-eval --fol", {"--follow"}),
        ("learner-sweep ", {"run", "choose", "skypilot", "board"}),
    ],
)
def test_bash_completes(evaluator, typed, offered):
    command = ["bash", "-c", TAB, "-", evaluator["bash"], *typed.split(" ")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert set(done.stdout.split()) == offered, done.stderr


def test_how_to_cite():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(cited)  # the keys that the format requires
    assert cited["cff-version"] == "1.2.0"
    assert (cited["version"], cited["license"]) == (PROJECT["project"]["version"], PROJECT["project"]["license"])
    assert cited["authors"] == [{"name": "learner_jax contributors"}]
    (paper,) = cited["references"]
    assert {"type", "title", "authors"} <= set(paper)  # likewise, of a reference
    assert "2411.01144" in paper["url"]


def instructions() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n\s*", " ", DOCKERFILE)
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(line.split(" ", 1)) for line in lines]


def test_the_image_has_no_data_and_does_not_run_as_root():
    copied = [name for what, rest in instructions() if what == "COPY" for name in rest.split()[:-1]]
    assert all((ROOT / name).exists() for name in copied)
    assert not {"ADD", "ENTRYPOINT"} & {what for what, _ in instructions()}
    users = [rest for what, rest in instructions() if what == "USER"]
    assert users
    assert users[-1].isdecimal()
    assert int(users[-1]) > 0
    (base,) = (rest for what, rest in instructions() if what == "FROM")
    assert ":" in base
    assert not base.endswith("latest")

    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert ignored[0] == "*"  # then what is let in again
    let_in = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    assert all(any(fnmatch.fnmatch(name, pattern) for pattern in let_in) for name in copied)
    assert not {"data", "runs", "tests", ".venv", ".git"} & set(let_in)


def test_the_image_takes_each_of_the_requirements_and_a_python_that_they_are_for():
    named = re.findall(r"REQUIREMENTS=(\S+)", DOCKERFILE)
    assert {"requirements.txt", "requirements-gpu.txt", "requirements-tpu.txt"} == set(named)
    assert all((ROOT / name).is_file() for name in named)
    (version,) = re.findall(r"ARG PYTHON=3\.(\d+)", DOCKERFILE)
    assert 11 <= int(version) < 14


def test_the_dockerfile_is_linted():
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
