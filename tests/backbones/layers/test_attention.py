"""Attention against a softmax in float64 with its derivative written out, and why it is not cuDNN's."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from learner_jax.backbones.layers import attention as module
from learner_jax.backbones.layers.attention import SelfAttention, attention
from learner_jax.backbones.layers.platform import tracing_for

B, N, M, H = 2, 5, 6, 3


def by_definition(q, k, v, bias, slope):
    """The result and the gradients of all four in float64, with the axes ordered ``[b h n d]`` inside."""
    q, k, v, slope = (np.moveaxis(np.asarray(a, np.float64), 1, 2) for a in (q, k, v, slope))
    bias = np.asarray(bias, np.float64)
    scale = q.shape[-1] ** -0.5
    logits = q @ k.swapaxes(2, 3) * scale + bias
    weight = np.exp(logits - logits.max(-1, keepdims=True))
    weight /= weight.sum(-1, keepdims=True)
    towards = slope @ v.swapaxes(2, 3)
    turned = weight * (towards - (weight * towards).sum(-1, keepdims=True))
    shared = tuple(i for i, n in enumerate(bias.shape) if n == 1)
    heads = weight @ v, turned @ k * scale, turned.swapaxes(2, 3) @ q * scale, weight.swapaxes(2, 3) @ slope
    return *(np.moveaxis(a, 2, 1) for a in heads), turned.sum(shared, keepdims=True)


def operands(channels, dtype, bias=None):
    rng = np.random.default_rng(0)
    shapes = [(B, n, H, channels) for n in (N, M, M, N)]
    q, k, v, slope = (jnp.asarray(rng.normal(size=shape), dtype) for shape in shapes)
    return q, k, v, None if bias is None else jnp.asarray(rng.normal(size=(*bias, N, M)), dtype), slope


@pytest.mark.parametrize("bias", [None, (1, 1), (1, H), (B, H)])
@pytest.mark.parametrize(("channels", "dtype"), [(5, "float32"), (160, "float32"), (16, "bfloat16")])
def test_values_and_gradients_are_those_of_a_softmax(channels, dtype, bias):
    *arguments, slope = operands(channels, dtype, bias)

    @jax.jit
    def both(*arguments):
        u, pull = jax.vjp(attention, *arguments)
        return u, *pull(slope)

    found = both(*arguments)
    q, k, v, given = arguments
    wanted = by_definition(q, k, v, np.zeros((1, 1, N, M)) if given is None else given, slope)
    steps = max(4, channels**0.5)  # a logit is a sum over channels, and roundings add up like a random walk
    for a, b in zip(found, wanted, strict=True):
        if a is not None:
            assert a.dtype == dtype
            tolerance = steps * float(jnp.finfo(dtype).eps) * np.abs(b).max()
            np.testing.assert_allclose(np.asarray(a, np.float64), b, rtol=0, atol=tolerance)


def test_logits_far_from_zero_give_the_largest_one_and_not_nothing():
    q, k, v, _, _ = operands(8, "float32")
    u = attention(1e4 * q, k, v)
    best = np.einsum("bnhd,bmhd->bhnm", q, k).argmax(-1)
    wanted = np.take_along_axis(np.moveaxis(np.asarray(v), 1, 2), best[..., None], axis=2)
    np.testing.assert_allclose(np.moveaxis(np.asarray(u), 1, 2), wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("device", "channels", "dtype", "bias", "reason"),
    [
        ("cpu", 16, "bfloat16", None, "the device is a cpu"),
        ("tpu", 16, "bfloat16", None, "the device is a tpu"),
        ("gpu", 16, "float32", None, "the dtype is float32, and cuDNN takes bfloat16 and float16"),
        ("gpu", 12, "bfloat16", None, "a head has 12 channels, and cuDNN takes multiples of 8 up to 128"),
        ("gpu", 136, "float16", None, "a head has 136 channels, and cuDNN takes multiples of 8 up to 128"),
        ("gpu", 16, "bfloat16", (1, H), "there is a trained bias, whose gradient cuDNN gives for a batch of 1 only"),
        ("gpu", 16, "bfloat16", None, None),
        ("gpu", 128, "float16", None, None),
    ],
)
def test_cudnn_is_taken_where_it_can_be_and_else_the_log_says_once_why_not(
    device, channels, dtype, bias, reason, monkeypatch, caplog
):
    taken = []

    def spy(q, k, v, bias, implementation):  # without a GPU JAX does not even trace cuDNN's
        taken.append(implementation)
        return q

    monkeypatch.setattr(module, "fused_attention", spy)
    module._log.cache_clear()
    caplog.set_level(logging.INFO, logger="absl")
    *arguments, _ = operands(channels, dtype, bias)
    with tracing_for(device):
        attention(*arguments)
        attention(*arguments)
    assert taken == 2 * ["xla" if reason else "cudnn"]
    said = [f"attention runs in XLA and not in cuDNN: {reason}"] if reason else []
    assert [record.getMessage() for record in caplog.records if record.name == "absl"] == said


def test_self_attention_takes_all_queries_then_all_keys_then_all_values_head_by_head():
    layer = SelfAttention(12, 3, nnx.Rngs(0))
    rng = np.random.default_rng(0)
    layer.qkv.bias[...] = jnp.asarray(rng.normal(size=36), jnp.float32)
    layer.proj.bias[...] = jnp.asarray(rng.normal(size=12), jnp.float32)
    x, bias = rng.normal(size=(2, 5, 12)).astype(np.float32), rng.normal(size=(1, 3, 5, 5)).astype(np.float32)
    kernel, shift = np.asarray(layer.qkv.kernel[...], np.float64), np.asarray(layer.qkv.bias[...], np.float64)
    q, k, v = (np.zeros((2, 5, 3, 4)) for _ in range(3))
    for part, start in ((q, 0), (k, 12), (v, 24)):
        for head in range(3):
            columns = slice(start + 4 * head, start + 4 * head + 4)
            part[:, :, head] = x @ kernel[:, columns] + shift[columns]
    joined = by_definition(q, k, v, bias, np.zeros_like(q))[0].reshape(2, 5, 12)
    wanted = joined @ np.asarray(layer.proj.kernel[...], np.float64) + np.asarray(layer.proj.bias[...], np.float64)
    np.testing.assert_allclose(layer(jnp.asarray(x), jnp.asarray(bias)), wanted, rtol=0, atol=1e-5)
