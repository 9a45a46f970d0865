"""Embeddings for other tools: those that were scored, beside what the cohort table says of their scans."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
from polars.testing import assert_frame_equal

from learner_jax.data.source import Records
from learner_jax.evaluators.readouts import Readout
from learner_jax.predict.embed import main
from tfds_builders.cohort import read_table


def command(trained: Path, data: Path, out: Path, *more: str) -> int:
    return main(["--workdir", str(trained), "--data_dir", str(data), "--out", str(out), *more])


def test_embeddings_give_the_scores_that_the_evaluation_predicted(trained, dataset, tmp_path, capsys):
    out = tmp_path / "new" / "embeddings.parquet"
    assert command(trained, dataset, out) == 0
    table = pl.read_parquet(out)
    assert_frame_equal(table.drop("embedding", "seen"), read_table(dataset))
    u = table["embedding"].to_numpy()
    assert u.dtype == np.float32
    assert f"{out}: embeddings of 72 scans, {u.shape[1]} numbers each, at step 4" in capsys.readouterr().out
    # one scan a visit here; the ridge read-out is a plain formula of what it keeps
    readout = Readout.read(trained / "eval/4", "readout")
    table = table.with_columns(pl.Series("predicted", readout.scores(u)))
    scored = pl.read_csv(trained / "eval/4/observations.csv", schema_overrides={"patient": pl.String})
    both = scored.join(table.with_columns(pl.col("visit").cast(pl.Int64)), on=["patient", "visit"])
    assert len(both) == len(scored) == 72
    np.testing.assert_allclose(both["predicted_right"], both["predicted"], rtol=1e-6)
    part = {"train": "train", "val": "val", "test": None}
    assert both["seen"].to_list() == [part[split] for split in both["split"]]


def test_a_scan_that_cannot_be_read_has_no_row_and_is_counted(trained, dataset, tmp_path, monkeypatch, capsys):
    whole = tmp_path / "whole.parquet"
    assert command(trained, dataset, whole) == 0
    read = Records.read

    def lossy(records, asked):
        found = read(records, asked)
        lost = [
            record | {"scan_id": b"other"} if row == 5 else record for row, record in zip(asked, found, strict=True)
        ]
        return [records._checked(row, record) for row, record in zip(asked.tolist(), lost, strict=True)]

    monkeypatch.setattr(Records, "read", lossy)
    assert command(trained, dataset, tmp_path / "lossy.parquet") == 0
    assert "embeddings of 71 scans" in (told := capsys.readouterr().out)
    assert "; 1 scan cannot be read" in told
    left = pl.read_parquet(whole).with_row_index().filter(pl.col("index") != 5).drop("index")
    assert_frame_equal(pl.read_parquet(tmp_path / "lossy.parquet"), left)


def test_what_cannot_be_done_is_a_sentence_and_writes_nothing(trained, dataset, tmp_path, capsys):
    assert command(trained, dataset, tmp_path / "e.csv") == 2
    assert "e.csv; the table is written as Parquet" in capsys.readouterr().err
    assert command(trained, dataset, tmp_path / "e.parquet", "--step", "3") == 2
    assert "step 3" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_patients_of_another_key_are_said_to_be_unknown(trained, dataset, tmp_path, capsys):
    workdir = Path(shutil.copytree(trained, tmp_path / "run"))
    values = json.loads((workdir / "split.json").read_text()) | {"key_fingerprint": "another"}
    (workdir / "split.json").write_text(json.dumps(values))
    assert command(workdir, dataset, tmp_path / "e.parquet") == 0
    assert f"it CANNOT be checked whether {workdir} was trained on these patients: they" in capsys.readouterr().err
    assert pl.read_parquet(tmp_path / "e.parquet")["seen"].null_count() == 72
