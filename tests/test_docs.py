"""Every block of code in README.md and docs/*.md is run, or at least its flags and fields are what the program takes.

A block without a language holds commands; ``text`` is what a program prints, ``csv`` a table. What can neither be run
nor checked is named in ``NOT_RUN`` with the reason, and a new command that is in none of these fails.
"""

import argparse
import csv
import importlib
import re
import shlex
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from absl import flags
from PIL import Image

from learner_jax.config import Config
from learner_jax.fields import override
from learner_jax.train import train

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
LANGUAGES = {"", "text", "csv", "python"}
NOT_RUN = {
    ". .venv/bin/activate": "of a shell",
    "N4BiasFieldCorrection ": "of ANTs, which is not installed here",
    "mri_synthstrip ": "of FreeSurfer, likewise",
    "antsRegistrationSyNQuick.sh ": "of ANTs, likewise",
    "mv rigid_Warped.nii.gz ": "moves what the line before would have made",
}


def blocks(text: str) -> list[tuple[str, str]]:
    """Language and text of each."""
    return re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", text)


def commands(text: str) -> list[list[str]]:
    """Words of each command, up to where its output goes elsewhere."""
    found = []
    for language, block in blocks(text):
        for line in block.replace("\\\n", " ").splitlines() if not language else ():
            words = shlex.split(line, comments=True)
            end = min((words.index(mark) for mark in (">", "|") if mark in words), default=len(words))
            if words[:end]:
                found.append(words[:end])
    return found


ALL = [(page.name, words) for page in PAGES for words in commands(page.read_text())]


def ids(value: object) -> str | None:
    return " ".join(value)[:60] if isinstance(value, list) else None


class Accepted(Exception):
    """A program's own parser took the command; with what it left over."""


@pytest.fixture
def parsed(monkeypatch):
    """``parsed(module, arguments)``: what the program's parser leaves over. The program stops once it has parsed."""
    original, depth = argparse.ArgumentParser.parse_known_args, [0]

    def parse(parser, args=None, namespace=None):
        parser.allow_abbrev = False  # a page writes flags out
        depth[0] += 1
        try:
            result = original(parser, args, namespace)
        finally:
            depth[0] -= 1
        if depth[0]:  # a subcommand's
            return result
        raise Accepted(result[1])

    def run(module: str, arguments: list[str]) -> list[str]:
        monkeypatch.setattr(sys, "argv", [module, *arguments])
        with pytest.raises(Accepted) as taken:
            program(module).main()
        return taken.value.args[0]

    monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", parse)
    return run


def program(module: str) -> types.ModuleType:
    """What ``python -m`` starts."""
    found = importlib.import_module(module)
    return importlib.import_module(f"{module}.__main__") if hasattr(found, "__path__") else found


def check_trainer(arguments: list[str]) -> None:
    """Flags of absl, and fields of the config."""
    from learner_jax import main as trainer

    known = {flag.name: flag for flag in flags.FLAGS.get_flags_for_module(trainer.__name__)}
    rest = list(arguments)
    while rest:
        name, equals, value = rest.pop(0).removeprefix("--").partition("=")
        if name.startswith("config."):
            override(Config(), f"--{name}={value if equals else rest.pop(0)}")
        elif not known[name].boolean:
            value = value if equals else rest.pop(0)
            assert name != "config" or "…" in value or value == "mine.py" or (ROOT / value).is_file(), value


@pytest.mark.parametrize(("page", "words"), ALL, ids=ids)
def test_a_command_is_one_that_the_program_takes(page, words, parsed):
    line = " ".join(words)
    if words[0].startswith("--config."):  # fields alone
        check_trainer(words)
    elif words[0] == "…":  # flags that are added to the command above
        check_trainer(words[1:])
    elif words[0] == "make":
        targets = re.findall(r"(?m)^([\w. /-]+):", (ROOT / "Makefile").read_text())
        assert words[1] in " ".join(targets).split()
    elif words[:3] == ["python", "-m", "learner_jax.main"]:
        check_trainer(words[3:])
    elif words[:2] == ["python", "-m"] and words[2] in ("learner_jax.backbones", "learner_jax.objectives"):
        assert not parsed(words[2], words[3:])
        assert all(program(words[2]).describe(name) for name in words[3:])
    elif words[:2] == ["python", "-m"]:
        for argument in parsed(words[2], words[3:]):
            assert argument.startswith("--config."), f"{page}: {argument} is no flag of {words[2]}"
            override(Config(), argument)
    else:
        assert any(line.startswith(known) for known in NOT_RUN), f"{page}: say in NOT_RUN why {line!r} is not run"


def test_blocks_have_a_language_that_says_what_they_are():
    for page in PAGES:
        assert {language for language, _ in blocks(page.read_text())} <= LANGUAGES, page


def test_what_is_not_run_is_on_a_page():
    lines = [" ".join(words) for _, words in ALL]
    assert all(any(line.startswith(known) for line in lines) for known in NOT_RUN)


def section(page: str, title: str) -> str:
    text = (ROOT / "docs" / page).read_text()
    return re.search(rf"(?ms)^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text)[1]


@pytest.fixture
def place(tmp_path, monkeypatch, identity_key):
    """An empty folder with the table of the quick start and a clip for each of its rows."""
    table = dict(blocks(section("quick_start.md", "4. Clips of your own")))["csv"]
    (tmp_path / "cohort.csv").write_text(table)
    rng = np.random.default_rng(0)
    for row in csv.DictReader(table.splitlines()):
        frames = [Image.fromarray(rng.integers(0, 256, (40, 48), dtype=np.uint8)) for _ in range(4)]
        path = tmp_path / row["scan"]
        path.parent.mkdir(exist_ok=True)
        more = {"save_all": True, "append_images": frames[1:], "duration": 100}
        frames[0].save(path, format="GIF", **more)  # what it is, its content tells
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_own_clips_are_checked_built_and_split(place, capsys):
    builds = [words for words in commands(section("quick_start.md", "4. Clips of your own")) if "--cohort" in words]
    after = [
        words for words in commands(section("own_scans.md", "What a build leaves")) if "learner_jax" not in words[2]
    ]
    assert [len(builds), len(after)] == [2, 3]
    for words in builds + after:
        assert program(words[2]).main(words[3:] + (["--processes", "1"] if "--cohort" in words else [])) == 0, words
    said = capsys.readouterr().out
    assert "can be read; nothing was built (--check)" in said
    assert "held_out" in said
    assert "cv-2" in said
    assert (place / "data/lus/contact_sheet.png").is_file()


def test_sentences_of_the_quick_start_are_those_that_come(place, capsys):
    from tfds_builders import build

    told = dict(blocks(section("quick_start.md", "When something is wrong")))["text"]
    table = (place / "cohort.csv").read_text()
    for score, text in (("sevrity", table), ("severity", table.replace("clips/a1", "clip/a1"))):
        (place / "cohort.csv").write_text(text)
        assert build.main(["ultrasound_clips", "--cohort", "cohort.csv", "--scores", score, "--data_dir", "x"]) == 2
        assert capsys.readouterr().err.replace(f"{place}/", "/home/me/") in told


def test_the_three_steps_of_extending_and_a_report_as_in_the_quick_start(make_config, place, monkeypatch, capsys):
    from learner_jax.backbones.api import backbones
    from learner_jax.data.samplers.api import samplers
    from learner_jax.objectives.parts import parts

    for registry in (backbones, samplers, parts):  # afterwards nobody knows of the new ones
        monkeypatch.setattr(registry, "_things", dict(registry._things))
    page = (ROOT / "docs" / "extending.md").read_text()
    files = re.findall(r"(?ms)^`(learner_jax/\S+)\.py`:\n\n```python\n(.*?)^```$", page)
    assert [Path(name).name for name, _ in files] == ["patches", "log_cosh", "first_visits"]
    for name, code in files:
        assert (ROOT / name).parent.is_dir()
        exec(compile(code, f"{name}.py", "exec"), {"__name__": name.replace("/", ".")})
    config = make_config()
    config.steps = 2
    chosen = [word for words in commands(page) for word in words if word.startswith("--config.")]
    assert len(chosen) == 3
    for argument in chosen:
        override(config, argument)
    train(config, place / "runs" / "tiny" / "combined")
    assert (place / "runs/tiny/combined/eval/2/scores.json").is_file()
    for words in commands(section("quick_start.md", "3. Scores"))[1:]:
        assert program(words[2]).main(words[3:]) == 0
    assert "1 finished" in capsys.readouterr().out
    assert (place / "runs/tiny/report/index.html").is_file()


def test_the_sweep_file_of_comparing(monkeypatch):
    from learner_jax.sweep import Sweep

    ((_, code),) = [block for block in blocks((ROOT / "docs" / "comparing.md").read_text()) if block[0] == "python"]
    names: dict = {}
    exec(code, names)
    monkeypatch.chdir(ROOT)
    assert isinstance(names["get_sweep"](), Sweep)


def test_no_python_is_left_out():
    """Files with Python on them, each of which has a test above or where this says."""
    pages = {page.name for page in PAGES if "python" in dict(blocks(page.read_text()))}
    assert pages <= {"comparing.md", "extending.md", "predicting.md"}  # the last: tests/export/test_export.py


def test_links_lead_somewhere():
    for page in PAGES:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", re.sub(r"(?ms)^```.*?^```$", "", page.read_text())):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_tools_of_the_site_are_installed():
    assert shutil.which("sphinx-build", path=str(Path(sys.executable).parent))
