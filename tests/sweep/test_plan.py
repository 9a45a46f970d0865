"""What a sweep file may say, and the sentence where it may not."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from learner_jax.sweep.plan import Budget, Study, Sweep, check, grid, load
from learner_jax.sweep.runs import at_rates, search, used_datasets
from tfds_builders.errors import InputError

ROOT = Path(__file__).parents[2]
STUDY = Study(
    name="objectives",
    config="configs/demo.py",
    arms={"mse": {"objective.name": "mse"}, "contrastive": {"objective.name": "learner"}},
    budget=Budget(steps=20),
    settings={"patients=8": {"data.train_patients": 8, "data.dir": "tiny"}, "all": {}},
    seeds=(0, 3),
    learning_rates=(1e-3, 4e-3),
)
SWEEP = Sweep([STUDY], {"tiny": ["tfds_builders.build synthetic_lus --data_dir {dir}"], "other": ["x"]})


def test_every_sweep_file_of_the_repository_loads():
    files = sorted((ROOT / "configs" / "sweeps").glob("*.py"))
    assert files
    for file in files:
        assert load(file).studies


def test_the_example_of_the_docs_is_a_sweep(tmp_path):
    text = (ROOT / "docs" / "comparing.md").read_text()
    (tmp_path / "example.py").write_text(text.split("```python\n")[1].split("```")[0])
    (study,) = load(tmp_path / "example.py").studies
    assert len(study.arms) == 4


def test_a_grid_names_and_sets_all_combinations():
    assert grid(backbone__name=["a", "b"], seed=[1, 2]) == {
        "a 1": {"backbone.name": "a", "seed": 1},
        "a 2": {"backbone.name": "a", "seed": 2},
        "b 1": {"backbone.name": "b", "seed": 1},
        "b 2": {"backbone.name": "b", "seed": 2},
    }


def test_runs_are_the_same_whenever_asked_and_differ_in_what_they_should():
    first, again = (search(SWEEP, STUDY, Path("data")) for _ in range(2))
    assert first == again
    assert [run.id for run in first[:3]] == [
        "objectives/patients=8/mse-lr0.001-0",
        "objectives/patients=8/mse-lr0.004-0",
        "objectives/patients=8/contrastive-lr0.001-0",
    ]
    assert first[0].fields["data.dir"] == "data/tiny"
    rates = {("patients=8", "mse"): 4e-3, ("all", "contrastive"): 1e-3}  # of the others every run failed
    runs = at_rates(SWEEP, STUDY, Path("data"), rates)
    assert [(run.setting, run.arm, run.seed, run.learning_rate) for run in runs] == [
        *[("patients=8", "mse", seed, 4e-3) for seed in (0, 3)],
        *[("all", "contrastive", seed, 1e-3) for seed in (0, 3)],
    ]
    for run in runs:  # a seed is one order of scans and one draw of patients, whatever the arm
        assert run.fields["seed"] == run.fields["data.draw"] == run.seed
    command = runs[1].command(Path("out"), 20)
    assert command[command.index("--workdir") + 1] == "out/objectives/patients=8/mse-lr0.004-3"
    assert {"--config.steps=20", "--config.eval.patients=val", "--config.data.train_patients=8"} <= set(command)
    assert used_datasets(SWEEP, [STUDY]) == ["tiny"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"arms": {}}, "study 'objectives' has no arms"),
        ({"arms": {"a": {"data.train_patients": 3}}}, "sets data.train_patients, in which arms must not differ"),
        ({"arms": {"a": {"eval.pairs": "scans"}}}, "sets eval.pairs, in which arms must not differ"),
        ({"arms": {"a": {"objective.nam": "mse"}}}, "config.objective has no field 'nam'; did you mean 'name'"),
        ({"arms": {"a b": {}, "a_b": {}}}, "two arms are called 'a_b'"),
        ({"arms": {"../a": {}}}, "'../a' becomes a folder"),
        ({"settings": {"..": {}}}, r"'\.\.' becomes a folder.* and no point at its beginning"),
        ({"arms": {"a, b": {}}}, "'a, b' becomes a folder, and stands in lists with commas between"),
        ({"reference": "mes"}, "no arm is called 'mes'; did you mean 'mse'"),
        ({"fields": {"steps": 3}}, "sets steps, which seeds, budget and stages of a sweep set themselves"),
        ({"settings": {"a": {"seed": 3}}}, "sets seed, which seeds"),
        ({"budget": Budget()}, "a budget is of one of steps, examples, flops, seconds"),
        ({"budget": Budget(steps=3, examples=4)}, "a budget is of one of"),
        ({"budget": Budget(steps=-3)}, "a budget is of one of steps, examples, flops, seconds, and above 0"),
        ({"choose_by": "brier"}, "chooses by 'brier', which is not a score for which higher is better"),
        ({"choose_by": "pairwise_acuracy"}, "did you mean 'pairwise_accuracy'"),
        ({"seeds": (1, 1)}, "two seeds are called '1'"),
    ],
)
def test_what_cannot_be_run_or_compared_is_refused(changed, message):
    with pytest.raises(InputError, match=message):
        check(Sweep([dataclasses.replace(STUDY, **changed)]))


def test_a_file_that_is_no_sweep_is_a_sentence(tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*none\.py, whose get_sweep\(\) would return a Sweep"):
        load(tmp_path / "none.py")
    for text, message in (
        ("def get_sweep(): return 3", r"get_sweep\(\) of .* returns a int; a Sweep is needed"),
        ("import no_such_module", "ModuleNotFoundError"),
        ("x = 1", "has no attribute 'get_sweep'"),
    ):
        (tmp_path / "file.py").write_text(text)
        with pytest.raises(InputError, match=message):
            load(tmp_path / "file.py")
    with pytest.raises(InputError, match="two studies are called 'objectives'"):
        check(Sweep([STUDY, STUDY]))
    with pytest.raises(InputError, match="two studies are called 'a_b'"):
        check(Sweep([dataclasses.replace(STUDY, name=name) for name in ("a b", "a_b")]))


def test_fields_of_a_wrong_kind_are_named():
    """In a process without the type checks of these tests, which would come first."""
    study = "Study(name='a', config='b', arms={'mse': {}}, budget=Budget(steps=3))"
    told = {
        f"Sweep([replace({study}, seeds=3)])": "study 'a': seeds is 3; it is a tuple or list",
        f"Sweep([replace({study}, learning_rates=1e-3)])": "study 'a': learning_rates is 0.001; it is a tuple or list",
        f"Sweep([replace({study}, also='tau')])": "study 'a': also is 'tau'; it is a tuple or list",
        f"Sweep([replace({study}, arms=['mse'])])": "study 'a': arms is ['mse']; it is a dictionary",
        f"Sweep([replace({study}, arms=dict(mse='mse'))])": (
            "study 'a': 'mse' is 'mse'; it is a dictionary from fields of the config to values"
        ),
        f"Sweep([replace({study}, budget=5)])": "study 'a': budget is 5; it is a Budget, such as Budget(steps=500)",
        f"Sweep([{study}], ['lus'])": "the datasets of the sweep are ['lus']; they are a dictionary",
        "Sweep([3])": "the studies of the sweep are [3]; they are a list of Study(…)",
        f"Sweep([{study}], dict(lus='build'))": "dataset 'lus' is 'build'; it is a list of the commands that build it",
    }
    script = "from dataclasses import replace\nfrom learner_jax.sweep.plan import Budget, Study, Sweep, check\n"
    for sweep in told:
        script += f"try: check({sweep})\nexcept Exception as fault: print(fault)\n"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == list(told.values())
