"""Kernels for other inputs than they were trained on, beside what they do with their own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from learner_jax import backbones
from learner_jax.backbones import pretrained
from learner_jax.backbones.adapt import fold_stem, inflate
from learner_jax.backbones.weights import PUBLISHED
from learner_jax.batch import BatchSpec

ALIKE = ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def convolve(picture, kernel, stride=2, padding=3):
    """Torch's convolution: zeros around ``[*space c]``."""
    axes = "THW"[-(picture.ndim - 1) :]
    sides, strides = [(padding, padding)] * len(axes), (stride,) * len(axes)
    numbers = (f"N{axes}C", f"{axes}IO", f"N{axes}C")
    return np.asarray(
        jax.lax.conv_general_dilated(jnp.asarray(picture)[None], kernel, strides, sides, dimension_numbers=numbers)
    )[0]


def both(mean, std, seed=0):
    """What an RGB kernel makes of a grey picture shown in each channel, and the folded one of the picture."""
    rng = np.random.default_rng(seed)
    kernel, grey = rng.normal(size=(7, 7, 3, 5)), rng.uniform(size=(32, 32, 1))
    rgb = convolve((np.repeat(grey, 3, -1) - mean) / std, kernel)
    folded, constant = fold_stem(kernel, mean, std)
    assert folded.shape == (7, 7, 1, 5)
    return rgb, convolve((grey - np.mean(mean)) / np.mean(std), folded) + constant, constant


@pytest.mark.parametrize("std", [(0.25, 0.25, 0.25), (0.229, 0.224, 0.3)])
def test_where_channels_share_their_mean_the_fold_is_exact_up_to_the_border(std):
    rgb, grey, constant = both((0.4, 0.4, 0.4), std)
    np.testing.assert_allclose(constant, 0, atol=1e-12)
    np.testing.assert_allclose(grey, rgb, rtol=0, atol=1e-12)


@pytest.mark.parametrize("constants", {(entry.mean, entry.std) for entry in PUBLISHED if entry.mean} | {IMAGENET})
def test_where_they_do_not_it_is_exact_but_for_windows_that_reach_over_the_border(constants):
    rgb, grey, _ = both(*constants)
    inside = (slice(2, -1), slice(2, -1))  # windows of 7 at a stride of 2, 3 zeros around 32: all others reach over
    np.testing.assert_allclose(grey[inside], rgb[inside], rtol=0, atol=1e-12)
    border = np.ones(rgb.shape[:2], bool)
    border[inside] = False
    apart = np.abs(grey - rgb).max(-1)
    if len(set(constants[0])) == 1:
        assert apart.max() <= 1e-12
    else:
        assert apart[border].min() > 1e-4
        # no more than what zeros lack of the constant
        kernel = np.random.default_rng(0).normal(size=(7, 7, 3, 5))
        lacking = np.abs(np.einsum("ijcd,c->ijd", kernel, (np.mean(constants[0]) - constants[0]) / constants[1]))
        assert apart.max() <= lacking.sum((0, 1)).max()


def test_a_known_fold():
    kernel = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1)
    folded, constant = fold_stem(kernel, (0.1, 0.2, 0.6), (0.5, 0.25, 0.75))
    # s = 0.5 and m = 0.3: 1 + 2 * 2 + 3 * 2 / 3, and 0.2 / 0.5 + 2 * 0.1 / 0.25 - 3 * 0.3 / 0.75
    np.testing.assert_allclose(folded, np.full((1, 1, 1, 1), 7.0), rtol=1e-12)
    np.testing.assert_allclose(constant, 0.4 + 0.8 - 1.2, atol=1e-12)


@pytest.mark.parametrize("name", ["tsm_resnet18-test", "tsn_efficientnet_lite-test", "r3d18-test", "vit-test"])
def test_a_whole_net_sees_grey_as_it_saw_rgb(name):
    backbone, rng = backbones.create(name), np.random.default_rng(0)
    grey = rng.uniform(size=(2, 4, 32, 32, 1))
    wide, narrow = BatchSpec(2, 4, 32, 32, 3), BatchSpec(2, 4, 32, 32, 1)
    variables = jax.jit(lambda key: backbone.init(key, wide))(jax.random.key(0))
    names = next(iter(backbone.names.values()))
    tensors = _published(variables, names)
    apply = jax.jit(lambda variables, scan: backbone.apply(variables, scan, jnp.ones(2, bool), train=False)[0])
    for mean, std in (ALIKE, ((0.5, 0.5, 0.5), (0.2, 0.3, 0.4))):
        rgb = apply(
            pretrained.convert(tensors, backbone, wide, names, mean, std), (np.repeat(grey, 3, -1) - mean) / std
        )
        folded = pretrained.convert(tensors, backbone, narrow, names, mean, std)
        found = apply(folded, (grey - np.mean(mean)) / np.mean(std))
        assert np.abs(found - rgb).max() <= 1e-5 * np.abs(rgb).max()


def _published(variables, names):
    """Parameters under their library's names."""
    ours = {path.partition("/")[2]: np.asarray(leaf) for path, leaf in flatten_dict(variables, sep="/").items()}
    found = {}
    for path, leaf in ours.items():
        theirs, make = names.of(path)
        if make is None:
            kernel = path.endswith("kernel") and leaf.ndim > 1
            found[theirs[0]] = np.moveaxis(leaf, (-1, -2), (0, 1)) if kernel else leaf
    if "pos_embed" in ours:  # timm's has the class token's position before those of the patches
        grid = ours["pos_embed"]
        found["pos_embed"] = np.concatenate([ours["cls_pos"], grid.reshape(1, -1, grid.shape[-1])], axis=1)
    return found


def test_an_inflated_kernel_gives_a_still_video_what_the_picture_gave():
    rng = np.random.default_rng(0)
    kernel, picture = rng.normal(size=(3, 3, 2, 4)), rng.uniform(size=(9, 9, 2))
    for frames in (1, 3, 5):
        inflated = inflate(kernel, frames)
        assert inflated.shape == (frames, 3, 3, 2, 4)
        np.testing.assert_allclose(inflated.sum(0), kernel, rtol=1e-12)
        still = convolve(np.repeat(picture[None], frames + 2, 0), inflated, 1, 0)
        assert still.shape[0] == 3
        np.testing.assert_allclose(still, np.repeat(convolve(picture, kernel, 1, 0)[None], 3, 0), rtol=1e-12)


def test_a_known_inflation():
    kernel = np.array([[6.0, -3.0]]).reshape(1, 2, 1, 1)
    np.testing.assert_allclose(inflate(kernel, 3)[..., 0, 0], [[[2.0, -1.0]]] * 3)
