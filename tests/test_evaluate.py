"""The separate evaluator: equal to the one in the loop, refuses what does not match, follows a running job."""

import contextlib
import dataclasses
import json
import math
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from learner_jax import evaluate as command
from learner_jax.data import cohort as cohorts
from learner_jax.data.pipeline import Reader
from learner_jax.evaluate import evaluate, find, follow, score_if_kept
from learner_jax.evaluators import artifacts
from learner_jax.evaluators.readouts import Readout
from learner_jax.evaluators.run import Run
from learner_jax.lock import only_trainer
from learner_jax.report import scans
from learner_jax.report.__main__ import main as report
from learner_jax.report.comparison import read_comparison
from learner_jax.report.health import look
from learner_jax.report.page import confidence, configs, facts
from learner_jax.report.runs import load
from learner_jax.report.study import read_study
from learner_jax.train import train
from tfds_builders import build, splits
from tfds_builders.errors import InputError

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def finished(make_config, tmp_path_factory):
    """A folder with one finished run, scored with all read-outs and analyses."""
    folder, config = tmp_path_factory.mktemp("runs"), make_config()
    config.eval.readouts, config.eval.label_noise = "all", 15.0
    train(config, folder / "run")
    return folder


def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished / "run", tmp_path / "run"))


def numbers(workdir: Path, step: int) -> dict:
    rows = json.loads((workdir / f"eval/{step}/scores.json").read_text())["rows"]
    return {row["name"]: math.nan if row["value"] is None else row["value"] for row in rows}


def test_equals_the_evaluation_in_the_loop(finished, tmp_path):
    workdir = copy(finished, tmp_path)
    shutil.rmtree(workdir / "eval")
    evaluate(workdir)
    for name in ("scores.json", "scores.csv", "pairs.csv", "observations.csv", "readout.json", "readouts/knn.json"):
        assert (workdir / "eval/4" / name).read_text() == (finished / "run/eval/4" / name).read_text()


def test_scores_depend_on_neither_batch_size_nor_device_count(finished, tmp_path):
    workdir = copy(finished, tmp_path)
    evaluate(workdir, ["--config.eval.batch_size=24"], again=True)
    # the mean absolute error is about 60, where neighbours in float32 are 4e-6 apart
    assert numbers(workdir, 4) == pytest.approx(numbers(finished / "run", 4), rel=2**-23, abs=1e-6, nan_ok=True)
    script = "from learner_jax.evaluate import main; raise SystemExit(main())"
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "1"}
    arguments = ["--workdir", str(workdir), "--again"]
    subprocess.run([sys.executable, "-c", script, *arguments], cwd=ROOT, env=environment, check=True, timeout=240)
    assert numbers(workdir, 4) == pytest.approx(numbers(finished / "run", 4), rel=1e-6, abs=1e-5, nan_ok=True)


def test_a_folder_of_runs_is_scored_with_its_floors(finished, tmp_path, capsys):
    for name in ("a", "b"):
        shutil.copytree(finished / "run", tmp_path / name)
    evaluate(tmp_path)
    floors = [json.loads((tmp_path / name / "eval/floors.json").read_text())["rows"] for name in ("a", "b")]
    assert floors[0] == floors[1]
    assert set(floors[0]) == {
        "majority",
        "first_visit",
        "time_only",
        "covariates",
        "pixels",
        "random_init",
        "noise_ceiling",
    }
    notes = json.loads((tmp_path / "a/eval/floors.json").read_text())["notes"]
    assert notes["view_only"] == "all scans are of one view (L1)"
    assert {row["name"] for row in floors[0]["random_init"]} >= {"pairwise_accuracy", "macro_f1", "kendall_tau_b"}
    told = capsys.readouterr().out
    assert told.count("step 4: pairwise_accuracy") == 2
    assert told.count("floors of") == 1, "equal floors are computed once"
    evaluate(tmp_path)
    assert "floors of" not in capsys.readouterr().out, "floors that are there are not computed again"
    assert report([str(tmp_path)]) == 0
    page = (tmp_path / "report/index.html").read_text()
    assert all(text in page for text in ("untrained backbone", "raw pixels", "Patients over time", "sf_ratio"))


def test_a_run_that_cannot_be_scored_stops_no_other(finished, tmp_path, capsys):
    for name in ("a", "b", "c", "z"):
        shutil.copytree(finished / "run", tmp_path / name)
    Path(tmp_path / "a/config.json").write_text("{")
    stored = json.loads((tmp_path / "z/config.json").read_text())
    stored["eval"]["patients"] = "val"  # scored on others, so no part of an arm of test patients
    Path(tmp_path / "z/config.json").write_text(json.dumps(stored))
    shutil.rmtree(tmp_path / "b/eval/4")
    changed = json.loads((tmp_path / "c/config.json").read_text()) | {"seed": 1}
    Path(tmp_path / "c/config.json").write_text(json.dumps(changed))
    assert command.main(["--workdir", str(tmp_path), "--runs", "a,b,c,z"]) == 2
    told = capsys.readouterr()
    assert f"{tmp_path / 'a'} is left out: " in told.err
    assert told.err.endswith(f"error: 1 of 4 runs in {tmp_path} could not be scored, as said above\n")
    assert f"{tmp_path / 'b'} step 4: pairwise_accuracy" in told.out
    arms = json.loads((tmp_path / "arms.json").read_text())
    assert [arm["runs"] for arm in arms.values()] == [["b", "c"]]


def test_a_cohort_with_days_that_nobody_knows_has_its_floors(finished, tmp_path, monkeypatch):
    cohort = cohorts.load(Run(finished / "run").config.data)
    days = np.where(np.arange(len(cohort.time_days)) % 3, cohort.time_days, np.nan).astype(np.float32)
    monkeypatch.setattr(cohorts, "load", lambda _: dataclasses.replace(cohort, time_days=days))
    found, _ = Run(copy(finished, tmp_path)).evaluator.floors()
    assert next(row.value for row in found["time_only"] if row.name == "pairwise_accuracy") is not None


def test_a_report_tells_how_a_run_was_scored_and_not_how_it_would_have_been(finished, tmp_path):
    workdir = copy(finished, tmp_path)
    dataset = Path(shutil.copytree(load(workdir).config["data"]["dir"], tmp_path / "elsewhere"))
    fields = ["eval.confidence=0.5", "eval.readouts=none", f"data.dir={dataset}"]
    wide = {row["name"]: row["high"] - row["low"] for row in artifacts.read_scores(workdir, 4)["rows"] if row["high"]}
    assert command.main(["--workdir", str(workdir), *(f"--config.{field}" for field in fields)]) == 0
    rows = {row["name"]: row["high"] - row["low"] for row in artifacts.read_scores(workdir, 4)["rows"] if row["high"]}
    assert rows["score_mae"] < wide["score_mae"]
    study = read_study(workdir)
    assert confidence(study) == "50 %"
    assert dict(facts(study.arms))["dataset"] == "elsewhere"
    assert dict(configs(study.arms))["eval.readouts"] == ("none",)


def test_a_report_opens_scans_only_when_it_is_told_to(finished, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("learner_jax.report.page.draw", lambda study: {})  # the other figures take 3 s
    out, moved = tmp_path / "page", tmp_path / "elsewhere"
    dataset = Path(json.loads((finished / "run/config.json").read_text())["data"]["dir"])
    dataset.rename(moved)
    try:
        assert report([str(finished / "run"), "-o", str(out)]) == 0
        assert not list(out.glob("scans-*"))
        assert report([str(finished / "run"), "-o", str(out), "--scans"]) == 2
        assert "there is no folder" in capsys.readouterr().err
    finally:
        moved.rename(dataset)
    assert report([str(finished / "run"), "-o", str(out), "--scans"]) == 0
    assert "this page and the pictures beside it hold patients' scans" in " ".join(capsys.readouterr().out.split())
    assert {path.name for path in out.glob("scans-*.png")} == {"scans-worst-1.png", "scans-best-1.png"}
    assert "this page holds pictures of patients’ scans" in (out / "index.html").read_text()


def test_the_pairs_shown_are_predicted_from_their_scans_as_they_were_scored(finished):
    run = load(finished / "run")
    pairs, _ = scans.choose(run.pairs)
    shown = scans.look(run, pairs)
    assert [one.visits for one in shown] == pairs.select(pl.col("visit_1", "visit_2").cast(pl.Int64)).rows()
    # a visit of this cohort is one scan, so its score is that of the visit
    assert [one.change for one in shown] == pytest.approx(pairs["predicted_delta"].to_list(), rel=1e-3, abs=1e-3)
    assert {array.shape[:2] for one in shown for array in (*one.saliency, *one.scans)} == {(32, 32)}
    with pytest.raises(InputError, match="holds other records than run was scored on"):
        scans.look(dataclasses.replace(run, scores=run.scores | {"fingerprints": {"data": "another"}}), pairs)
    with pytest.raises(InputError, match=r"eval\.pairs=scans"):
        scans.look(dataclasses.replace(run, scores=run.scores | {"pairs": "scans"}), pairs)


def test_all_checkpoints_are_scored_when_asked(finished, tmp_path):
    workdir = copy(finished, tmp_path)
    evaluate(workdir, every=True)
    assert sorted(path.name for path in (workdir / "eval").iterdir() if path.is_dir()) == ["2", "4"]


def test_a_checkpoint_of_before_a_change_is_scored_with_a_note(finished, tmp_path, capsys):
    workdir = copy(finished, tmp_path)
    evaluate(workdir, again=True)
    assert "note" not in capsys.readouterr().err
    config = json.loads((workdir / "config.json").read_text())
    config["data"]["frames"], config["optim"]["learning_rate"] = 3, 1.0
    (workdir / "config.json").write_text(json.dumps(config))  # as --allow_changed leaves it
    evaluate(workdir, again=True)
    note = f"note: step 4 of {workdir} was trained with another config (--allow_changed), and is scored with that of "
    assert capsys.readouterr().err == f"{note}{workdir / 'config.json'}: data.frames was 4 and is 3\n"


def test_the_readout_is_an_artifact_that_stands_alone(finished):
    readout = Readout.read(finished / "run/eval/4", "readout")
    assert readout.score_name == "sf_ratio"
    assert readout.spec["input"] == {"frames": 4, "size": 32, "mean": 0.25, "std": 0.25}
    assert set(readout.spec["fingerprints"]) == {"data", "split", "training_rows"}
    stored = readout.spec["stored"]
    assert (stored["name"], stored["modality"], stored["axis0"]) == ("synthetic_lus", "ultrasound", "time")
    assert (stored["scan_shape"], stored["preprocessing"]["knobs"]["n_patients"]) == ([4, 32, 32, 1], 24)
    (dark, light), (flat, varied) = readout.spec["intensity"]["mean"], readout.spec["intensity"]["sd"]
    assert 0 < dark < light < 1
    assert 0 < flat < varied < 0.5
    assert (readout.calibration.level, readout.calibration.half_width) == (None, None)  # of 5 validation patients
    u = np.random.default_rng(0).normal(size=(2, readout.model.dim)).astype(np.float32)
    np.testing.assert_array_equal(readout.delta(u[:1], u[1:]), -readout.delta(u[1:], u[:1]))
    others = sorted(path.stem for path in (finished / "run/eval/4/readouts").glob("*.json"))
    assert others == ["knn", "linear", "mlp", "reference", "score_head"]
    for name in others:
        again = Readout.read(finished / "run/eval/4/readouts", name)
        assert np.isfinite(again.delta(u[:1], u[1:])).all()


def named(path: Path) -> dict[str, set[str]]:
    """Patients of each part of a split file."""
    parts = json.loads(path.read_text())
    return {name: set(parts[name]) for name in ("train", "val", "test")}


@pytest.fixture(scope="module")
def another_dataset(tmp_path_factory) -> Path:
    """Other records of the same patients, dealt out another way, as an archive and a later archive of one clinic."""
    folder = tmp_path_factory.mktemp("another") / "dataset"
    knobs = {"n_patients": 30, "visits": 2, "views": 1, "frames": 4, "size": 32, "seed": 5, "processes": 1}
    flags = [text for name, value in knobs.items() for text in (f"--{name}", str(value))]
    assert build.main(["synthetic_lus", "--data_dir", str(folder), *flags]) == 0
    return folder


def test_another_split_of_the_same_dataset_is_refused_where_its_test_patients_were_seen(finished, tmp_path):
    workdir = copy(finished, tmp_path)
    moved = tmp_path / "dataset"
    shutil.copytree(json.loads((workdir / "config.json").read_text())["data"]["dir"], moved)
    assert splits.main([str(moved), "--name", "other", "--seed", "9"]) == 0
    trained, tested = named(workdir / "split.json"), named(moved / "splits/other.json")["test"]
    train, val = len(tested & trained["train"]), len(tested & trained["val"])
    assert train + val > 0
    with pytest.raises(InputError) as fault:
        evaluate(workdir, [f"--config.data.dir={moved}", "--config.data.split=other"], again=True)
    counts = f"{train + val} of 5 test patients were seen in training: {train} in the run's train part and {val} in its"
    assert counts in str(fault.value)
    assert all(patient in str(fault.value) for patient in tested & (trained["train"] | trained["val"]))


def test_another_dataset_is_scored_on_patients_whom_the_run_has_not_seen(finished, another_dataset, tmp_path, capsys):
    workdir = copy(finished, tmp_path)
    trained = named(workdir / "split.json")
    seen, theirs = trained["train"] | trained["val"], named(another_dataset / "splits/default.json")
    leaked = theirs["test"] & seen
    assert leaked
    with pytest.raises(InputError, match=f"^{len(leaked)} of 6 test patients were seen in training"):
        evaluate(workdir, [f"--config.data.dir={another_dataset}"], again=True)
    assert numbers(workdir, 4) == numbers(finished / "run", 4), "nothing was written"

    unseen = tmp_path / "unseen.json"
    file = json.loads((another_dataset / "splits/default.json").read_text())
    everyone = set.union(*theirs.values())
    file |= {"train": sorted(seen & everyone), "val": [], "test": sorted(everyone - seen)}
    unseen.write_text(json.dumps(file))
    dataset = Path(shutil.copytree(another_dataset, tmp_path / "dataset"))
    assert splits.main([str(dataset), "--name", "unseen", "--from", str(unseen)]) == 0
    evaluate(workdir, [f"--config.data.dir={dataset}", "--config.data.split=unseen"], again=True)
    assert "was trained on another dataset than" in capsys.readouterr().err
    tested = {line.split(",")[0] for line in (workdir / "eval/4/pairs.csv").read_text().splitlines()[1:]}
    assert tested == everyone - seen


def test_a_dataset_of_another_key_is_scored_with_a_loud_warning(finished, another_dataset, tmp_path, capsys):
    workdir = copy(finished, tmp_path)
    dataset = Path(shutil.copytree(another_dataset, tmp_path / "dataset"))
    for path in (dataset / "dataset.json", dataset / "splits/default.json"):
        values = json.loads(path.read_text())
        path.write_text(json.dumps(values | {"key_fingerprint": "0123456789abcdef"}))
    evaluate(workdir, [f"--config.data.dir={dataset}"], every=True, again=True)
    told = capsys.readouterr().err
    assert told.count("WARNING: it CANNOT be checked whether") == 1
    assert "these with the key 0123456789abcdef. Build one of the two datasets again with the other's key" in told


def test_a_run_whose_split_was_exchanged_or_lost_is_refused(finished, tmp_path):
    workdir = copy(finished, tmp_path)
    key, split = splits.read_file(workdir / "split.json")
    splits.write_file(workdir / "split.json", dataclasses.replace(split, train=split.train[1:]), key)
    with pytest.raises(InputError, match=r"step 4 of .* was trained with another split than its split\.json holds"):
        evaluate(workdir, again=True)
    (workdir / "split.json").unlink()
    with pytest.raises(InputError, match=r"split\.json cannot be read"):
        evaluate(workdir, again=True)


def test_a_dataset_that_was_built_anew_in_its_place_is_refused(make_config, tmp_path):
    config = make_config()
    dataset = Path(shutil.copytree(config.data.dir, tmp_path / "dataset"))
    config.data.dir = str(dataset)
    train(config, tmp_path / "run")
    values = json.loads((dataset / "dataset.json").read_text())
    (dataset / "dataset.json").write_text(json.dumps(values | {"fingerprint": "other"}))
    with pytest.raises(InputError, match=r"was trained with other data than .*/dataset gives now; name the old"):
        evaluate(tmp_path / "run", again=True)


def test_what_is_learnt_cannot_be_overridden_when_scoring(finished):
    with pytest.raises(InputError, match=r"objective.name was 'learner_combined' and is 'mse'"):
        Run(finished / "run", ["--config.objective.name=mse"])


def test_no_run_is_said(tmp_path):
    with pytest.raises(InputError, match="is not a run and has none in it"):
        find(tmp_path)


def test_a_cohort_without_fine_pairs_gets_coarse_scores_and_a_sentence(make_config, tmp_path, capsys):
    folder = tmp_path / "one_visit"
    knobs = {"n_patients": 25, "visits": 1, "views": 1, "frames": 4, "size": 32}
    flags = [text for name, value in knobs.items() for text in (f"--{name}", str(value))]
    assert build.main(["synthetic_lus", "--data_dir", str(folder), *flags]) == 0
    config = make_config()
    config.data.dir = str(folder)
    train(config, tmp_path / "run")
    evaluate(tmp_path / "run")
    assert "no fine pairs: 5 patients, 1 visit each" in capsys.readouterr().out
    assert set(numbers(tmp_path / "run", 4)) == {"coarse_c_index", "score_mae", "score_spearman"}
    assert "nan" not in (tmp_path / "run/eval/4/scores.csv").read_text().lower()

    for seed in (0, 1):
        run = Path(shutil.copytree(tmp_path / "run", tmp_path / f"runs/a-{seed}"))
        values = json.loads((run / "config.json").read_text())
        (run / "config.json").write_text(json.dumps(values | {"seed": seed}))
    assert command.main(["--workdir", str(tmp_path / "runs")]) == 0
    arm = json.loads((tmp_path / "runs/arms.json").read_text())["a"]
    values = {row["name"]: row["value"] for row in arm["rows"]}
    assert values == pytest.approx(numbers(tmp_path / "run", 4))
    assert set(arm["sd_over_seeds"]) >= set(values)
    other = Path(shutil.copytree(tmp_path / "run", tmp_path / "runs/b"))
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"objective": config["objective"] | {"name": "mse"}}))
    capsys.readouterr()
    assert command.main(["--workdir", str(tmp_path / "runs"), "--compare", str(other)]) == 0
    assert "a - b: coarse_c_index +0.000, p = 1 (1 over 3" in capsys.readouterr().out
    shown = read_comparison(tmp_path / "runs", read_study(tmp_path / "runs").arms).shown
    assert [(arm, [one.row.name for one in lines]) for arm, lines in shown] == [("a", list(values))]


def test_follow_scores_each_checkpoint_until_the_job_ends(finished, tmp_path):
    """The job is replayed: its checkpoints appear one by one while the evaluator looks."""
    whole, workdir = finished / "run", tmp_path / "running"
    thread = threading.Thread(target=follow, args=(workdir,), daemon=True)
    thread.start()
    (workdir / "checkpoints").mkdir(parents=True)
    shutil.copytree(whole / "checkpoints/2", workdir / "checkpoints/2")
    shutil.copy(whole / "split.json", workdir)
    shutil.copy(whole / "config.json", workdir)
    for _ in range(600):
        if (workdir / "eval/2/scores.json").is_file():
            break
        thread.join(0.1)
    assert thread.is_alive(), "the job has not ended"
    shutil.copytree(whole / "checkpoints/4", workdir / "checkpoints/arriving")
    (workdir / "checkpoints/arriving").rename(workdir / "checkpoints/4")
    thread.join(60)
    assert not thread.is_alive()
    assert numbers(workdir, 4) == numbers(whole, 4)


def test_follow_says_once_that_nobody_trains_and_waits(finished, tmp_path, capsys, monkeypatch):
    workdir = copy(finished, tmp_path)
    shutil.rmtree(workdir / "checkpoints/4")
    trainer = contextlib.ExitStack()

    def nothing():
        pass

    def begin():
        trainer.enter_context(only_trainer(workdir))

    def stop():
        raise KeyboardInterrupt

    happening = iter([nothing, begin, nothing, trainer.close, nothing, stop])
    monkeypatch.setattr("time.sleep", lambda _: next(happening)())
    with pytest.raises(KeyboardInterrupt):
        follow(workdir)
    gone = f"no trainer is running in {workdir} now; waiting for its next checkpoints"
    assert capsys.readouterr().out.count(gone) == 2, "before a trainer came, and after it went"


def test_follow_says_what_it_waits_for_and_refuses_what_it_would_not_do(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        follow(tmp_path / "tpyo")
    assert f"waiting for a run in {tmp_path / 'tpyo'}" in capsys.readouterr().out
    for flag in (["--all"], ["--again"], ["--compare", str(tmp_path)], ["--runs", "a"]):
        assert command.main(["--workdir", str(tmp_path), "--follow", *flag]) == 2
        assert f"{flag[0]} is not for --follow" in capsys.readouterr().err


def test_validation_scores_are_not_compared(finished, tmp_path, capsys):
    workdir = copy(finished, tmp_path)
    fields = ["--config.eval.patients=val", "--compare", str(finished / "run")]
    assert command.main(["--workdir", str(workdir), *fields]) == 2
    assert "--compare tests scores of test patients" in capsys.readouterr().err


def test_a_checkpoint_that_the_job_removes_meanwhile_is_passed_over_and_a_damaged_one_is_not(finished, tmp_path):
    run = Run(copy(finished, tmp_path))
    shutil.rmtree(run.workdir / "checkpoints/2")
    assert not score_if_kept(run, 2)
    shutil.rmtree(run.workdir / "checkpoints/4/encoder")
    with pytest.raises(Exception, match="encoder"):
        score_if_kept(run, 4)


def test_a_wrong_flag_and_a_wrong_folder_exit_2_with_a_sentence(tmp_path, capsys):
    assert command.main(["--workdir", str(tmp_path), "--cofnig.eval.pairs=scans"]) == 2
    assert "'--cofnig.eval.pairs=scans' is not a flag of this command" in capsys.readouterr().err
    assert command.main(["--workdir", str(tmp_path)]) == 2
    assert "error: " in capsys.readouterr().err


def test_scoring_does_not_load_the_training_code():
    script = "import sys, learner_jax.evaluate; print(*(m for m in sys.modules if m.startswith('learner_jax.')))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {f"learner_jax.{name}" for name in ("train", "step", "augment", "optim")} & set(done.stdout.split())


def test_a_recipe_is_chosen_on_validation_patients_with_every_test_scan_closed(make_config, tmp_path, monkeypatch):
    config = make_config()
    config.eval.patients, config.trackers = "val", ""
    cohort, opened, scans = cohorts.load(config.data), set(), Reader.scans

    def noted(reader, rows, change):
        opened.update(rows.tolist())
        return scans(reader, rows, change)

    monkeypatch.setattr(Reader, "scans", noted)
    train(config, tmp_path)
    evaluate(tmp_path)
    assert opened == {*cohort.train.tolist(), *cohort.val.tolist()}
    assert not (tmp_path / "eval").exists()
    assert look(tmp_path).state == "finished"
    said = pl.read_csv(tmp_path / "validation/4/observations.csv", schema_overrides={"patient": pl.String})
    own = {name: {cohort.patients[i] for i in cohort.patient[getattr(cohort, name)]} for name in ("train", "val")}
    assert {name: set(said.filter(pl.col("split") == name)["patient"]) for name in ("train", "val")} == own
    scores = artifacts.read_scores(tmp_path, 4, "val")
    assert scores["patients"] == "val"
    assert "no fine pairs in validation" in scores["readout"]["threshold"], "decisions are not fitted on who is scored"
    chosen_by = (tmp_path / "validation/4/scores.json").read_bytes()

    evaluate(tmp_path, ["--config.eval.patients=test"])
    assert set(cohort.test.tolist()) < opened
    assert artifacts.read_scores(tmp_path, 4)["patients"] == "test"
    assert (tmp_path / "validation/4/scores.json").read_bytes() == chosen_by
