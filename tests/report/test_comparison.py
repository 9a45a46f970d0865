import io
import json

import pytest
from rich.console import Console

from learner_jax.report.comparison import probability, sentence, to_terminal
from learner_jax.report.study import entries, read_study
from tfds_builders.errors import InputError

SEEDS = {"mse": ["mse-0", "mse-1", "mse-2"], "single": ["single"]}


@pytest.fixture
def inside(seeds, averaged, compared):
    """The arms of seeds, compared with the contrastive one."""
    compared(seeds, "contrastive", averaged(seeds, [f"contrastive-{at}" for at in range(3)]), SEEDS)
    return seeds


def printed(folder) -> str:
    out = io.StringIO()
    Console(file=out, width=80).print(to_terminal(read_study(folder).comparison))
    return out.getvalue()


def test_a_reference_among_the_arms_is_labeled_there(inside):
    study = read_study(inside)
    found = [(entry.kind, entry.name, entry.label) for entry in entries(study)]
    assert study.notes == ()
    assert found[0] == ("arm", "contrastive", "3 seeds · contrastive alone · reference")
    assert not any(kind == "reference" for kind, *_ in found)


def test_a_reference_from_elsewhere_is_a_line_of_its_own_even_under_the_name_of_an_arm(
    demo, run_at, averaged, compared
):
    run_at(demo.parent / "old" / "mse", "mse", skill=0.1)
    compared(demo, "mse", averaged(demo.parent / "old", ["mse"]), {"mse": ["mse"], "combined": ["combined"]})
    study = read_study(demo)
    found = [(entry.kind, entry.name, entry.label) for entry in entries(study)]
    assert found[2:4] == [("arm", "mse", "MSE alone"), ("reference", "mse", "reference")]
    assert list(entries(study))[3].rows["macro_f1"].value != study.arms[2].rows["macro_f1"].value
    (told,) = study.notes
    assert told.startswith("contrastive is not in comparison.json. `python -m learner_jax.evaluate --compare …` writes")


def test_terminal_has_three_scores_of_each_arm_within_80_columns(inside):
    text = printed(inside)
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("pairwise accuracy") == text.count("three-way macro-F1") == text.count("Kendall τ-b") == 2
    assert "Brier" not in text
    study = read_study(inside)
    difference = study.arms[1].rows["macro_f1"].value - study.arms[0].rows["macro_f1"].value
    assert f"{difference:+.3f} [−0.125, +0.250]".replace("-", "−") in text
    assert "0.0005" in text
    assert text.count("± 0.032") == 3, "of the arm of several seeds alone"
    assert "0.007" in text


def test_long_names_wrap_and_numbers_do_not(demo, run_at, averaged, compared):
    name = "contrastive_with_a_name_of_many_words"
    run_at(demo / name, "mse", skill=0.1)
    arms = {other: [other] for other in ("combined", "contrastive", "mse")}
    compared(demo, name, averaged(demo, [name]), arms)
    assert max(map(len, printed(demo).splitlines())) <= 80
    assert printed(demo).count(" [−0.125, +0.250]") == 9


def test_sentence_says_what_p_and_holm_are(inside):
    told = sentence(read_study(inside).comparison, "95 %")
    assert "interval over patients and ± the SD over pairs of runs with the same seed." in told
    assert "Holm: p adjusted for the 15 scores that are compared of an arm; arms are not adjusted" in told


def test_differences_of_amounts_have_the_digits_of_the_amount(inside):
    path = inside / "comparison.json"
    values = json.loads(path.read_text())
    one = next(one for one in values["differences"]["mse"] if one["row"]["name"] == "delta_mae")
    one["row"].update(value=-3.14159, low=-12.0, high=5.57)
    one.update(first=42.1, second=45.24159)
    path.write_text(json.dumps(values))
    mae = next(one for one in read_study(inside).comparison.differences["mse"] if one.row.name == "delta_mae")
    assert (mae.text, mae.arm_text, mae.reference_text) == ("−3.1 [−12.0, +5.6]", "42.1", "45.2")


def test_a_comparison_older_than_the_scores_or_with_an_arm_that_is_gone_is_said(inside):
    path = inside / "comparison.json"
    values = json.loads(path.read_text())
    values["differences"]["single"][0]["first"] += 0.2
    values["differences"]["old"] = values["differences"]["mse"]
    path.write_text(json.dumps(values))
    told = read_study(inside).notes
    assert told[0].startswith("old: comparison.json compares it, but it is not here.")
    assert told[1].startswith("single: comparison.json is older than its scores (pairwise accuracy differs).")


@pytest.mark.parametrize(
    ("field", "value"), [("differences", [1]), ("differences", {"mse": [{"row": {}}]}), ("rows", None)]
)
def test_damage_is_said(inside, field, value):
    path = inside / "comparison.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(InputError, match=r"comparison.json (is damaged|has a row that is not a score)"):
        read_study(inside)


@pytest.mark.parametrize(("p", "text"), [(1.0, "1.000"), (0.0496, "0.050"), (0.001, "0.001"), (0.0004998, "0.0005")])
def test_probability(p, text):
    assert probability(p) == text


def test_at_80_columns_a_name_is_broken_between_its_words(run_at, averaged, compared, tmp_path):
    names = [f"tsm_resnet18_contrastive-lr{rate}" for rate in ("0.001", "0.004")]
    for name in names:
        run_at(tmp_path / name)
    compared(tmp_path, names[0], averaged(tmp_path, names[:1]), {names[1]: names[1:]})
    words = printed(tmp_path).split()
    known = ("tsm_resnet18_", "contrastive-lr0.001", "contrastive-", "lr0.004")
    head, line = ["tsm_resnet18_", "contrastive-lr0.001"], ["tsm_resnet18_", "contrastive-", "lr0.004"]
    assert [word for word in words if word in known] == head + line
