"""docs/adni.md on a made-up download: every command of the page, as it stands there."""

import csv
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from learner_jax.sweep.plan import load
from tests.command import FLAGS, ROOT
from tests.tfds_builders.archives.loni import write_download

SWEEP = ROOT / "configs" / "sweeps" / "adni.py"
PATIENTS = (3, 2) * 6  # visits of each
# The sweep of the page in small: its studies and arms, two learning rates, two batches, tiny backbones.
SMALL = """
import dataclasses

from learner_jax.sweep import Budget, Sweep
from learner_jax.sweep.plan import load

TINY = {{"resnet3d_18": {{"backbone.name": "resnet3d-test", "data.frames": 8}}}}


def get_sweep():
    return Sweep([
        dataclasses.replace(
            study,
            arms={{name: arm | TINY.get(arm.get("backbone.name"), {{}}) for name, arm in study.arms.items()}},
            budget=Budget(examples=8),
            fields=study.fields | {fields},
            seeds=study.seeds[:1],
            learning_rates=study.learning_rates[:2],
        )
        for study in load({file!r}).studies
    ])
"""


def commands(*titles: str) -> list[str]:
    """Those of the sections whose titles begin so; a block without a language holds commands."""
    sections = re.split(r"(?m)^## ", (ROOT / "docs" / "adni.md").read_text())
    chosen = [section for section in sections if section.startswith(titles)]
    assert len(chosen) == len(titles)
    blocks = [block for section in chosen for block in re.findall(r"(?ms)^```\n(.*?)^```$", section)]
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]


class Laboratory:
    """A download, and a place beside it where the commands are typed; ``said`` is what those so far have printed."""

    said: list[str]

    def __init__(self, folder: Path):
        key = folder / "identity.key"
        key.write_text("0123456789abcdef" * 4 + "\n")  # another one deals the patients out differently
        write_download(folder / "adni", PATIENTS)
        self.place = folder / "checkout"
        shutil.copytree(ROOT / "configs", self.place / "configs")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        own = {"PATH": path, "PYTHONPATH": str(ROOT), "LEARNER_KEY_FILE": str(key), "JAX_NUM_CPU_DEVICES": "1"}
        self._environment = os.environ | own

    def type(self, command: str) -> str:
        """What a command prints."""
        done = subprocess.run(
            command, shell=True, cwd=self.place, env=self._environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory):
    """With a cohort, records and a split, as sections 2 and 3 say."""
    made = Laboratory(tmp_path_factory.mktemp("adni"))
    made.said = [made.type(command) for command in commands("2.", "3.")]
    return made


def test_a_download_becomes_a_cohort_records_and_a_split(laboratory):
    cohort, build, split = laboratory.said
    assert "copies of an image are left out (--prefer processed): 30" in cohort
    assert "images have no mmse within 90 days: 1" in cohort
    assert "images kept are GradWarp+B1+N3+Scaled: 30" in cohort
    with (laboratory.place.parent / "adni/cohort.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sorted(Counter(row["patient"] for row in rows).values()) == sorted(PATIENTS)
    assert {row["view"] for row in rows} == {"T1"}
    assert "score mmse: 29 of 30 scans labeled" in build
    assert "score cdrsb: 29 of 30 scans labeled" in build
    assert "split held_out: train 6 patients, " in split
    assert "test 4 patients, " in split


def test_the_page_names_what_a_build_leaves(laboratory):
    assert (laboratory.place / "data/adni/contact_sheet.png").exists()
    names = [name.encode() for name in ("002_S_0100", "ADNI_002", "I40000")]
    for path in (laboratory.place / "data").rglob("*"):
        if path.is_file():
            assert not [name for name in names if name in path.read_bytes()], path


def test_the_sweep_fits_the_records_and_costs_what_the_page_says(laboratory):
    dry_run, *_ = commands("4.")
    *lines, total = (line for line in laboratory.type(dry_run).splitlines() if line.startswith("# "))
    assert len(lines) == 40
    assert total.startswith(f"# 40 runs: 400,000 steps, {40 * 320_000:,} examples, ")
    sizes = {re.search(r"320,000 examples, ([\d.]+) PFLOP", line)[1] for line in lines}
    assert sorted(round(float(size)) for size in sizes) == [29, 35]
    page = " ".join((ROOT / "docs" / "adni.md").read_text().split())
    assert "40 runs of 320,000 scans, of 29 PFLOP each in 2.5-D and 35 in 3-D" in page


@pytest.mark.slow
def test_the_sweep_ends_with_a_board(laboratory):
    fields = {name.removeprefix("config."): value for name, value in FLAGS.items() if "learning_rate" not in name}
    fields |= {"batch_size": 4, "data.frames": 8, "eval.bootstrap": 50}
    (laboratory.place / "configs/sweeps/adni.py").write_text(SMALL.format(file=str(SWEEP), fields=fields))
    _, *rest = commands("4.")
    for command in rest:
        laboratory.type(command)
    with (laboratory.place / "runs/adni/board/board.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if line["kind"] == "arm"]
    arms = {(study.name, arm) for study in load(SWEEP).studies for arm in study.arms}
    assert {(line["study"], line["arm"]) for line in lines} == arms
    assert {line["patients"] for line in lines} == {"test"}
    assert all(0 <= float(line["value"]) <= 1 for line in lines)
    assert (laboratory.place / "runs/adni/one_visit/all/report/index.html").exists()
