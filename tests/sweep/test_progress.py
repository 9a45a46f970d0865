"""What a run's folder tells of it, and the sentence where a file of it is damaged."""

import dataclasses
import json

import pytest

from learner_jax.fields import override
from learner_jax.sweep.plan import Budget, Study
from learner_jax.sweep.progress import finished, validation_score
from learner_jax.sweep.runs import Run
from tfds_builders.errors import InputError


@pytest.mark.parametrize("damaged", ['{"rows": [', "[]", ""])
def test_a_damaged_file_is_a_sentence(make_config, tmp_path, damaged):
    study = Study("study", "configs/demo.py", {"mse": {}}, Budget(steps=3))
    run = Run(study, "all", "mse", 0, None, {})
    scores = tmp_path / run.id / "validation/3/scores.json"
    scores.parent.mkdir(parents=True)
    scores.write_text(damaged)
    with pytest.raises(InputError, match=r"scores\.json cannot be read .*Remove it; the same sweep writes it again"):
        validation_score(tmp_path / run.id, 3, "pairwise_accuracy")
    (tmp_path / run.id / "config.json").write_text(damaged)
    with pytest.raises(InputError, match=r"config\.json cannot be read"):
        finished(run, tmp_path, make_config())


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("data.split", "halves", "data.split was 'default' and is 'halves'"),
        ("data.dir", "elsewhere/another", "data.dir was 'tiny' and is 'another'"),
        ("eval.pairs", "scans", "eval.pairs was 'visits' and is 'scans'"),
        ("eval.change_threshold", 5.0, "eval.change_threshold was 30.0 and is 5.0"),
        ("objective.name", "mse", "objective.name was 'learner_combined' and is 'mse'"),
        ("data.dir", "elsewhere/tiny", ""),
        ("eval.bootstrap", 7, ""),
    ],
)
def test_a_run_that_was_scored_otherwise_is_refused(make_config, tmp_path, field, value, told):
    run = Run(Study("study", "configs/demo.py", {"mse": {}}, Budget(steps=3)), "all", "mse", 0, None, {})
    config = make_config()
    config.data.dir = "data/tiny"
    (tmp_path / run.id).mkdir(parents=True)
    (tmp_path / run.id / "config.json").write_text(json.dumps(dataclasses.asdict(config)))
    assert not finished(run, tmp_path, config)
    override(config, f"--config.{field}={value}")
    if told:
        with pytest.raises(InputError, match=f"holds a run with another config .*: {told}\\. Rename the arm"):
            finished(run, tmp_path, config)
    else:
        assert not finished(run, tmp_path, config)
