"""Predictions equal the evaluator's to the bit; what is unlike the training cohort is refused with a reason."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from learner_jax import evaluate
from learner_jax.data.source import Records
from learner_jax.evaluators.readouts import Readout
from learner_jax.evaluators.readouts.calibration import Calibration
from learner_jax.export.__main__ import main as export
from learner_jax.predict.__main__ import main
from learner_jax.predict.api import Opened, predict
from learner_jax.predict.pairs import Pair, all_pairs
from learner_jax.predict.run import open_run
from learner_jax.predict.wording import abstention, words
from tfds_builders import build


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def command(trained: Path, data: Path, out: Path, *more: str) -> int:
    return main(["--workdir", str(trained), "--data_dir", str(data), "--out", str(out), *more])


def copy(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "copied"))


def change_spec(workdir: Path, **stored: object) -> None:
    """Another read-out, as if the run had been trained on other scans."""
    path = workdir / "eval/4/readout.json"
    values = json.loads(path.read_text())
    for name, value in stored.items():
        (values if name == "calibration" else values["spec"])[name] = value
    path.write_text(json.dumps(values))


def test_test_pairs_are_predicted_as_they_were_scored_to_the_bit(trained, dataset, tmp_path, capsys):
    scored = rows(trained / "eval/4/pairs.csv")
    # the evaluation's own pairs.csv names them; the words are of the config
    assert command(trained, dataset, tmp_path / "p.csv", "--pairs", str(trained / "eval/4/pairs.csv")) == 0
    said = rows(tmp_path / "p.csv")
    same = ("patient", "visit_1", "visit_2", "days", "predicted_change", "predicted_delta", "p_decreased", "p_stable",
            "p_increased")  # fmt: skip
    assert [[row[name] for name in same] for row in said] == [[row[name] for name in same] for row in scored]
    assert len(said) == 15
    readout = Readout.read(trained / "eval/4", "readout")
    level, width = readout.calibration.level, readout.calibration.half_width
    words = {"-1": "declined", "0": "stable", "1": "improved"}
    for row in said:
        assert row["said"] == words[row["predicted_change"]]
        delta, low, high = (float(row[name]) for name in ("predicted_delta", "delta_low", "delta_high"))
        assert (low, high) == (delta - width, delta + width)
        p = np.array([float(row[f"p_{name}"]) for name in ("decreased", "stable", "increased")])
        held = 1 - p <= level
        alone = held.sum() == 1 and held[int(row["predicted_change"]) + 1]
        assert (row["abstain"] == "") == alone
    printed = capsys.readouterr().out
    assert printed.startswith("15 pairs of 5 patients: ")
    assert "The run was trained on synthetic scans. Not for clinical use.\n" in printed
    about = json.loads((tmp_path / "p.json").read_text(), parse_constant=pytest.fail)
    assert (about["note"], about["better"], about["step"], about["score"]) == (
        "Not for clinical use.", "higher", 4, "sf_ratio",
    )  # fmt: skip
    assert about["calibration"]["n_patients"] == 10
    assert [str(pair["predicted_delta"]) for pair in about["pairs"]] == [row["predicted_delta"] for row in said]
    assert str(tmp_path) not in json.dumps(about)


def test_patients_of_training_and_validation_are_abstained_from(trained, dataset, tmp_path):
    assert command(trained, dataset, tmp_path / "p.csv") == 0
    split = json.loads((trained / "split.json").read_text())
    reason = dict.fromkeys(split["train"], "the run was trained on this patient")
    reason |= dict.fromkeys(split["val"], "the run was calibrated on this patient")
    said = rows(tmp_path / "p.csv")
    assert len(said) == 24 * 3
    for row in said:
        if row["patient"] in reason:
            assert row["abstain"].startswith(reason[row["patient"]])
        else:
            assert "on this patient" not in row["abstain"]


@pytest.fixture
def repeated(trained, files, tmp_path, identity_key) -> Path:
    """A dataset of three patients: the first has both scans of the others' first visits in one visit."""
    view = open_run(trained).views[0]
    lines = ["scan,patient,visit,time_days,view,sf_ratio"]
    for patient, visit, source in (
        ("a", 1, 0),
        ("a", 1, 1),
        ("a", 2, 0),
        ("b", 1, 0),
        ("b", 2, 0),
        ("c", 1, 1),
        ("c", 2, 0),
    ):
        name = f"{len(lines)}.avi"
        shutil.copyfile(files[source], tmp_path / name)
        lines.append(f"{name},{patient},{visit},{visit},{view},")
    (tmp_path / "cohort.csv").write_text("\n".join(lines))
    flags = ["--cohort", str(tmp_path / "cohort.csv"), "--scores", "sf_ratio", "--data_dir", str(tmp_path / "data")]
    assert build.main(["ultrasound_clips", *flags, "--frames", "4", "--size", "32", "--processes", "1"]) == 0
    return tmp_path / "data"


def test_a_visit_is_the_mean_of_its_scans_also_where_the_run_was_trained_to_be_scored_on_scans(
    trained, repeated, tmp_path
):
    workdir = copy(trained, tmp_path)  # its evaluation is of visits, as after --config.eval.pairs=visits
    config = json.loads((workdir / "config.json").read_text())
    config["eval"]["pairs"] = "scans"
    (workdir / "config.json").write_text(json.dumps(config))
    opened = Opened(open_run(workdir), repeated)
    said = {one.patient: one.delta for one in predict(opened, all_pairs(opened.cohort))}
    patients = [opened.cohort.patients[p] for p in opened.cohort.patient[[0, 3, 5]]]
    both, first, second = (said[patient] for patient in patients)
    assert first != second
    np.testing.assert_allclose(both, (first + second) / 2, rtol=1e-5)  # the read-out is linear


def test_a_checkpoint_is_asked_as_it_was_scored_also_where_the_run_went_on_with_another_config(
    trained, dataset, tmp_path
):
    workdir = copy(trained, tmp_path)
    config = json.loads((workdir / "config.json").read_text())
    config["data"] |= {"frames": 3, "mean": 0.5, "std": 0.5}  # --allow_changed writes them
    (workdir / "config.json").write_text(json.dumps(config))
    scored = rows(trained / "eval/4/pairs.csv")
    assert command(workdir, dataset, tmp_path / "p.csv", "--pairs", str(trained / "eval/4/pairs.csv")) == 0
    said = rows(tmp_path / "p.csv")
    assert [row["predicted_delta"] for row in said] == [row["predicted_delta"] for row in scored]


def test_patients_of_another_key_are_said_to_be_unknown(trained, dataset, repeated, tmp_path, capsys):
    words = f"WARNING: it CANNOT be checked whether {trained} was trained on these patients"
    assert command(trained, dataset, tmp_path / "p.csv") == 0
    assert words not in capsys.readouterr().err
    assert command(trained, repeated, tmp_path / "p.csv") == 0  # a key of the user's, and the run's was the public one
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("better", "words"),
    [("lower", {"improved", "stable", "declined"}), ("", {"score falls", "stable", "score rises"})],
)
def test_which_scores_are_better_is_said_when_predicting(trained, dataset, tmp_path, better, words):
    assert command(trained, dataset, tmp_path / "p.csv", f"--config.eval.better={better}") == 0
    said = {(row["predicted_change"], row["said"]) for row in rows(tmp_path / "p.csv")}
    order = {"lower": ("improved", "stable", "declined"), "": ("score falls", "stable", "score rises")}[better]
    assert said <= set(zip(("-1", "0", "1"), order, strict=True))
    assert set(json.loads((tmp_path / "p.json").read_text())["words"].values()) == words


def test_without_enough_validation_patients_it_abstains(trained, dataset, tmp_path):
    workdir = copy(trained, tmp_path)
    change_spec(workdir, calibration={"coverage": 0.9, "n_patients": 5, "level": None, "half_width": None})
    assert command(workdir, dataset, tmp_path / "p.csv", "--pairs", str(trained / "eval/4/pairs.csv")) == 0
    said = rows(tmp_path / "p.csv")
    assert {row["abstain"] for row in said} == {
        "no calibration: it takes 9 validation patients with fine pairs, and the run had 5"
    }
    assert {row["delta_low"] + row["delta_high"] for row in said} == {""}
    assert {row["p_decreased"] + row["p_stable"] + row["p_increased"] for row in said} == {""}


def test_scans_unlike_the_training_cohort_cost_their_own_pairs(trained, dataset, tmp_path, monkeypatch):
    run = open_run(trained)
    opened = Opened(run, dataset)
    pairs = all_pairs(opened.cohort)
    before = predict(opened, pairs)
    assert not any(one.refused for one in before)
    odd, lost = 4, 40
    read = Records.read

    def brighter(records, asked):
        found = read(records, asked)
        for at, row in enumerate(asked.tolist()):
            if row == odd:
                found[at] = found[at] | {"scan": 255 - found[at]["scan"]}
            if row == lost and isinstance(found[at], dict):  # only once: then it is known to be lost
                found[at] = found[at] | {"scale": np.float32("nan"), "scan_id": b"other"}
        return [records._checked(row, record) for row, record in zip(asked.tolist(), found, strict=True)]

    monkeypatch.setattr(Records, "read", brighter)
    opened = Opened(run, dataset)
    after = predict(opened, pairs)
    cohort = opened.cohort
    own = lambda row: (int(cohort.patient[row]), int(cohort.visit[row]))  # noqa: E731
    for pair, then, now in zip(pairs, before, after, strict=True):
        ends = [(pair.patient, pair.visit_1), (pair.patient, pair.visit_2)]
        if own(odd) in ends:
            assert now.refused.startswith(f"scan {cohort.scan_ids[odd]} of visit {cohort.visit[odd]}: its ")
            assert "intensity is" in now.refused
        if own(lost) in ends:
            assert now.refused.endswith(f"of visit {cohort.visit[lost]}: it cannot be read")
        if own(odd) in ends or own(lost) in ends:
            assert (now.change, now.probability, now.delta) == (None, None, None)
        else:
            assert now == then


@pytest.fixture(scope="module")
def larger(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("larger") / "dataset"
    flags = ["--n_patients", "3", "--visits", "2", "--views", "2", "--frames", "4", "--size", "40"]
    assert build.main(["synthetic_lus", "--data_dir", str(folder), "--processes", "1", *flags]) == 0
    return folder


def test_another_record_shape_is_refused(trained, larger, tmp_path, capsys):
    assert command(trained, larger, tmp_path / "p.csv") == 2
    said = capsys.readouterr().err
    assert "its record shape (t h w c) is [4, 40, 40, 1] and not [4, 32, 32, 1]. Build it" in said
    assert "knobs" not in said  # of a simulation, they are no preprocessing


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"modality": "mri", "axis0": "depth"}, "its modality is 'ultrasound' and not 'mri'; its first axis is 'time'"),
        ({"dtype": "float16"}, "its dtype is 'uint8' and not 'float16'"),
        ({"preprocessing": {"reader": "clip", "size": 32}}, "its preprocessing (size) is None and not 32"),
    ],
)
def test_another_kind_of_dataset_is_refused(trained, dataset, tmp_path, capsys, changed, words):
    workdir = copy(trained, tmp_path)
    stored = json.loads((workdir / "eval/4/readout.json").read_text())["spec"]["stored"]
    change_spec(workdir, stored=stored | changed)
    assert command(workdir, dataset, tmp_path / "p.csv") == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "p.csv").exists()


def test_a_view_that_the_run_has_not_seen_is_refused(trained, dataset, tmp_path, capsys):
    workdir = copy(trained, tmp_path)
    change_spec(workdir, views=["elsewhere"])
    assert command(workdir, dataset, tmp_path / "p.csv") == 2
    assert "which the run has not seen; possible: elsewhere" in capsys.readouterr().err


def test_pairs_that_are_not_there_are_named_by_line(trained, dataset, tmp_path, capsys):
    patient = Opened(open_run(trained), dataset).cohort.patients[0]
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(f"patient,visit_1,visit_2\n{patient},1,7\nnobody,0,1\n{patient},2,1\n{patient},x,1\n")
    assert command(trained, dataset, tmp_path / "p.csv", "--pairs", str(pairs)) == 2
    said = capsys.readouterr().err
    assert "has 4 faults:" in said
    assert f"line 2: patient {patient} has no visit 7" in said
    assert "line 3: the dataset has no patient 'nobody'; patients are named by their hashes: python -m" in said
    assert "line 4: visit_1 is 2, not before visit_2, 1" in said
    assert "line 5: visit_1 is 'x'; it is an integer" in said
    pairs.write_text("patient,visit1,visit_2\n")
    assert command(trained, dataset, tmp_path / "p.csv", "--pairs", str(pairs)) == 2
    assert "has no column 'visit_1'; did you mean 'visit1'?" in capsys.readouterr().err


def test_what_is_no_evaluated_run_is_refused(trained, dataset, tmp_path, capsys):
    assert command(tmp_path, dataset, tmp_path / "p.csv") == 2
    assert "is no run: it holds no config.json" in capsys.readouterr().err
    assert command(trained, dataset, tmp_path / "p.csv", "--step", "3") == 2
    assert "step 3 of" in (said := capsys.readouterr().err)
    assert "was not evaluated; evaluated: 4" in said
    workdir = copy(trained, tmp_path)
    shutil.rmtree(workdir / "checkpoints/4")
    assert command(workdir, dataset, tmp_path / "p.csv") == 2
    assert "the checkpoint of the evaluated steps 4 of" in capsys.readouterr().err
    shutil.rmtree(workdir / "eval")
    assert command(workdir, dataset, tmp_path / "p.csv") == 2
    assert (
        "has no evaluation of test patients, and a prediction needs its read-out: python -m learner_jax.evaluate"
        in (capsys.readouterr().err)
    )
    assert command(trained, dataset, tmp_path / "p.csv", "--fast") == 2
    assert "'--fast' is not a flag of this command" in capsys.readouterr().err


def test_a_field_that_a_prediction_does_not_read_is_refused(trained, dataset, tmp_path, capsys):
    for field in ("eval.change_threshold=1", "eval.pairs=scans", "data.dir=elsewhere"):
        assert command(trained, dataset, tmp_path / "p.csv", f"--config.{field}") == 2
        said = capsys.readouterr().err
        assert (
            f"error: '--config.{field}' would change nothing: a prediction takes it from the run's evaluation" in said
        )
        assert f"python -m learner_jax.evaluate --workdir {trained} --config.{field}" in said
    assert not (tmp_path / "p.csv").exists()


def test_a_run_that_was_scored_on_validation_patients_alone_is_told_how_to_be_scored(
    trained, dataset, tmp_path, capsys
):
    workdir = copy(trained, tmp_path)
    config = json.loads((workdir / "config.json").read_text())
    config["eval"]["patients"] = "val"
    (workdir / "config.json").write_text(json.dumps(config))
    (workdir / "eval").rename(workdir / "validation")
    assert command(workdir, dataset, tmp_path / "p.csv") == 2
    assert f"learner_jax.evaluate --workdir {workdir} --config.eval.patients=test\n" in capsys.readouterr().err


def test_a_damaged_run_is_a_sentence(trained, dataset, tmp_path, capsys):
    workdir = copy(trained, tmp_path)
    next((workdir / "checkpoints/4/encoder").rglob("d/*")).write_bytes(b"")
    assert command(workdir, dataset, tmp_path / "p.csv") == 2
    assert "4 is damaged: 1 of " in (said := capsys.readouterr().err)
    assert said.endswith("Copy it again, or use another step\n")
    (workdir / "config.json").write_text('{"steps": 4')
    assert command(workdir, dataset, tmp_path / "p.csv") == 2
    assert evaluate.main(["--workdir", str(workdir)]) == 2
    assert capsys.readouterr().err.count("config.json cannot be read (") == 2


def test_a_bucket_is_refused_and_becomes_no_folder_here(trained, dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = {"--workdir": str(trained), "--data_dir": str(dataset), "--out": "p.csv"}
    for name in flags:
        given = flags | {name: "gs://lab/new"}
        assert main([word for flag in given.items() for word in flag]) == 2
        assert "error: gs://lab/new is in a bucket, where only the trainer works" in capsys.readouterr().err
    assert export(["--workdir", str(trained), "--out", "gs://lab/new"]) == 2
    assert "error: gs://lab/new is in a bucket" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_neither_json_nor_a_folder_takes_the_place_of_the_csv(trained, dataset, tmp_path, capsys):
    for out in (tmp_path / "p.json", tmp_path):
        assert command(trained, dataset, out) == 2
        assert f"{out} cannot be the CSV of predictions, beside which a .json is written" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_run_that_was_calibrated_on_neighbouring_visits_is_asked_of_those(trained, dataset, tmp_path):
    workdir = copy(trained, tmp_path)
    path = workdir / "eval/4/readout.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"order": "consecutive"}))
    assert command(workdir, dataset, tmp_path / "p.csv") == 0
    visits = [(int(row["visit_1"]), int(row["visit_2"])) for row in rows(tmp_path / "p.csv")]
    assert len(visits) == 24 * 2
    assert all(second - first == 1 for first, second in visits)


def test_all_pairs_are_those_of_each_patient(trained, dataset):
    cohort = Opened(open_run(trained), dataset).cohort
    visits = sorted(set(zip(cohort.patient.tolist(), cohort.visit.tolist(), strict=True)))
    assert all_pairs(cohort) == [Pair(p, v, w) for p, v in visits for q, w in visits if p == q and v < w]


@pytest.mark.parametrize(
    ("held", "change", "part", "reason"),
    [
        ([0, 0, 1], 1, "", ""),
        ([0, 1, 1], 1, "", "the 90 % set holds stable and improved"),
        ([1, 1, 1], 1, "", "the 90 % set holds declined, stable and improved"),
        ([0, 0, 0], 0, "", "the 90 % set holds no class"),
        ([0, 1, 0], 1, "", "the 90 % set holds stable, the decision is improved"),
        (None, 0, "", "no calibration: it takes 9 validation patients with fine pairs, and the run had 12"),
        ([0, 0, 1], 1, "train", "the run was trained on this patient, so nothing is known about how sure it is"),
    ],
)
def test_when_it_abstains(held, change, part, reason):
    bound, held = Calibration(0.9, 12, 0.5, 1.0), None if held is None else np.array(held, bool)
    assert abstention(held, change, bound, words("higher"), part) == reason
