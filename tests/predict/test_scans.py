"""Two files give the prediction of the same scans as records; what is unlike them is refused; nothing stays behind."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from learner_jax.data.source import Records
from learner_jax.predict import scans
from learner_jax.predict.api import Opened
from learner_jax.predict.files import chosen_view
from learner_jax.predict.run import open_run
from tfds_builders import alike
from tfds_builders.errors import InputError

ROOT = Path(__file__).parents[2]


def test_two_files_give_what_the_same_records_give(trained, dataset, files, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert scans.main([str(trained), *map(str, files)]) == 0
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert lines[0] == "day1.avi → day5.avi"
    assert lines[-1] == f"{trained}, step 4: not for clinical use"
    assert "  the run was trained on synthetic scans" in lines
    assert re.fullmatch(r"  probability: (\w+ \d\.\d\d, ){2}\w+ \d\.\d\d", lines[2])
    amount = re.search(r"sf_ratio ([+-]\S+), 90 % interval ([+-]\S+) to ([+-]\S+) \(stable: up to 30\)", printed)
    opened = Opened(open_run(trained), dataset)
    u = opened.run.readout
    from learner_jax.evaluators.api import Evaluator

    evaluator = Evaluator(opened.config, opened.cohort, opened.reader, opened.backbone, opened.mesh)
    seen = [evaluator.observations(opened.variables, np.array([row])).u for row in (0, 1)]
    delta = float(u.delta(*seen)[0])
    assert amount[1] == f"{delta:+.3g}"
    assert amount[2] == f"{delta - u.calibration.half_width:+.3g}"
    assert os.listdir(tmp_path) == []


def test_the_picture(trained, files, tmp_path, capsys):
    picture = tmp_path / "new" / "change.png"
    assert scans.main([str(trained), *map(str, files), "--picture", str(picture)]) == 0
    assert f"{picture} shows both" in capsys.readouterr().out
    with Image.open(picture) as shown:
        assert shown.size == (1260, 585)
        assert len(np.unique(np.asarray(shown.convert("RGB")).reshape(-1, 3), axis=0)) > 500


def test_a_run_that_abstains_says_so_in_words(trained, files, tmp_path, capsys):
    workdir = Path(shutil.copytree(trained, tmp_path / "run"))
    path = workdir / "eval/4/readout.json"
    values = json.loads(path.read_text())
    values["calibration"] |= {"level": None, "half_width": None, "n_patients": 5}
    path.write_text(json.dumps(values))
    assert scans.main([str(workdir), *map(str, files), "--config.eval.better="]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith(
        "no answer: no calibration: it takes 9 validation patients with fine pairs, and the run had 5"
    )
    assert lines[1].endswith(
        (
            "(the decision alone would be: score rises)",
            "(the decision alone would be: stable)",
            "(the decision alone would be: score falls)",
        )
    )
    assert lines[2] == "  no probability: too few validation patients"
    assert "no interval: too few validation patients" in lines[3]


def test_what_cannot_be_predicted_from_is_refused(trained, files, tmp_path, capsys):
    first, second = map(str, files)
    white = tmp_path / "white.png"
    Image.fromarray(np.full((32, 32), 255, np.uint8) - np.eye(32, dtype=np.uint8)).save(white)
    view = open_run(trained).views[0]
    for arguments, words in (
        (
            [first, str(white)],
            f"error: {white} is unlike the scans that the run was trained on: its mean intensity is 1",
        ),
        ([first, str(tmp_path / "none.mp4")], f"error: there is no scan {tmp_path / 'none.mp4'}: no such file"),
        ([first, "/dev/zero"], "error: there is no scan /dev/zero: no such file"),
        ([first, second, "--picture", str(tmp_path)], f"error: {tmp_path} is a folder; name the file of the picture"),
        ([first, first], "is named twice; a change is between two different scans"),
        ([first, second, "--view", "L9"], f"--view is 'L9', which the run has not seen; possible: {view}"),
        ([first, second, "--fast"], "'--fast' is not a flag of this command"),
    ):
        assert scans.main([str(trained), *arguments]) == 2
        assert words in capsys.readouterr().err


def test_a_file_may_have_any_name_that_can_be_written(trained, files, tmp_path, capsys):
    assert scans.main([str(trained), *map(str, files)]) == 0
    expected = capsys.readouterr().out.splitlines()[1:]
    odd = tmp_path / ' at 9.41\u202fAM, "left" .avi '  # as screenshots are called on a Mac, with blanks around it
    shutil.copyfile(files[1], odd)
    assert scans.main([str(trained), str(files[0]), str(odd)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == expected
    lost = Path(os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcller.avi"))  # Latin-1, from an old archive
    shutil.copyfile(files[1], lost)
    assert scans.main([str(trained), str(files[0]), str(lost)]) == 2
    assert "M\\udcfcller.avi' is not UTF-8; rename it" in capsys.readouterr().err


def test_a_view_must_be_named_where_the_run_knows_several():
    assert chosen_view(None, ("L1",)) == "L1"
    assert chosen_view("R2", ("L1", "R2")) == "R2"
    with pytest.raises(
        InputError, match="the run has seen the views L1, R2; say which one these scans are of with --view"
    ):
        chosen_view(None, ("L1", "R2"))


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_stopped_it_leaves_nothing(trained, files, tmp_path, sent, code):
    command = [sys.executable, "-m", "learner_jax.predict.scans", str(trained), *map(str, files)]
    environment = os.environ | {"TMPDIR": str(tmp_path), "JAX_NUM_CPU_DEVICES": "8"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("learner-predict.*/dataset")):  # in the middle of it
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(sent)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == code, said
    assert list(tmp_path.glob("learner-predict.*")) == []
    assert ("stopped; nothing was written" in said) == (code == 130)


def test_the_records_of_the_files_are_those_of_the_dataset(trained, dataset, files, tmp_path):
    run = open_run(trained)
    folder = alike.build(run.readout.spec["stored"], files, run.views[0], tmp_path)
    opened = Opened(run, folder)
    ours = Records(folder, opened.cohort.scan_ids).read(np.arange(2))
    theirs = Records(dataset, Opened(run, dataset).cohort.scan_ids).read(np.arange(2))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one["scan"], other["scan"])
