import csv
import json

import pytest

from learner_jax.report.exports import write_sections, write_table
from learner_jax.report.study import read_study


def lines_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_table_holds_the_numbers_of_the_files(demo, tmp_path):
    write_table(tmp_path / "table.csv", read_study(demo))
    lines = lines_of(tmp_path / "table.csv")
    for run in ("combined", "contrastive", "mse"):
        written = {line["name"]: line for line in lines if line["arm"] == run and line["kind"] == "arm"}
        source = json.loads((demo / run / "eval" / "300" / "scores.json").read_text())["rows"]
        assert list(written) == [row["name"] for row in source]
        for row in source:
            for field in ("value", "low", "high", "n_patients", "n_pairs"):
                value = written[row["name"]][field]
                assert (float(value) if value else None) == row[field]
    assert {line["sd_over_seeds"] for line in lines} == {""}


def test_table_holds_means_seeds_and_every_version_of_a_floor(seeds, averaged, compared, tmp_path):
    compared(seeds, "contrastive", averaged(seeds, ["contrastive-0"]), {"mse": ["mse-0", "mse-1", "mse-2"]})
    write_table(tmp_path / "table.csv", read_study(seeds))
    lines = [line for line in lines_of(tmp_path / "table.csv") if line["name"] == "macro_f1"]
    assert [(line["kind"], line["arm"]) for line in lines[:5]] == [
        ("arm", "contrastive"),
        *[("run", f"contrastive-{at}") for at in range(3)],
        ("arm", "mse"),
    ]
    arm = json.loads((seeds / "arms.json").read_text())["contrastive"]
    assert float(lines[0]["sd_over_seeds"]) == arm["sd_over_seeds"]["macro_f1"]
    assert lines[1]["sd_over_seeds"] == ""
    pixels = [line for line in lines if line["arm"] == "raw pixels"]
    assert len(pixels) == 4
    assert float(pixels[0]["value"]) == pytest.approx(sum(float(line["value"]) for line in pixels[1:]) / 3)
    assert float(pixels[0]["sd_over_seeds"]) > 0


def test_sections_of_all_runs_are_one_table(demo, tmp_path):
    write_sections(tmp_path / "all.csv", read_study(demo))
    lines = lines_of(tmp_path / "all.csv")
    assert list(lines[0])[:4] == ["run", "step", "section", "name"]
    for run in ("combined", "contrastive", "mse"):
        found = [line for line in lines if line["run"] == run]
        source = lines_of(demo / run / "eval" / "300" / "scores.csv") + lines_of(demo / run / "eval" / "floors.csv")
        assert [(line["section"], line["name"], line["at"]) for line in found] == [
            (line["section"], line["name"], line["at"]) for line in source
        ]
        assert [float(line["value"]) for line in found] == [float(line["value"]) for line in source]
