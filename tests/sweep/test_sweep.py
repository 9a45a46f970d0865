"""A small sweep for real, from its file to its board: a run that was killed, one that fails, test scores at the end."""

import contextlib
import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from learner_jax.evaluators import places
from learner_jax.report import goodput
from learner_jax.report.goodput import Life
from learner_jax.sweep.__main__ import main
from learner_jax.sweep.plan import Budget, Study, Sweep, load
from learner_jax.sweep.runs import search
from learner_jax.sweep.stages import Stages
from learner_jax.sweep.standing import read
from learner_jax.sweep.task import Outcome
from tests.command import FLAGS, ROOT, committed

FILE = """
from learner_jax.sweep import Budget, Study, Sweep

def get_sweep():
    return Sweep(
        studies=[Study(
            name="objectives",
            config="configs/demo.py",
            arms={{
                "mse": {{"objective.name": "mse"}},
                "contrastive": {{"objective.name": "learner"}},
                "broken": {{"objective.name": "mse", "optim.freeze": "stem/*"}},
            }},
            budget=Budget(examples=16 * {steps}),
            fields={fields},
            seeds=(0, 1),
            learning_rates=(1e-4, 4e-3),
            also=("delta_spearman", "class_auroc stable", "no_such_score"),
        )],
    )
"""
STEPS = 10


def fields_of(dataset: Path) -> dict:
    """Of a run of seconds; the learning rate is searched."""
    fields = {name.removeprefix("config."): value for name, value in FLAGS.items() if "learning_rate" not in name}
    return fields | {"data.dir": str(dataset), "checkpoint.every": 2, "eval.label_noise": 0.0}


@pytest.fixture(scope="module")
def swept(tiny_dataset, tmp_path_factory):
    """The sweep trained once, before any test score; what it said, and what it is made of."""
    place = tmp_path_factory.mktemp("sweep")
    file, out = place / "tiny.py", place / "out"
    file.write_text(FILE.format(steps=STEPS, fields=fields_of(tiny_dataset)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_NUM_CPU_DEVICES", "1")
        patch.chdir(ROOT)
        sweep = load(file)
        first = search(sweep, sweep.studies[0], Path("data"))[0]
        kill_on_the_way(first.command(out, STEPS), out / first.id)
        said = place / "said"
        code = printed(["run", str(file), "--out", str(out), "--workers", "2"], said)
        yield SimpleNamespace(file=file, out=out, code=code, said=said.read_text(), killed=out / first.id)


def kill_on_the_way(command: list[str], workdir: Path) -> None:
    process = subprocess.Popen([*command, f"--config.steps={STEPS}"], stdout=subprocess.DEVNULL, env=os.environ)
    while not committed(workdir):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


def printed(arguments: list[str], to: Path) -> int:
    with to.open("a") as file, contextlib.redirect_stdout(file):
        return main(arguments)


def test_what_fails_is_listed_with_its_error_and_stops_nothing(swept):
    assert swept.code == 1
    broken = "names 'stem/*', which no parameter of the backbone fits"
    listed = swept.said[swept.said.index("2 tasks failed; the same command tries again:") :]
    assert listed.count(broken) == 2
    for rate in ("0.0001", "0.004"):
        assert f"objectives/all/broken-lr{rate}-0: failed with 2 (error: " in listed
    for arm in ("mse", "contrastive"):
        assert len(list((swept.out / "objectives/all").glob(f"{arm}-lr*-0/validation/{STEPS}/scores.json"))) == 2
        assert len(list((swept.out / "objectives/all").glob(f"{arm}-lr*-1/validation/{STEPS}/scores.json"))) == 1


def test_a_killed_run_goes_on_from_its_checkpoint(swept):
    lives = goodput.read(swept.killed)
    assert lives[-1].start >= 2, "it did not begin anew"
    assert lives[-1].step == STEPS


def test_the_rate_is_chosen_by_validation_scores_and_no_test_patient_is_opened(swept):
    assert not list(swept.out.rglob("eval"))
    assert not (swept.out / "opened.jsonl").exists()
    board = read(swept.out)
    for arm in ("mse", "contrastive"):
        scores = {}
        for rate in (1e-4, 4e-3):
            run = swept.out / f"objectives/all/{arm}-lr{rate:g}-0"
            rows = json.loads((places.folder(run, STEPS, "val") / "scores.json").read_text())["rows"]
            scores[rate] = next(row["value"] for row in rows if row["name"] == "pairwise_accuracy")
        (line,) = (one for one in board.standings if one.arm == arm)
        assert scores[line.learning_rate] == max(scores.values())
        assert (line.patients, line.runs, line.difference) == ("val", 2, None)


def test_the_same_command_repeats_nothing_that_is_finished_and_another_recipe_is_refused(swept, capsys):
    before = {path: path.stat().st_mtime_ns for path in swept.out.rglob("goodput.json")}
    assert main(["run", str(swept.file), "--out", str(swept.out), "--workers", "2"]) == 1
    assert "4 of 6 runs are finished, 2 to do" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in swept.out.rglob("goodput.json")} == before
    other = swept.file.with_name("other.py")
    other.write_text(swept.file.read_text().replace('"learner"', '"rank_n_contrast"'))
    assert main(["run", str(other), "--out", str(swept.out)]) == 2
    assert "holds a run with another config than the sweep file now gives: objective.name was 'learner'" in (
        capsys.readouterr().err
    )


def told_and_commands(lines: list[str]) -> tuple[list[str], list[str]]:
    """Comments, and commands as a shell reads them."""
    told = [line for line in lines if line.startswith("#")]
    return told, "\n".join(line for line in lines if line not in told).replace("\\\n", "").splitlines()


def test_a_dry_run_lists_commands_with_what_they_cost(swept, capsys):
    assert main(["run", str(swept.file), "--out", str(swept.out), "--dry_run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    told, commands = told_and_commands(lines)
    assert len(told) == len(commands) + 1 == 6 + 2 + 1  # the search, and the second seed of the two arms with a rate
    for command in commands:
        words = shlex.split(command)
        assert words[:6] == ["python", "-m", "learner_jax.main", "--config", "configs/demo.py", "--workdir"]
        assert all(word.startswith("--config.") for word in words[7:])
    known = next(line for line in told if "mse-lr0.0001-0" in line)
    assert f": {STEPS} steps, {16 * STEPS} examples, " in known
    assert re.search(r"FLOP, about \d+(\.\d+)?(e-\d+)? h$", known)
    assert "hours unknown until one of its arm has run" in next(line for line in told if "broken" in line)
    assert told[-1].startswith(f"# 8 runs: {8 * STEPS} steps, {8 * 16 * STEPS:,} examples, ")
    assert told[-1].endswith(" h (of 6)"), "the broken arm has never run"
    assert max(map(len, lines)) <= 160


def test_a_dry_run_says_which_steps_are_not_known_yet(tmp_path, capsys):
    (tmp_path / "file.py").write_text(
        FILE.format(steps=1, fields={"data.dir": "none", "objective.projection": 8}).replace("examples=", "seconds=")
    )
    assert main(["run", str(tmp_path / "file.py"), "--out", str(tmp_path / "out"), "--dry_run"]) == 0
    told, commands = told_and_commands(capsys.readouterr().out.splitlines())
    assert len(commands) == 6 + 3
    assert all(": steps not known yet: the speed of objectives/all/" in line for line in told[:-1])
    assert not any("--config.steps=" in line for line in commands)
    assert told[-1] == "# 9 runs: their steps are not known yet"


@pytest.mark.slow
def test_a_budget_of_seconds_is_turned_into_steps_by_a_short_run(tiny_dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "1")
    (tmp_path / "file.py").write_text(
        f"""
from learner_jax.sweep import Budget, Study, Sweep

def get_sweep():
    return Sweep([Study("short", "configs/demo.py", {{"mse": {{"objective.name": "mse"}}}}, Budget(seconds=0.5),
                        fields={fields_of(tiny_dataset)}, seeds=(0,), learning_rates=(1e-3,))])
"""
    )
    out = tmp_path / "out"
    assert main(["run", str(tmp_path / "file.py"), "--out", str(out)]) == 0
    speed = goodput.read(out / ".speed/short/all/mse")[-1].examples_per_second
    steps = max(1, round(0.5 * speed / 16))
    assert places.newest(out / "short/all/mse-lr0.001-0", "val") == steps


def test_a_backbone_that_cannot_take_the_scans_stops_no_other(tiny_dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    arms = {"deep": {"backbone.name": "vit3d_b16"}, "shallow": {}}  # 16 frames at least, and there are 4
    study = Study("s", "configs/demo.py", arms, Budget(steps=3), fields=fields_of(tiny_dataset), seeds=(0,))
    launch = lambda tasks: [Outcome(task, int("deep" in task.name), 1.0, "takes 16 frames") for task in tasks]  # noqa: E731
    stages = Stages(Sweep([study]), [study], tmp_path, tmp_path, launch, lambda text: None)
    assert [one.task.name for one in stages.train()] == ["s/all/deep-0"]
    known = {one.arm: one.parameters is not None and one.flops is not None for one in read(tmp_path).standings}
    assert known == {"deep": False, "shallow": True}


def test_an_arm_whose_speed_cannot_be_measured_stops_no_other(tiny_dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    arms = {name: {"objective.name": "mse"} for name in ("broken", "mse")}
    study = Study("short", "configs/demo.py", arms, Budget(seconds=0.5), fields=fields_of(tiny_dataset), seeds=(0,))
    cut_off = tmp_path / "out/.speed/short/all/mse"
    cut_off.mkdir(parents=True)
    goodput.write(cut_off, [Life(0, 2, {}, 0.0, 0.0, examples_per_second=1.0)])  # killed after two steps
    launched = []

    def launch(tasks):
        for task in tasks:
            launched.append(task.name)
            if task.name == "speed of mse":
                goodput.write(cut_off, [*goodput.read(cut_off), Life(0, 30, {}, 0.0, 0.0, examples_per_second=80.0)])
                places.folder(cut_off, 30, "val").mkdir(parents=True)
                (places.folder(cut_off, 30, "val") / "scores.json").write_text('{"rows": []}')
        return [Outcome(task, int("broken" in task.name), 1.0, "no memory") for task in tasks]

    stages = Stages(Sweep([study]), [study], tmp_path / "out", tmp_path / "data", launch, lambda text: None)
    failed = stages.train()
    assert launched == ["speed of broken", "speed of mse", "short/all/mse-0"]
    assert [str(one) for one in failed] == [
        f"speed of broken: failed with 1 (no memory; {failed[0].task.log}) after 1 s"
    ]
    assert [stages.steps(run) for run in stages.chosen()] == [round(0.5 * 80 / 16)]
    told = {one.arm: (one.runs, one.seeds, one.flops is None) for one in read(tmp_path / "out").standings}
    assert told == {"broken": (0, 1, True), "mse": (0, 1, False)}


@pytest.fixture(scope="module")
def opened(swept, tmp_path_factory):
    """A copy of the sweep whose chosen runs are scored on test patients, one arm before the other, and its board."""
    out = Path(shutil.copytree(swept.out, tmp_path_factory.mktemp("opened") / "out"))
    names = out / "chosen.txt"
    assert printed(["choose", str(swept.file), "--out", str(out)], names) == 0
    assert len(names.read_text().splitlines()) == 4
    for arm in ("mse", "contrastive"):  # an arm that was opened before stays whole, and the reference
        some = out / f"{arm}.txt"
        some.write_text("".join(line for line in names.read_text().splitlines(keepends=True) if f"/{arm}-" in line))
        assert main(["run", str(swept.file), "--out", str(out), "--final", str(some)]) == 0
    assert main(["board", str(out)]) == 0
    return SimpleNamespace(file=swept.file, out=out, names=names, page=out / "board/index.html")


def test_only_the_named_runs_are_scored_on_test_patients_and_it_is_counted(opened, capsys):
    scored = {path.parent.relative_to(opened.out).as_posix() for path in opened.out.rglob("eval") if path.is_dir()}
    assert scored == set(opened.names.read_text().splitlines())
    assert main(["run", str(opened.file), "--out", str(opened.out), "--final", str(opened.names)]) == 0
    assert "all of these runs have their test scores" in capsys.readouterr().out
    times = [json.loads(line)["runs"] for line in (opened.out / "opened.jsonl").read_text().splitlines()]
    assert [len(runs) for runs in times] == [2, 2]
    assert {run for runs in times for run in runs} == scored
    bad = opened.names.with_name("bad.txt")
    refused = {
        "objectives/all/mse-9": "is not a run of this sweep",
        "objectives/all/broken-lr0.004-0": "is not finished",
    }
    for name, message in refused.items():
        bad.write_text(name)
        assert main(["run", str(opened.file), "--out", str(opened.out), "--final", str(bad)]) == 2
        assert message in capsys.readouterr().err


def test_what_a_kill_kept_from_being_made_of_test_scores_is_made(opened, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    out = Path(shutil.copytree(opened.out, tmp_path / "out", ignore=shutil.ignore_patterns("checkpoints")))
    sweep, launched = load(opened.file), []

    def final() -> list[str]:
        launched.clear()
        launch = lambda tasks: launched.extend(tasks) or []  # noqa: E731
        Stages(sweep, sweep.studies, out, Path("data"), launch, lambda text: None).open_test(opened.names)
        return [task.name for task in launched]

    assert final() == []
    place = out / "objectives/all"
    for path in (place / "arms.json", place / "comparison.json", next(place.glob("mse-*/eval/floors.json"))):
        path.rename(path.with_suffix(".away"))
        assert final() == ["objectives/all: test scores"]
        path.with_suffix(".away").rename(path)
    os.utime(place / "comparison.json", (0, 0))
    assert final() == ["objectives/all: test scores"], "it is of the scores before"
    assert (out / "opened.jsonl").read_text() == (opened.out / "opened.jsonl").read_text()


def test_the_reference_is_that_of_the_rate_that_is_meant(tmp_path):
    arms = {name: {"objective.name": name} for name in ("mse", "learner")}
    rates = {"learning_rates": (0.1, 0.4), "seeds": (0,)}
    study = Study("s", "configs/demo.py", arms, Budget(steps=3), **rates)
    stages = Stages(Sweep([study]), [study], tmp_path, tmp_path, say=lambda text: None)
    opened = tmp_path / "s/all/mse-lr0.1-0/eval/3/scores.json"  # before more rates could be tried
    opened.parent.mkdir(parents=True)
    opened.touch()
    ((_, task),) = stages._scoring([run for run in stages.everything() if run.learning_rate == 0.4])
    command = task.command
    assert command[command.index("--compare") + 1] == str(tmp_path / "s/all/mse-lr0.4-0")
    assert "--runs=mse-lr0.1-0,mse-lr0.4-0,learner-lr0.4-0" in command


def test_the_board_shows_what_the_evaluator_wrote(opened):
    place = opened.out / "objectives/all"
    board = read(opened.out)
    comparison = json.loads((place / "comparison.json").read_text())
    arms = json.loads((place / "arms.json").read_text()) | {comparison["reference"]: comparison}
    for one in (one for one in board.standings if one.kind == "arm" and one.arm != "broken"):
        own = next(arm for name, arm in arms.items() if name.startswith(one.arm))
        row = next(row for row in own["rows"] if row["name"] == "pairwise_accuracy")
        assert (one.row.value, one.row.low, one.row.high) == (row["value"], row["low"], row["high"])
        assert one.spread == own["sd_over_seeds"]["pairwise_accuracy"]
        assert (one.patients, one.runs, one.seeds) == ("test", 2, 2)
        every = {f"{row['name']} {row['at']}".strip(): row["value"] for row in own["all"]}
        assert {row.name: row.value for row in one.also} == {
            name: every[name] for name in ("delta_spearman", "class_auroc stable")
        }
        assert one.parameters > 1000
        hours = [goodput.total(goodput.read(place / run)).wall / 3600 for run in own["runs"]]
        assert one.device_hours == pytest.approx(sum(hours))
    (contrastive,) = (one for one in board.standings if one.arm == "contrastive")
    (apart,) = comparison["differences"].values()
    expected = next(one for one in apart if one["row"]["name"] == "pairwise_accuracy")
    assert contrastive.difference.row.value == expected["row"]["value"]
    assert contrastive.p_holm == expected["p"], "of one comparison nothing is adjusted"
    floor = next(one for one in board.standings if one.kind == "floor")
    assert floor.arm == "majority class"
    assert [row.name for row in floor.also] == ["class_auroc stable"], "it predicts no change, so there is no rank"
    with (opened.page.with_name("board.csv")).open() as file:
        lines = {line["arm"]: line for line in csv.DictReader(file)}
    assert float(lines["contrastive"]["difference_value"]) == expected["row"]["value"]
    assert "Test patients were opened 2 times, for 4 runs" in opened.page.read_text()
    table = opened.page.with_name("board.md").read_text()
    assert "| mse | " in table
    assert "| broken | – (0 of 2 seeds) |" in table


def test_an_untrained_backbone_is_one_of_each_that_is_compared(opened, tmp_path):
    out = Path(shutil.copytree(opened.out, tmp_path / "out", ignore=shutil.ignore_patterns("checkpoints")))
    for path in out.glob("objectives/all/contrastive*/eval/floors.json"):
        floors = json.loads(path.read_text())
        (row,) = (row for row in floors["rows"]["random_init"] if row["name"] == "pairwise_accuracy")
        row["value"] = 0.25
        path.write_text(json.dumps(floors))
    found = {one.arm: one.value for one in read(out).standings if one.kind == "floor"}
    assert found.pop("untrained backbone of contrastive") == 0.25
    assert found.pop("untrained backbone of mse") != 0.25
    assert not any(" of " in name for name in found), "the others are of all arms"

    told = json.loads((out / "sweep.json").read_text())
    for kind in ("runs", "tried"):  # the arm has left the sweep's file, and its scores are still there
        told["studies"][0][kind] = [run for run in told["studies"][0][kind] if run["arm"] != "contrastive"]
    (out / "sweep.json").write_text(json.dumps(told))
    (left,) = (one for one in read(out).standings if one.arm.startswith("untrained") and one.value == 0.25)
    assert "contrastive-lr" in left.arm


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_a_browser_sorts_and_filters(opened, tmp_path):
    steps = """
    const shown = () => [...document.querySelectorAll("#board tbody tr:not([hidden])")];
    const texts = () => shown().map((row) => row.cells[0].firstChild.textContent);
    const options = (id) => [...document.getElementById(id).options].map((option) => option.value);
    const told = {first: texts(), study: document.getElementById("study").value, settings: options("setting")};
    const heads = [...document.querySelectorAll("#board thead button")];
    const score = heads.find((head) => head.textContent === "score");
    const values = () => [...document.querySelectorAll("#board tbody tr")].map((row) => row.cells[1].dataset.value);
    score.click(); told.up = values(); score.click(); told.down = values();
    heads[0].click(); told.names = texts();
    const search = document.getElementById("search");
    search.value = "CONTRAST"; search.dispatchEvent(new Event("input")); told.found = texts();
    told.shown = document.getElementById("shown").textContent;
    search.value = ""; search.dispatchEvent(new Event("input"));
    const floors = document.getElementById("floors");
    floors.value = "arm"; floors.dispatchEvent(new Event("input")); told.arms = texts();
    document.body.innerHTML = `<pre id="told">${JSON.stringify(told)}</pre>`;
    """
    page = tmp_path / "page.html"
    page.write_text(opened.page.read_text().replace("</body>", f"<script>{{{steps}}}</script></body>"))
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    told = json.loads(done.stdout.rpartition('<pre id="told">')[2].partition("</pre>")[0])
    known = [float(value) for value in told["down"] if value]
    assert known == sorted(known, reverse=True)
    assert [float(value) for value in told["up"] if value] == known[::-1]
    assert told["up"][-1] == told["down"][-1] == "", "what has no score comes last either way"
    assert (told["study"], told["settings"]) == ("objectives", ["", "all"]), "one study at a time, with its settings"
    assert told["names"] == sorted(told["names"], reverse=True)
    assert told["found"] == ["contrastive"]
    assert told["shown"] == f"1 of {len(told['first'])} lines"
    assert sorted(told["arms"]) == ["broken", "contrastive", "mse"]
    assert np.all([name in told["first"] for name in ("raw pixels", "untrained backbone")])
