"""Operations against XLA's own count: of single layers, and of whole backbones less all that is no product."""

import functools

import jax
import jax.numpy as jnp
import pytest
from jax.extend.core import Literal, jaxprs_in_params

from learner_jax import backbones
from learner_jax.backbones import flops
from learner_jax.backbones.layers.platform import tracing_for
from learner_jax.batch import BatchSpec
from tests.backbones.zoo import TINY, one_of_each_family

SPEC = BatchSpec(1, 4, 32, 32, 1)  # one scan: XLA counts in float32, which is exact up to 2^24


def shape(*sides):
    return jax.ShapeDtypeStruct(sides, jnp.float32)


def counted_by_xla(function, *arguments):
    return jax.jit(function).lower(*arguments).cost_analysis()["flops"]


def convolution(stride, padding, groups=1, axes="HW"):
    numbers = (f"N{axes}C", f"{axes}IO", f"N{axes}C")
    how = {"window_strides": stride, "padding": padding, "feature_group_count": groups}
    return functools.partial(jax.lax.conv_general_dilated, dimension_numbers=numbers, **how)


@pytest.mark.parametrize(
    ("layer", "arguments", "by_hand"),
    [
        (convolution((1, 1), "VALID"), (shape(2, 9, 9, 3), shape(3, 3, 3, 5)), 2 * 2 * 49 * 9 * 3 * 5),
        (convolution((2, 3), "VALID"), (shape(2, 9, 9, 3), shape(3, 3, 3, 5)), 2 * 2 * 12 * 9 * 3 * 5),
        (convolution((1, 1), "VALID", 4), (shape(1, 9, 9, 8), shape(3, 3, 2, 12)), 2 * 49 * 9 * 2 * 12),
        (convolution((1, 1), "VALID", 8), (shape(1, 9, 9, 8), shape(3, 3, 1, 8)), 2 * 49 * 9 * 8),
        (convolution((1,) * 3, "VALID", 1, "DHW"), (shape(1, 4, 5, 6, 3), shape(2, 3, 3, 3, 5)), 2 * 36 * 18 * 3 * 5),
        (jnp.matmul, (shape(4, 5), shape(5, 6)), 2 * 4 * 5 * 6),
        (
            functools.partial(jnp.einsum, "bnhd,bmhd->bhnm"),
            (shape(2, 5, 3, 4), shape(2, 6, 3, 4)),
            2 * 2 * 3 * 5 * 6 * 4,
        ),
        (jax.nn.relu, (shape(4, 5),), 0),
    ],
)
def test_a_layer_costs_what_xla_and_a_sheet_of_paper_say(layer, arguments, by_hand):
    assert flops.count(jax.make_jaxpr(layer)(*arguments).jaxpr) == by_hand
    if by_hand:
        assert counted_by_xla(layer, *arguments) == by_hand


def test_a_product_in_a_loop_counts_once_a_trip():
    def looped(x, w):
        return jax.lax.scan(lambda x, _: (x @ w, None), x, None, length=7)[0]

    assert flops.count(jax.make_jaxpr(looped)(shape(4, 5), shape(5, 5)).jaxpr) == 7 * 2 * 4 * 5 * 5


def replayed(jaxpr, constants, arguments, product):
    """The results of a jaxpr where ``product`` stands in for its convolutions and products of matrices."""
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *arguments], strict=True))
    value = lambda v: v.val if isinstance(v, Literal) else known[v]  # noqa: E731
    for eqn in jaxpr.eqns:
        operands = list(map(value, eqn.invars))
        inner = list(jaxprs_in_params(eqn.params))
        if eqn.primitive.name in ("conv_general_dilated", "dot_general"):
            results = [product(eqn, *operands)]
        elif len(inner) == 1:
            results = replayed(inner[0], [], operands, product)
        else:
            results = eqn.primitive.bind(*operands, **eqn.params)
            results = results if eqn.primitive.multiple_results else [results]
        known |= zip(eqn.outvars, results, strict=True)
    return list(map(value, jaxpr.outvars))


def without_padding(eqn, x, w):
    """The same product, whose padding, which XLA does not count, is made of real zeros."""
    params = dict(eqn.params)
    if padding := params.get("padding"):
        sides = dict(zip(params["dimension_numbers"].lhs_spec[2:], padding, strict=True))
        x = jax.lax.pad(x, jnp.zeros((), x.dtype), [(*sides.get(i, (0, 0)), 0) for i in range(x.ndim)])
        params["padding"] = ((0, 0),) * len(padding)
    return eqn.primitive.bind(x, w, **params)


def free(eqn, x, w):
    """Numbers of the product's shape that still depend on both operands, by moves alone, which cost nothing."""
    x, _ = jax.lax.optimization_barrier((x, w))  # behind it, XLA cannot see that the second is not needed
    return jnp.broadcast_to(x.ravel()[:1], eqn.outvars[0].aval.shape)


@pytest.mark.parametrize("name", one_of_each_family(TINY))
def test_a_backbone_costs_what_xla_counts_with_products_less_what_it_counts_without(name):
    backbone = backbones.create(name)
    variables = backbone.shapes(SPEC)
    arguments = variables, shape(*SPEC.shape), jax.ShapeDtypeStruct((SPEC.b,), jnp.bool_)
    with tracing_for("any"):
        forward = jax.make_jaxpr(functools.partial(backbone.apply, train=True))(*arguments)

    def xla(product):
        play = lambda *leaves: replayed(forward.jaxpr, forward.consts, leaves, product)  # noqa: E731
        return counted_by_xla(play, *jax.tree.leaves(arguments))

    everything, rest = xla(without_padding), xla(free)
    assert 0 < rest < everything < 2**24
    assert everything - rest == backbone.flops(SPEC)
