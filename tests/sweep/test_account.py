"""What a sweep keeps account of: its studies, part by part, and each opening of test."""

import pytest

from learner_jax.sweep.account import note_opened, read_opened, read_studies, write_studies
from tfds_builders.errors import InputError


def test_studies_are_told_of_before_any_run_and_parts_of_a_file_keep_its_order(tmp_path):
    out = tmp_path / "new" / "sweep"
    with pytest.raises(InputError, match=r"holds no sweep\.json"):
        read_studies(out)
    write_studies(out, [{"name": "b", "seeds": [0]}], ["a", "b"])
    write_studies(out, [{"name": "a"}], ["a", "b"])
    assert read_studies(out) == [{"name": "a"}, {"name": "b", "seeds": [0]}]
    write_studies(out, [{"name": "b", "seeds": [1]}], ["b"])  # the file has no study a any more
    assert read_studies(out) == [{"name": "b", "seeds": [1]}]


def test_each_opening_is_noted_and_one_that_was_cut_off_and_goes_on_is_one(tmp_path):
    names, others = tmp_path / "names.txt", tmp_path / "others.txt"
    names.write_text("a\nb\nc\n")
    others.write_text("c\nd\n")
    assert read_opened(tmp_path) == []
    note_opened(tmp_path, names, ["a", "b", "c"])
    note_opened(tmp_path, names, ["b", "c"])  # a had its scores
    assert [line["runs"] for line in read_opened(tmp_path)] == [["a", "b", "c"]]
    note_opened(tmp_path, others, ["d"])
    assert [line["runs"] for line in read_opened(tmp_path)] == [["a", "b", "c"], ["d"]]


def test_an_account_is_never_half_a_line_and_a_damaged_one_is_a_sentence(tmp_path, monkeypatch):
    names = tmp_path / "names.txt"
    names.write_text("a\n")
    note_opened(tmp_path, names, ["a"])
    before = (tmp_path / "opened.jsonl").read_text()

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", killed)
        with pytest.raises(KeyboardInterrupt):
            note_opened(tmp_path, names, ["b"])
    assert (tmp_path / "opened.jsonl").read_text() == before
    (tmp_path / "opened.jsonl").write_text(before + before[:9])
    with pytest.raises(InputError, match=r"opened\.jsonl cannot be read .*records when test patients were opened"):
        read_opened(tmp_path)
    for damaged in ('{"studies": [', "[]", "{}"):
        (tmp_path / "sweep.json").write_text(damaged)
        with pytest.raises(InputError, match=r"sweep\.json cannot be read .*learner_jax\.sweep run FILE"):
            read_studies(tmp_path)
