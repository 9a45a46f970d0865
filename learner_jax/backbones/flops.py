"""Operations of a traced computation: 2 for each multiply-add of its convolutions and matrix products."""

import math
from typing import Any

from jax.extend.core import jaxprs_in_params


def count(jaxpr: Any) -> int:
    """FLOPs of a jaxpr; a loop's body counts once for each of its trips."""
    total = 0
    for eqn in jaxpr.eqns:
        out = math.prod(eqn.outvars[0].aval.shape) if eqn.outvars else 0
        if eqn.primitive.name == "conv_general_dilated":
            kernel = eqn.invars[1].aval.shape
            total += 2 * out * math.prod(kernel) // kernel[eqn.params["dimension_numbers"].rhs_spec[0]]
        elif eqn.primitive.name == "dot_general":
            (contracted, _), _ = eqn.params["dimension_numbers"]
            total += 2 * out * math.prod(eqn.invars[0].aval.shape[i] for i in contracted)
        trips = eqn.params["length"] if eqn.primitive.name == "scan" else 1
        total += trips * sum(count(inner) for inner in jaxprs_in_params(eqn.params))
    return total
