"""What a run's folder tells of it, and the sentence where a file of it is damaged."""

import pytest

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
