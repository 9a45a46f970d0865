"""What holds for every modality: nothing when switched off, the same numbers wherever a scan is computed."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax.augment import Augmentation, for_cohort
from learner_jax.augment.__main__ import main as picture
from learner_jax.augment.api import MODALITIES
from learner_jax.config import AugmentConfig, Config, check
from learner_jax.mesh import make_mesh, to_global
from tfds_builders.errors import InputError
from tfds_builders.record import DatasetMeta

OFF = AugmentConfig(**{field.name: type(field.default)() for field in dataclasses.fields(AugmentConfig)})
ON = dataclasses.replace(AugmentConfig(), ghost=0.2)
SCAN = jnp.asarray(np.random.default_rng(0).uniform(0.05, 1, (8, 4, 24, 20, 1)), jnp.float32)
ROWS = jnp.arange(8, dtype=jnp.int32)
VIEWS = ROWS % 3
KEY = jax.random.key(0)
GEOMETRY = ("shift", "zoom", "rotate")
EACH = [
    *(("ultrasound", name) for name in (*GEOMETRY, "gain", "contrast", "tgc", "speckle", "drop_frames")),
    *(("mri", name) for name in (*GEOMETRY, "tilt", "bias", "gamma", "noise", "ghost")),
    *(("photograph", name) for name in (*GEOMETRY, "gain", "contrast")),
]


@functools.cache
def compiled(modality, flipped, strengths):
    augmentation = Augmentation(AugmentConfig(*strengths), modality, flipped)
    return jax.jit(lambda *given: augmentation(*given))


def run(modality, scan=SCAN, rows=ROWS, views=VIEWS, key=KEY, config=ON, flipped=(1, 2)):
    return np.asarray(compiled(modality, flipped, dataclasses.astuple(config))(scan, rows, views, key))


def test_every_modality_of_the_record_contract_has_a_family():
    from tfds_builders.record import MODALITIES as stored

    assert set(MODALITIES) == set(stored)


@pytest.mark.parametrize("modality", MODALITIES)
def test_switched_off_it_changes_nothing(modality):
    np.testing.assert_array_equal(run(modality, config=OFF, flipped=()), SCAN)


@pytest.mark.parametrize(("modality", "field"), EACH)
def test_each_strength_does_something_and_stays_between_0_and_1(modality, field):
    got = run(modality, config=dataclasses.replace(OFF, **{field: 10.0 if field in ("rotate", "tilt") else 0.5}))
    assert np.abs(got - SCAN).max() > 0.01
    assert got.min() >= 0
    assert got.max() <= 1


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_scan_gets_the_same_numbers_at_any_place_of_any_batch_and_on_any_number_of_devices(modality):
    once = run(modality)
    assert np.abs(once - SCAN).max() > 0.05
    order = np.array([4, 1, 5, 0, 7, 2, 3, 6])
    np.testing.assert_allclose(run(modality, SCAN[order], ROWS[order], VIEWS[order]), once[order], atol=1e-6)
    mesh = make_mesh()
    assert mesh.devices.size == 8
    spread = run(modality, *(to_global(mesh, np.asarray(part)) for part in (SCAN, ROWS, VIEWS)))
    np.testing.assert_allclose(spread, once, atol=1e-5)


@pytest.mark.parametrize("modality", MODALITIES)
def test_other_steps_and_other_scans_get_other_numbers(modality):
    same = jnp.broadcast_to(SCAN[:1], SCAN.shape)
    first, later = run(modality, same), run(modality, same, key=jax.random.key(1))
    assert np.abs(first[0] - first[1]).max() > 0.01
    assert np.abs(first - later).max() > 0.01


@pytest.mark.parametrize("modality", MODALITIES)
def test_an_operation_draws_the_same_numbers_whether_or_not_others_are_on(modality):
    move = dataclasses.replace(OFF, **dict.fromkeys(GEOMETRY, 0.2))
    with_noise = dataclasses.replace(move, speckle=1e-6, noise=1e-6, drop_frames=1e-6)
    np.testing.assert_allclose(run(modality, config=move), run(modality, config=with_noise), atol=1e-4)


@pytest.mark.parametrize("modality", MODALITIES)
def test_an_empty_scan_stays_empty_and_one_that_is_no_number_is_not_hidden(modality):
    config = dataclasses.replace(ON, gain=0.0) if modality == "photograph" else ON
    got = run(modality, SCAN.at[2].set(0).at[3].set(jnp.nan), config=config)
    assert not got[2].any()
    assert np.isnan(got[3]).any()
    assert np.isfinite(got[[0, 1, 2, 4]]).all()


@pytest.mark.parametrize("modality", ["ultrasound", "photograph"])
def test_all_frames_of_a_clip_move_together(modality):
    still = jnp.broadcast_to(SCAN[:, :1], SCAN.shape)
    strong = dataclasses.replace(OFF, shift=0.2, zoom=0.2, rotate=20.0, gain=0.1, contrast=0.1, tgc=0.1)
    moved = run(modality, still, config=strong)
    np.testing.assert_array_equal(moved, np.broadcast_to(moved[:, :1], moved.shape))


@pytest.mark.parametrize("modality", MODALITIES)
def test_flips_are_left_to_right_and_of_the_given_views_alone(modality):
    turned = set()
    for seed in range(8):
        got = run(modality, key=jax.random.key(seed), config=OFF)
        for i, (before, after) in enumerate(zip(np.asarray(SCAN), got, strict=True)):
            if np.abs(after - before).max() > 1e-5:
                np.testing.assert_allclose(after, before[:, :, ::-1], atol=1e-5)
                turned.add(i)
    assert turned == set(np.flatnonzero(np.isin(VIEWS, (1, 2))))


def meta_of(modality):
    values = {field.name: "" for field in dataclasses.fields(DatasetMeta)}
    shape = {"modality": modality, "dtype": "uint8", "axis0": "time", "scan_shape": (96, 112, 96, 1)}
    return DatasetMeta(**(values | shape))


def test_the_config_names_the_views_and_the_grid_gives_the_gap_between_slices():
    config, views = Config(), ("L1", "L2", "R1")
    assert for_cohort(config, meta_of("ultrasound"), views).flipped == ()
    config.augment.flip_views = "R1, L2"
    assert for_cohort(config, meta_of("ultrasound"), views).flipped == (2, 1)
    with pytest.raises(InputError, match=r"augment.flip_views does nothing to mri, which config.augment.flip flips"):
        for_cohort(config, meta_of("mri"), views)
    config.augment.flip_views, config.augment.flip = "", True
    with pytest.raises(InputError, match=r"augment.flip does nothing to ultrasound, which config.augment.flip_views"):
        for_cohort(config, meta_of("ultrasound"), views)
    assert for_cohort(config, meta_of("mri"), views).flipped == (0, 1, 2)
    config.data.frames, config.data.size = 32, 56
    assert for_cohort(config, meta_of("mri"), views).gap == 1.5  # every third slice, at half the resolution
    config.augment.flip_views, config.augment.flip = "L9", False
    with pytest.raises(InputError, match=r"augment.flip_views names 'L9', which is no view of the dataset; .*L1"):
        for_cohort(config, meta_of("ultrasound"), views)


@pytest.mark.parametrize(("field", "value"), [("rotate", 60.0), ("drop_frames", 1.0), ("zoom", 0.7), ("gain", np.nan)])
def test_a_strength_that_makes_no_sense_is_refused(field, value):
    config = Config()
    config.data.dir, config.data.score, config.eval.change_threshold = "somewhere", "severity", 0.5
    setattr(config.augment, field, value)
    with pytest.raises(InputError, match=rf"config.augment.{field} is {value}; it (is at most|must be finite)"):
        check(config)


def test_training_augments_with_what_the_cohort_says(make_config, tmp_path, monkeypatch):
    from learner_jax import compiled_step
    from learner_jax.train import train

    class Stopped(Exception):
        pass

    def step(recipe, state, batch):
        assert recipe.augmentation == Augmentation(config.augment, "ultrasound", (0,), 1.0)
        raise Stopped

    monkeypatch.setattr(compiled_step, "train_step", step)
    config = make_config()
    config.augment.flip_views = "L1"
    with pytest.raises(Stopped):
        train(config, tmp_path / "run")


def test_the_picture_shows_each_operation_that_is_on_and_refuses_what_is_not_there(tiny_dataset, tmp_path, capsys):
    from PIL import Image

    out = tmp_path / "deep" / "picture.png"
    given = ["--data_dir", str(tiny_dataset), "--out", str(out)]
    without = [f"--config.augment.{name}=0" for name in (*GEOMETRY, "contrast", "tgc", "speckle")]
    assert picture([*given, *without, "--copies", "2"]) == 0
    with Image.open(out) as image:
        assert image.size == (96 + 2 * 34, 4 * 34)  # stored, gain, drop_frames, all
    assert picture([*given, "--row", "9999"]) == 2
    assert picture([*given, "--config.augment.shifft=1"]) == 2
    assert "did you mean 'shift'?" in capsys.readouterr().err
    for wrong, sentence in (
        (["--copies", "0"], "--copies is 0; it takes 1 or more"),
        (["--out", str(tmp_path / "picture")], "whose ending names no kind of picture"),
        (["3"], "'3' is not a flag of this command"),
        (["--augment.shift=0"], "'--augment.shift=0' is not a flag of this command"),
    ):
        assert picture([*given, *wrong]) == 2
        assert sentence in capsys.readouterr().err
