"""The exported program, in a process without learner_jax, gives what predict gives, for any number of pairs."""

import dataclasses
import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax import backbones
from learner_jax.backbones.layers.platform import tracing_for
from learner_jax.batch import BatchSpec
from learner_jax.data.cohort import Cohort
from learner_jax.data.source import Records
from learner_jax.data.transforms import Fit
from learner_jax.export import program
from learner_jax.export.__main__ import main
from learner_jax.export.program import PLATFORMS, decide, fit
from learner_jax.placement import on_host
from learner_jax.predict.api import Opened, predict
from learner_jax.predict.pairs import Pair, all_pairs
from learner_jax.predict.run import open_run
from tests.backbones.zoo import ROWS

ALONE = """
import runpy, sys
import numpy as np
for name in ("learner_jax", "tfds_builders"):
    sys.modules[name] = None  # an import of it fails, be it installed or not
loaded = runpy.run_path(sys.argv[1])
given = np.load(sys.argv[2])
for size in (1, 3, 8):
    part = {name: values[:size] for name, values in given.items()}
    np.savez(f"{sys.argv[3]}/{size}.npz", **loaded["predict"](**part))
there = [name for name, module in sys.modules.items() if module is not None]
assert not [name for name in there if name.startswith(("learner_jax", "tfds_builders", "flax"))]
"""


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "program"
    assert main(["--workdir", str(trained), "--out", str(folder)]) == 0
    return folder


def stored(dataset: Path, cohort: Cohort, pairs: list[Pair]) -> dict[str, np.ndarray]:
    """The program's inputs for pairs of visits with one scan each."""
    visits = list(zip(cohort.patient.tolist(), cohort.visit.tolist(), strict=True))
    rows = [visits.index((p.patient, visit)) for p in pairs for visit in (p.visit_1, p.visit_2)]
    records = Records(dataset, cohort.scan_ids).read(np.array(rows))
    arrays = {name: np.stack([record[name] for record in records]) for name in ("scan", "scale", "offset")}
    arrays = {name: values.reshape(len(pairs), 2, *values.shape[1:]) for name, values in arrays.items()}
    return {"scans": arrays["scan"], "scale": arrays["scale"], "offset": arrays["offset"]}


def test_alone_it_says_what_predict_says(exported, trained, dataset, tmp_path):
    opened = Opened(open_run(trained), dataset)
    pairs = all_pairs(opened.cohort)[:8]
    np.savez(tmp_path / "pairs.npz", **stored(dataset, opened.cohort, pairs))
    command = [sys.executable, "-I", "-c", ALONE, exported / "load.py", tmp_path / "pairs.npz", tmp_path]
    subprocess.run(list(map(str, command)), cwd=tmp_path, check=True, timeout=300)
    said = predict(opened, pairs)
    assert len(said) == 8
    for size in (1, 3, 8):
        with np.load(tmp_path / f"{size}.npz") as file:
            found = dict(file)
        # scores are about 300 with an SD of 80: this is float32 beside float64
        np.testing.assert_allclose(found["delta"], [one.delta for one in said[:size]], rtol=1e-4, atol=2e-3)
        np.testing.assert_allclose(found["low"], [one.low for one in said[:size]], rtol=1e-4, atol=2e-3)
        np.testing.assert_allclose(found["high"], [one.high for one in said[:size]], rtol=1e-4, atol=2e-3)
        np.testing.assert_allclose(found["probability"], [one.probability for one in said[:size]], atol=1e-4)
        assert found["change"].tolist() == [one.change for one in said[:size]]
        # these patients are of training too, which a program cannot know
        certain = [not one.abstain for one in said[:size] if "on this patient" not in one.abstain]
        known = ["on this patient" not in one.abstain for one in said[:size]]
        assert (~found["abstain"])[known].tolist() == certain
        assert not found["unlike"].any()


@pytest.mark.parametrize(("axis0", "frames"), [("time", [0, 1, 2]), ("depth", [0, 1, 3])])
def test_it_sees_the_frames_that_predict_sees_of_those_that_are_stored(trained, dataset, tmp_path, axis0, frames):
    run, data = open_run(trained), Path(shutil.copytree(dataset, tmp_path / "data"))
    run.config.data.frames = 3  # of 4: moments are evenly spaced, slices are spread over the whole depth
    run.readout.spec["stored"]["axis0"] = axis0
    meta = json.loads((data / "dataset.json").read_text())
    (data / "dataset.json").write_text(json.dumps(meta | {"axis0": axis0}))
    opened = Opened(run, data)
    pairs = all_pairs(opened.cohort)[:4]
    given = stored(data, opened.cohort, pairs)
    seen = opened.reader.read(np.array([0]), np.ones(1, bool)).scan[0]
    np.testing.assert_array_equal(seen, Records(data, opened.cohort.scan_ids).read(np.array([0]))[0]["scan"][frames])
    found = jax.jit(program.pairs(run, jax.tree.map(jnp.asarray, on_host(opened.variables))))(**given)
    want = [one.delta for one in predict(opened, pairs)]
    np.testing.assert_allclose(found["delta"], want, rtol=1e-4, atol=2e-3)


def test_what_is_no_stored_scan_is_refused_or_unlike(exported, trained, dataset):
    cohort = Opened(open_run(trained), dataset).cohort
    given = stored(dataset, cohort, all_pairs(cohort)[:2])
    loaded = runpy.run_path(str(exported / "load.py"))["predict"]
    assert loaded(**given)["unlike"].tolist() == [False, False]
    lost = given["scale"].copy()
    lost[1, 0] = np.nan
    assert loaded(**given | {"scale": lost})["unlike"].tolist() == [False, True]
    for wrong in (given["scans"] / np.float32(255), given["scans"].astype(np.int16)):
        with pytest.raises(TypeError, match=f"scans are {wrong.dtype}, but must be uint8: see about.json"):
            loaded(**given | {"scans": wrong})


def test_what_lies_beside_the_program(exported, capsys, trained):
    about = json.loads((exported / "about.json").read_text(), parse_constant=pytest.fail)
    assert about["note"] == "Not for clinical use."
    assert about["inputs"]["scans"].startswith("uint8 [b, 2, 4, 32, 32, 1]: the earlier and the later scan of one")
    assert about["made_with"]["jax"] == jax.__version__
    assert about["calibrated_on"] == "all pairs of visits, each the mean of up to 1 view"
    assert about["words"] == {"-1": "declined", "0": "stable", "1": "improved"}
    program = (exported / "program.stablehlo").read_bytes()
    assert not re.search(rb"\.py\b", program)  # of which file of which machine; methods called pytest_… are named
    assert b"/learner_jax" not in program
    made = jax.export.deserialize(bytearray(program))
    assert made.platforms == PLATFORMS
    assert [str(aval) for aval in made.in_avals] == ["uint8[b,2,4,32,32,1]", "float32[b,2]", "float32[b,2]"]
    lines = (exported / "load.py").read_text().splitlines()
    after = lines.index('"""', 1)
    assert len([line for line in lines[after + 1 :] if line]) <= 20
    assert main(["--workdir", str(trained), "--out", str(exported)]) == 2
    assert "is not empty; name a new folder with --out" in capsys.readouterr().err


@pytest.mark.parametrize(("dtype", "shape"), [("uint8", (40, 40)), ("uint16", (48, 36)), ("float16", (30, 64))])
def test_scans_are_fitted_as_on_the_host(dtype, shape):
    rng = np.random.default_rng(0)
    scan = (rng.random((3, 2, *shape, 1)) * (1 if dtype == "float16" else np.iinfo(dtype).max)).astype(dtype)
    for size in (32, max(shape)):
        want = np.stack([Fit(size)(one, None) for one in scan]).astype(np.float32)
        got = np.asarray(fit(jnp.asarray(scan), Fit(size)))
        off = np.abs(got - want)
        assert (off > (1e-3 if dtype == "float16" else 1e-2)).mean() < 1e-3  # a half is rounded to either side
        assert off.max() <= 1


@pytest.mark.parametrize("delta", [-300.0, -20.0, -1e-3, 0.0, 12.5, 80.0])
def test_the_decision_is_that_of_the_read_out(trained, delta):
    readout = open_run(trained).readout
    found = {name: np.asarray(value) for name, value in decide(jnp.float32(delta), readout).items()}
    each = np.array([delta])
    assert found["change"] == readout.decision.change(each, None)[0]
    np.testing.assert_allclose(found["probability"], readout.decision.probability(each, None)[0], atol=1e-5)
    none = dataclasses.replace(readout.calibration, level=None, half_width=None)
    found = decide(jnp.float32(delta), dataclasses.replace(readout, calibration=none))
    assert found["abstain"]
    assert np.isnan(found["low"])
    assert np.isnan(found["probability"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_every_backbone_takes_any_number_of_pairs(name):
    backbone, shape = backbones.create(name), ROWS[name].shape
    variables = backbone.shapes(BatchSpec(1, *shape))
    (b,) = jax.export.symbolic_shape("b")

    def embed(variables, scans):
        one = lambda pair: backbone.apply(variables, pair, jnp.ones(2, bool), train=False)[0]  # noqa: E731
        return jax.vmap(one)(scans)

    with tracing_for("cpu"):
        made = jax.export.export(jax.jit(embed), platforms=PLATFORMS)(
            variables, jax.ShapeDtypeStruct((b, 2, *shape), jnp.float32)
        )
    assert str(made.out_avals[0]) == f"float32[b,2,{backbone.dim}]"
