"""MRI: each operation against its definition in numpy and scipy."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage, stats

from learner_jax.augment import mri
from learner_jax.config import AugmentConfig

OFF = AugmentConfig(**{field.name: type(field.default)() for field in dataclasses.fields(AugmentConfig)})
MOVED = jax.jit(mri.moved, static_argnums=5)


@functools.cache
def compiled(**fields):
    config = dataclasses.replace(OFF, **fields)
    return jax.jit(lambda scan, key: mri.augment(scan, key, jnp.ones(()), config))


def run(scan, seed=0, **fields):
    return np.asarray(compiled(**fields)(scan, jax.random.key(seed)))


def head(t=28, h=32, w=30):
    """A smooth lopsided blob in air."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in (t, h, w)), indexing="ij")
    blob = np.exp(-6 * ((z - 0.1) ** 2 + (1.3 * y) ** 2 + (1.6 * x - 0.2) ** 2)) + 0.5 * np.exp(
        -20 * ((z + 0.3) ** 2 + (y - 0.2) ** 2 + (x + 0.2) ** 2)
    )
    return np.where(blob > 0.02, blob, 0).clip(0, 1)[..., None].astype(np.float32)


def turn(angle, i, j):
    matrix = np.eye(3)
    matrix[[i, i, j, j], [i, j, i, j]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
    return matrix


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize(
    ("shift", "zoom", "angle"),
    [
        ((2, -1.5, 3), (1, 1, 1), (0, 0, 0)),
        ((0, 0, 0), (1.1, 0.9, 1.2), (0, 0, 0)),
        ((0, 0, 0), (1, 1, 1), (0.2, 0, 0)),
        ((0, 0, 0), (1, 1, 1), (0, 0.2, 0)),
        ((0, 0, 0), (1, 1, 1), (0, 0, 0.2)),
        ((1, 2, -1), (1.1, 0.95, 1.05), (0.15, -0.1, 0.12)),
    ],
)
def test_the_affine_equals_scipys_of_the_composed_matrix(shift, zoom, angle, side):
    volume = head()
    numbers = (jnp.asarray(x, jnp.float32) for x in (shift, zoom, angle))
    got = np.asarray(MOVED(jnp.asarray(volume), *numbers, jnp.float32(side), 1.0))[..., 0]
    scale = np.diag([1 / zoom[0], 1 / zoom[1], side / zoom[2]])
    matrix = turn(angle[0], 1, 2) @ turn(angle[1], 0, 1) @ turn(angle[2], 0, 2) @ scale
    middle = (np.array(got.shape) - 1) / 2
    tilted = np.array([-shift[0], 0, 0])  # the slices' shift comes after the turn in the slice
    offset = middle + np.array([0, -shift[1], -shift[2]]) + turn(angle[0], 1, 2) @ tilted - matrix @ middle
    want = ndimage.affine_transform(volume[..., 0], matrix, offset, order=3)
    np.testing.assert_allclose(got, want, atol=0.03)
    assert np.sqrt(((got - want) ** 2).mean()) < 0.1 * np.sqrt(((volume[..., 0] - want) ** 2).mean())


def test_one_slice_moves_in_its_plane():
    slice_ = head()[14:15]
    got = run(slice_, shift=0.1, zoom=0.1, rotate=10.0, tilt=10.0)
    assert got.shape == slice_.shape
    assert got.max() > 0.5
    assert np.abs(got - slice_).max() > 0.05
    flipped = MOVED(jnp.asarray(slice_), jnp.zeros(3), jnp.ones(3), jnp.zeros(3), jnp.float32(-1), 1.0)
    np.testing.assert_allclose(flipped, slice_[:, :, ::-1], atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_the_bias_field_is_positive_bounded_and_smooth(seed):
    field = np.asarray(mri.bias_field(jax.random.key(seed), (20, 30, 40), 0.4))
    assert field.shape == (20, 30, 40)
    assert np.exp(-0.4) <= field.min() < field.max() <= np.exp(0.4)
    assert np.ptp(field) > 0.05
    for axis, n in enumerate(field.shape):  # four coefficients make one cubic: its slope is at most 2 * 0.4 a volume
        assert np.abs(np.diff(np.log(field), axis=axis)).max() <= 2 * 0.4 / (n - 1) + 1e-5


@pytest.mark.parametrize("seed", range(3))
def test_gamma_is_one_exponent_and_keeps_the_order(seed):
    volume = head()
    got, before = run(volume, seed, gamma=0.5).ravel(), volume.ravel()
    inside = (before > 0.05) & (before < 0.95)
    exponent = np.log(got[inside]) / np.log(before[inside])
    np.testing.assert_allclose(exponent, exponent[0], rtol=1e-3)
    assert np.exp(-0.5) <= exponent[0] <= np.exp(0.5)
    assert (np.diff(got[np.argsort(before)]) >= -1e-6).all()


@pytest.mark.parametrize("level", [0.02, 0.5])
def test_noise_is_rician_and_black_stays_black(level):
    volume = jnp.concatenate([jnp.full((8, 40, 40, 1), level), jnp.zeros((2, 40, 40, 1))])
    key = jax.random.key(0)
    got = np.asarray(mri.noisy(volume, key, 0.05))
    sd = 0.05 * float(jax.random.uniform(jax.random.split(key)[0]))
    assert stats.kstest(got[:8].ravel(), stats.rice(level / sd, scale=sd).cdf).pvalue > 0.01
    assert not got[8:].any()


def test_noise_that_takes_a_dark_voxel_to_nothing_leaves_a_number():
    dark = jnp.asarray(np.random.default_rng(0).uniform(0.002, 0.05, (32, 112, 112, 1)), jnp.float32)
    for seed in (586, 1173, 1277):  # of 1,280 those where rounding takes a power below 0
        assert np.isfinite(run(dark, seed, noise=0.03)).all()


@pytest.mark.parametrize("number", [2, 3, 4])
@pytest.mark.parametrize("part", [0.0, 0.4])
def test_the_ghost_is_what_numpy_gives_for_weaker_lines_of_k_space(number, part):
    volume = head()
    lines = np.fft.fft(volume, axis=1)
    line = np.rint(np.fft.fftfreq(32) * 32).astype(int)
    lines[:, (line % number == 0) & (line != 0)] *= 1 - part
    want = np.abs(np.fft.ifft(lines, axis=1))
    got = np.asarray(mri.ghosted(jnp.asarray(volume), jnp.float32(number), jnp.float32(part)))
    np.testing.assert_allclose(got, want, atol=1e-5)
    if part == 0:
        np.testing.assert_allclose(got, volume, atol=1e-5)


@pytest.mark.parametrize("number", [2, 4])
def test_the_ghosts_lie_a_part_of_the_field_of_view_apart(number):
    point = jnp.zeros((1, 32, 8, 1)).at[0, 5, 3].set(1.0)
    got = np.asarray(mri.ghosted(point, jnp.float32(number), jnp.float32(0.8)))[0, :, 3, 0]
    copies = (5 + 32 // number * np.arange(1, number)) % 32
    assert set(np.argsort(got)[-number:]) == {5, *copies}
    np.testing.assert_allclose(got[copies], 0.8 / number, atol=0.8 / 32 + 1e-5)  # less the line in the middle
