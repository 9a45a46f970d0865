"""Attention against a softmax in float64 with its derivative written out, and why it is no kernel's."""

import contextlib
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from learner_jax.backbones.layers import attention as module
from learner_jax.backbones.layers.attention import SelfAttention, attention
from learner_jax.backbones.layers.attention_on_tpu import flash_attention
from learner_jax.backbones.layers.platform import tracing_for
from learner_jax.backbones.layers.rows import rows_over
from learner_jax.mesh import batch_sharding, make_mesh

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
        ("gpu", 16, "float32", None, "the dtype is float32, and cuDNN takes bfloat16 and float16"),
        ("gpu", 12, "bfloat16", None, "a head has 12 channels, and cuDNN takes multiples of 8 up to 128"),
        ("gpu", 136, "float16", None, "a head has 136 channels, and cuDNN takes multiples of 8 up to 128"),
        ("gpu", 16, "bfloat16", (1, H), "there is a trained bias, whose gradient cuDNN gives for a batch of 1 only"),
        ("gpu", 16, "bfloat16", None, None),
        ("gpu", 128, "float16", None, None),
    ],
)
def test_cudnn_is_taken_where_it_can_be_and_else_one_line_says_why_not(
    device, channels, dtype, bias, reason, monkeypatch, capsys
):
    taken = []

    def spy(q, k, v, bias, implementation):  # without a GPU JAX does not even trace cuDNN's
        taken.append(implementation)
        return q

    monkeypatch.setattr(module, "fused_attention", spy)
    module._say.cache_clear()
    *arguments, _ = operands(channels, dtype, bias)
    with tracing_for(device):
        attention(*arguments)
        attention(*arguments)
    assert taken == 2 * ["xla" if reason else "cudnn"]
    said = f"attention runs in XLA and not in a kernel of its own: {reason}\n" if reason else ""
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("capability", "taken"), [("7.0", False), ("7.5", False), ("gfx90a", False), ("8.0", True), ("10.3", True)]
)
def test_cudnn_is_not_asked_for_attention_on_a_gpu_that_it_has_none_for(capability, taken, monkeypatch):
    monkeypatch.setattr(module, "_compute_capability", lambda: capability)
    q = jnp.zeros((1, 4, 2, 8), jnp.bfloat16)
    refusal = f"the GPU has compute capability {capability}, and cuDNN takes 8.0 and higher"
    assert module._why_not_cudnn(q, None) == (None if taken else refusal)


@pytest.mark.parametrize(
    ("tokens", "dtype", "bias", "mesh", "reason"),
    [
        (1024, "float32", None, True, "the dtype is float32, and the kernel for TPUs is used for bfloat16"),
        (1024, "bfloat16", (1, 1), True, "there is a trained bias, which the kernel for TPUs does not take"),
        (1023, "bfloat16", None, True, "there are 1023 tokens, and the kernel for TPUs is used for 1024 or more"),
        (1024, "bfloat16", None, False, "it is not known over which devices the rows are sharded"),
        (1024, "bfloat16", None, True, None),
    ],
)
def test_the_kernel_for_tpus_is_taken_where_it_can_be(tokens, dtype, bias, mesh, reason, capsys):
    module._say.cache_clear()
    q = jax.ShapeDtypeStruct((8, tokens, 1, 8), dtype)
    bias = None if bias is None else jax.ShapeDtypeStruct((*bias, tokens, tokens), dtype)
    with tracing_for("tpu"), rows_over(make_mesh()) if mesh else contextlib.nullcontext():
        traced = str(jax.make_jaxpr(lambda *given: attention(*given))(q, q, q, bias))  # attention itself was traced
    assert ("splash" in traced) == (reason is None)
    said = f"attention runs in XLA and not in a kernel of its own: {reason}\n" if reason else ""
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(("n", "m"), [(256, 256), (300, 260), (5, 600)])
def test_the_kernel_for_tpus_computes_a_softmax_on_each_of_8_devices(n, m):
    rng = np.random.default_rng(0)
    q, k, v, slope = (jnp.asarray(rng.normal(size=(8, tokens, 2, 8)), jnp.float32) for tokens in (n, m, m, n))

    @functools.partial(jax.jit, out_shardings=batch_sharding(make_mesh()))
    def both(*arguments):
        u, pull = jax.vjp(lambda *qkv: flash_attention(*qkv, make_mesh(), interpret=True), *arguments)
        return u, *pull(slope)

    wanted = by_definition(q, k, v, np.zeros((1, 1, n, m)), slope)[:4]  # without the gradient of a bias
    for a, b in zip(both(q, k, v), wanted, strict=True):
        np.testing.assert_allclose(np.asarray(a, np.float64), b, rtol=0, atol=1e-5 * np.abs(b).max())


def test_the_kernel_for_tpus_and_its_gradient_become_code_for_one():
    q = jax.ShapeDtypeStruct((8, 1568, 12, 64), "bfloat16")  # of VideoMAE-B

    def both(*qkv):
        u, pull = jax.vjp(lambda *qkv: flash_attention(*qkv, make_mesh()), *qkv)
        return pull(u)

    program = jax.jit(both).trace(q, q, q).lower(lowering_platforms=("tpu",)).as_text()
    assert [name in program for name in ("splash_mha_fwd", "splash_mha_dq", "splash_mha_dkv")] == 3 * [True]
    assert "1568x1568" not in program, "logits leave the chip"


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
