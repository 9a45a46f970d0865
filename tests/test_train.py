"""The loop on a real cohort: 4 steps are 2 and 2 more, also after signals; and what it leaves behind."""

import dataclasses
import json
import shutil
import signal
import time
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from learner_jax import backbones
from learner_jax.assembly import assemble
from learner_jax.batch import BatchSpec
from learner_jax.checkpoint import Checkpoints
from learner_jax.data import cohort as cohorts
from learner_jax.data.pipeline import evaluation_batches, open_reader, training_batches
from learner_jax.data.samplers.shuffled import Shuffled
from learner_jax.fields import override
from learner_jax.lock import only_trainer
from learner_jax.mesh import make_mesh
from learner_jax.placement import placed_shapes
from learner_jax.preemption import Preempted
from learner_jax.report import goodput
from learner_jax.report.health import look
from learner_jax.report.writer import read_metrics
from learner_jax.state import TrainState
from learner_jax.train import Action, loop, train
from tests.command import Run, committed
from tests.contents import digests
from tfds_builders import splits
from tfds_builders.errors import InputError

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def config(make_config):
    return make_config()


@pytest.fixture(scope="module")
def undisturbed(config, tmp_path_factory):
    """A run of 4 steps that nobody stopped."""
    workdir = tmp_path_factory.mktemp("undisturbed")
    train(config, workdir)
    return workdir


def test_a_run_leaves_config_metrics_checkpoints_and_scores(undisturbed, config):
    assert json.loads((undisturbed / "config.json").read_text()) == dataclasses.asdict(config)
    lines = read_metrics(undisturbed / "metrics.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert {"loss", "mse", "learner", "gradient_norm", "skipped", "zero_loss_share"} <= set(lines[0])
    health = {"mean_cosine", "effective_rank", "alignment", "uniformity", "contrastive_accuracy"}
    assert all(line[name] is not None for line in lines for name in health)
    with Checkpoints(undisturbed) as checkpoints:
        assert checkpoints.steps() == [2, 4]
    scores = json.loads((undisturbed / "eval" / "4" / "scores.json").read_text())
    values = {row["name"]: row for row in scores["rows"]}
    assert 0 <= values["pairwise_accuracy"]["low"] <= values["pairwise_accuracy"]["value"] <= 1
    assert values["pairwise_accuracy"]["n_patients"] > 0
    assert (undisturbed / "eval" / "4" / "readout.safetensors").is_file()


def test_4_steps_are_2_and_2_more_to_the_bit(undisturbed, config, tmp_path):
    with pytest.raises(Preempted, match="stopped after step 2 of 4"):
        train(config, tmp_path, preempted=lambda step: step == 2)
    assert not (tmp_path / "eval").exists()
    train(config, tmp_path)
    assert digests(tmp_path, 4) == digests(undisturbed, 4)
    assert (tmp_path / "metrics.jsonl").read_text() == (undisturbed / "metrics.jsonl").read_text()
    assert (tmp_path / "eval/4/scores.json").read_text() == (undisturbed / "eval/4/scores.json").read_text()


def test_queue_schedules_sampler_average_and_half_an_update_go_on_where_they_were(make_config, tmp_path):
    config = make_config()
    config.optim.accumulate, config.optim.average, config.train.remat = 2, 0.9, "blocks"
    config.sampler.name = "patients_by_visits"
    config.objective.name, config.objective.queue = "rank_n_contrast", 24
    config.objective.ramp, config.objective.temperature_end = "rise", 0.5
    train(config, tmp_path / "whole")
    with pytest.raises(Preempted):
        train(config, tmp_path / "halves", preempted=lambda step: step == 3)
    train(config, tmp_path / "halves")
    assert digests(tmp_path / "halves", 4) == digests(tmp_path / "whole", 4)
    whole = (tmp_path / "whole" / "metrics.jsonl").read_text()
    assert (tmp_path / "halves" / "metrics.jsonl").read_text() == whole


def test_what_is_frozen_stays_and_a_resumed_run_goes_on_with_the_rest(make_config, tmp_path):
    config = make_config()
    config.optim.freeze, config.optim.layer_decay = "conv1/*, layer1/*", 0.5
    with pytest.raises(Preempted):
        train(config, tmp_path, preempted=lambda step: step == 2)
    train(config, tmp_path)
    backbone, spec = backbones.create(config.backbone.name), BatchSpec(16, 2, 32, 32, 1)
    fresh = flatten_dict(
        jax.jit(partial(backbone.init, spec=spec))(jax.random.fold_in(jax.random.key(config.seed), 0)), sep="/"
    )
    with Checkpoints(tmp_path) as checkpoints:
        for step in (2, 4):
            abstract = placed_shapes(backbone.shapes(spec), make_mesh())
            now = flatten_dict(checkpoints.restore_for_scoring(step, abstract)[0], sep="/")
            same = {path for path in now if np.array_equal(now[path], fresh[path])}
            assert {path for path in now if path.startswith(("params/conv1/", "params/layer1/"))} <= same
            assert not any(path.startswith(("params/layer4/", "stats/")) for path in same)  # statistics follow the data
    config.optim.freeze = "stem/*"
    with pytest.raises(
        InputError, match=r"names 'stem/\*', which no parameter of the backbone fits; there are conv1/\*"
    ):
        train(config, tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


def test_a_run_that_diverges_ends_with_what_to_try(make_config, tmp_path, capsys):
    config = make_config()
    config.steps, config.checkpoint.every, config.objective.name = 40, 100, "mse"
    config.optim.learning_rate, config.optim.warmup, config.optim.clip_norm = 1e30, 0.0, 0.0
    with pytest.raises(InputError, match=r"of 10 steps in a row.*--config.optim.learning_rate \(now 1e\+30\)"):
        train(config, tmp_path)
    assert "changed nothing: its loss or gradient is not finite. Rows of the cohort: " in capsys.readouterr().out


def test_a_workdir_with_a_trainer_is_refused(config, tmp_path):
    with only_trainer(tmp_path), pytest.raises(InputError, match="another trainer works in"):
        train(config, tmp_path)
    assert not (tmp_path / "config.json").exists()


def test_a_finished_run_does_nothing_more_and_says_so(undisturbed, config, capsys):
    before = {path: path.stat().st_mtime_ns for path in (undisturbed / "checkpoints").rglob("*")}
    train(config, undisturbed)
    assert {path: path.stat().st_mtime_ns for path in (undisturbed / "checkpoints").rglob("*")} == before
    assert "is finished: step 4 of 4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("--config.batch_size=8", "batch_size was 16 and is 8. Use a new --workdir"),
        (
            "--config.backbone.name=tsm_resnet18_narrow",
            "backbone.name was 'tsm_resnet18-test' and is 'tsm_resnet18_narrow'",
        ),
        ("--config.objective.name=mse", "objective.name was 'learner_combined' and is 'mse'"),
    ],
)
def test_another_recipe_in_the_same_workdir_is_refused(undisturbed, make_config, argument, sentence):
    other = make_config()
    override(other, argument)
    with pytest.raises(InputError, match=sentence):
        train(other, undisturbed)


def test_a_change_that_is_allowed_is_told_of_in_every_checkpoint_from_then_on(
    undisturbed, make_config, tmp_path, capsys
):
    workdir, config = shutil.copytree(undisturbed, tmp_path / "run"), make_config()
    config.steps, config.optim.learning_rate = 6, 1e-3
    with pytest.raises(
        InputError, match=r"optim.learning_rate was 0.002 and is 0.001. Use .* or train on with them by --allow_changed"
    ):
        train(config, workdir)
    train(config, workdir, allow_changed=True)
    change = "from step 4 on: optim.learning_rate was 0.002 and is 0.001"
    assert change in capsys.readouterr().out
    train(config, workdir)  # no change any more, and nothing forgotten
    with Checkpoints(workdir) as checkpoints:
        assert checkpoints.steps() == [2, 4, 6]
        assert change in checkpoints.meta(6)["changed"]
        assert checkpoints.meta(4)["changed"] == []
        shapes = assemble(config).state_shapes()
        rates = [float(checkpoints.restore(step, shapes).learning_rate) for step in (4, 6)]
    assert rates == pytest.approx([0.002, 0.001])


def test_scores_of_steps_that_are_trained_anew_are_set_aside(undisturbed, make_config, tmp_path):
    """Else a run stopped before it has scored its own last step would end with the scores of another model."""
    workdir, config = shutil.copytree(undisturbed, tmp_path / "run"), make_config()
    old = (workdir / "eval/4/scores.json").read_bytes()
    shutil.rmtree(workdir / "checkpoints/4")
    (workdir / "eval/2").mkdir()
    config.optim.learning_rate = 0.02
    with pytest.raises(Preempted):
        train(config, workdir, preempted=lambda step: step == 3, allow_changed=True)
    assert sorted(path.name for path in (workdir / "eval").iterdir()) == ["2", "4.old"]
    train(config, workdir)
    assert (workdir / "eval/4.old/scores.json").read_bytes() == old
    assert (workdir / "eval/4/scores.json").read_bytes() != old


def test_arrays_that_no_longer_fit_are_refused_with_a_sentence(undisturbed, make_config, tmp_path):
    workdir, config = shutil.copytree(undisturbed, tmp_path / "run"), make_config()
    config.objective.projection = 16
    with pytest.raises(
        InputError, match=r"of step 4 and config.steps is 4, so nothing would be trained from step 4 on"
    ):
        train(config, workdir, allow_changed=True)
    assert json.loads((workdir / "config.json").read_text())["objective"]["projection"] == 8
    config.steps = 6
    with pytest.raises(InputError, match=r"step 4 in .* holds other arrays than this config's backbone, objective and"):
        train(config, workdir, allow_changed=True)


def test_another_split_in_the_same_workdir_is_refused(undisturbed, make_config, tmp_path):
    moved = tmp_path / "dataset"
    other = make_config()
    shutil.copytree(other.data.dir, moved)
    assert splits.main([str(moved), "--name", "other", "--seed", "9"]) == 0
    (moved / "splits/other.json").rename(moved / "splits/default.json")
    other.data.dir = str(moved)
    with pytest.raises(InputError, match="were trained with another split and training rows than"):
        train(other, undisturbed)


def test_other_training_rows_are_refused_by_the_field_that_chose_them(undisturbed, make_config):
    other = make_config()
    other.steps, other.data.visits_per_patient = 6, "one"
    for allowed in (False, True):
        told = r"another training rows .*\(data.visits_per_patient was 'all' and is 'one'\).* set other fields"
        with pytest.raises(InputError, match=told) as caught:
            train(other, undisturbed, allow_changed=allowed)
        assert "--allow_changed" not in str(caught.value)


def test_a_finished_run_keeps_the_config_that_it_was_scored_with(undisturbed, make_config, tmp_path, capsys):
    workdir, other = shutil.copytree(undisturbed, tmp_path / "run"), make_config()
    before = (workdir / "config.json").read_bytes()
    other.eval.change_threshold = 60.0
    train(other, workdir)
    assert "is finished: step 4 of 4; learner_jax.evaluate scores it in another way" in capsys.readouterr().out
    assert (workdir / "config.json").read_bytes() == before


def test_the_stream_from_step_2_is_the_stream_resumed_at_step_2(config):
    cohort = cohorts.load(config.data)
    reader = open_reader(cohort, config.data)
    sampler = Shuffled(cohort.labeled_train, 16)
    whole = list(training_batches(reader, sampler, 0, 0, 5, make_mesh()))
    resumed = list(training_batches(reader, sampler, 0, 2, 5, make_mesh()))
    for one, two in zip(whole[2:], resumed, strict=True):
        jax.tree.map(np.testing.assert_array_equal, one, two)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_stream_does_not_depend_on_threads(config, threads):
    cohort = cohorts.load(config.data)
    sampler = Shuffled(cohort.labeled_train, 16)
    streams = []
    for read_threads in (2, threads):
        data = dataclasses.replace(config.data, read_threads=read_threads)
        streams.append(list(training_batches(open_reader(cohort, data), sampler, 0, 0, 4, make_mesh())))
    jax.tree.map(np.testing.assert_array_equal, *streams)


def test_evaluation_reads_each_row_once_in_order_and_pads_the_last_batch(config):
    cohort = cohorts.load(config.data)
    rows = np.array([5, 1, 7, 3, 2, 9, 11, 4, 30, 6])
    batches = list(evaluation_batches(open_reader(cohort, config.data), rows, 8, make_mesh()))
    assert np.concatenate([batch.row[batch.mask] for batch in batches]).tolist() == rows.tolist()
    assert [int(batch.mask.sum()) for batch in batches] == [8, 2]


def test_scores_reach_the_objective_standardised_on_training_patients(config):
    cohort = cohorts.load(config.data)
    z = cohort.standardise(cohort.score[cohort.labeled_train])
    assert abs(float(z.mean())) < 1e-5
    assert float(z.std()) == pytest.approx(1, abs=1e-4)


def test_one_visit_per_patient_shows_training_one_visit_and_keeps_the_others_for_evaluation(config):
    every = cohorts.load(config.data)
    one = cohorts.load(dataclasses.replace(config.data, visits_per_patient="one"))
    assert set(one.train) < set(every.train)
    for patient in np.unique(every.patient[every.train]):
        assert len(np.unique(one.visit[one.train][one.patient[one.train] == patient])) == 1
    np.testing.assert_array_equal(one.test, every.test)


def test_a_planted_leak_stops_the_start_with_a_sentence(config, tmp_path):
    folder = tmp_path / "leaky"
    shutil.copytree(config.data.dir, folder)
    path = folder / "splits" / "default.json"
    split = json.loads(path.read_text())
    split["test"].append(split["train"][0])
    path.write_text(json.dumps(split))
    data = dataclasses.replace(config.data, dir=str(folder))
    with pytest.raises(InputError, match="patient"):
        cohorts.load(data)


def test_what_is_due_when():
    log = []
    actions = [
        Action(lambda step, state, metrics: log.append(("every", step)), every=2),
        Action(lambda step, state, metrics: log.append(("end", step)), every=0),
        Action(lambda step, state, metrics: log.append(("save", step)), every=4, at_preemption=True),
        Action(lambda step, state, metrics: log.append(("score", step)), every=3, at_preemption=False),
    ]

    at = lambda step: TrainState(step, {}, {}, {}, (), {}, 0, 0, 0, 0)  # noqa: E731
    advance = lambda state, batch: (at(state.step + 1), {})  # noqa: E731
    run = lambda start, preempted: loop(at(start), iter(range(5 - start)), advance, actions, 5, preempted)  # noqa: E731
    run(0, lambda step: False)
    last = [("every", 5), ("end", 5), ("save", 5), ("score", 5)]
    assert log == [("every", 2), ("score", 3), ("every", 4), ("save", 4), *last]
    log.clear()
    with pytest.raises(Preempted):
        run(0, lambda step: step == 3)
    assert log == [("every", 2), ("save", 3)], "what takes long waits for the next life"
    log.clear()
    run(4, lambda step: True)
    assert log == last, "a run that is told to stop after its last step is finished"


def test_sigterm_in_an_evaluation_ends_it_and_the_same_command_begins_it_again(tiny_dataset, tmp_path):
    start = partial(Run, 1, tmp_path / "run", tiny_dataset, tmp_path, devices=1, config__steps=8, config__eval__every=3)
    run = start(config__eval__bootstrap=500_000)  # half a minute or more
    try:
        run.until(lambda: committed(run.workdir) == [3])  # what comes before an evaluation
        time.sleep(1)
        run.processes[0].send_signal(signal.SIGTERM)
        told = time.monotonic()
        assert run.wait(60) == [143], run.said(0)
        assert time.monotonic() - told < 25
        assert not (run.workdir / "eval").exists()
        run = start(config__eval__bootstrap=100)
        assert run.wait() == [0], run.said(0)
    finally:
        run.kill()
    assert "step 8: pairwise_accuracy " in run.said(0)
    assert {file.parent.name for file in (run.workdir / "eval").glob("*/scores.json")} == {"3", "6", "8"}


def test_after_sigterm_sigkill_and_a_flipped_bit_the_same_command_ends_where_an_undisturbed_run_does(
    tiny_dataset, tmp_path
):
    steps = 40

    def start(name):
        every = {"config__checkpoint__every": 3, "config__checkpoint__keep": 100}
        return Run(1, tmp_path / name, tiny_dataset, tmp_path, devices=1, config__steps=steps, **every)

    calm = start("calm")
    assert calm.wait() == [0], calm.said(0)

    run = start("disturbed")
    run.until(lambda: run.steps() >= 4)
    assert look(run.workdir).state == "running"
    run.processes[0].send_signal(signal.SIGTERM)
    assert run.wait(60) == [143], run.said(0)
    assert "the checkpoint is committed, the same command goes on from there" in run.said(0)
    stopped = max(committed(run.workdir))
    assert 4 <= stopped < steps
    health = look(run.workdir)
    assert (health.state, health.ended, health.step) == ("interrupted", "preempted", stopped)

    run = start("disturbed")
    run.until(lambda: run.steps() >= stopped + 4)
    run.kill()
    health = look(run.workdir)
    assert (health.state, health.ended) == ("interrupted", "killed")
    assert health.step >= stopped + 4
    *_, restart, newest = sorted(committed(run.workdir))
    file = max((run.workdir / f"checkpoints/{newest}/encoder").rglob("*"), key=lambda path: path.stat().st_size)
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    run = start("disturbed")
    assert run.wait() == [0], run.said(0)
    assert f"checkpoints/{newest} is damaged and passed over" in run.said(0)
    assert digests(run.workdir, steps) == digests(calm.workdir, steps)
    assert (run.workdir / "metrics.jsonl").read_text() == (calm.workdir / "metrics.jsonl").read_text()
    assert look(run.workdir).state == "finished"
    lives = goodput.read(run.workdir)
    assert [(life.start, life.ended) for life in lives] == [(0, "preempted"), (stopped, ""), (restart, "finished")]
    assert goodput.total(lives).repeated == health.step - restart


@pytest.mark.slow
def test_200_steps_are_the_same_twice_to_the_bit(tiny_dataset, tmp_path):
    lines, arrays = [], []
    for name in ("one", "two"):
        run = Run(1, tmp_path / name, tiny_dataset, tmp_path, config__steps=200)
        assert run.wait() == [0], run.said(0)
        lines.append(read_metrics(run.workdir / "metrics.jsonl"))
        arrays.append(digests(run.workdir, 200))
    assert arrays[0] == arrays[1]
    assert len(lines[0]) == 200
    for name in ("loss", "gradient_norm", "trail"):
        assert [line[name] for line in lines[0]] == [line[name] for line in lines[1]]
