"""The cost of a traced computation, layer by layer: operations, and numbers read from and written to memory."""

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

from jax.extend.core import jaxprs_in_params

FUSED = "fused_attention"  # a jitted function of this name counts as one layer, whose logits stay on the chip


@dataclasses.dataclass(frozen=True)
class Layer:
    """A convolution, a product of matrices, an attention or a reduction.

    Attributes:
      kind: which of the four.
      flops: operations, 2 for each multiply-add of convolutions and products.
      numbers: read and written, counting each operand and result once. Elementwise operations (activations, sums of
        branches, the application of a norm) are assumed to be fused into the layers around them and are not listed.
    """

    kind: str
    flops: int
    numbers: int


def layers(jaxpr: Any) -> list[Layer]:
    """The layers of a jaxpr in order; those in the body of a loop are repeated for each iteration."""
    found = []
    for eqn in jaxpr.eqns:
        inner = [layer for part in jaxprs_in_params(eqn.params) for layer in layers(part)]
        numbers = _numbers(eqn.invars) + _numbers(eqn.outvars)
        if eqn.primitive.name == "conv_general_dilated":
            kernel = eqn.invars[1].aval.shape
            contracted = math.prod(kernel) // kernel[eqn.params["dimension_numbers"].rhs_spec[0]]
            found.append(Layer("convolution", 2 * _numbers(eqn.outvars) * contracted, numbers))
        elif eqn.primitive.name == "dot_general":
            (axes, _), _ = eqn.params["dimension_numbers"]
            contracted = math.prod(eqn.invars[0].aval.shape[i] for i in axes)
            found.append(Layer("product", 2 * _numbers(eqn.outvars) * contracted, numbers))
        elif eqn.primitive.name.startswith("reduce_") and eqn.primitive.name != "reduce_precision":
            found.append(Layer("reduction", 0, numbers))
        elif eqn.params.get("name") == FUSED:
            found.append(Layer("attention", sum(layer.flops for layer in inner), numbers))
        else:
            found += inner * (eqn.params["length"] if eqn.primitive.name == "scan" else 1)
    return found


def count(jaxpr: Any) -> int:
    """Operations of a jaxpr."""
    return sum(layer.flops for layer in layers(jaxpr))


def _numbers(variables: Iterable[Any]) -> int:
    return sum(math.prod(variable.aval.shape) for variable in variables)
