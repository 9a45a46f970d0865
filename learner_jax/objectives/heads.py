"""Small trained layers between embedding and objective, as plain dictionaries of parameters and functions of them."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Params = dict[str, Any]


def dense(rng: jax.Array, d_in: int, d_out: int) -> Params:
    """Parameters of one dense layer, LeCun-normal kernel ``[d_in d_out]`` and zero bias."""
    kernel = jax.nn.initializers.lecun_normal()(rng, (d_in, d_out))
    return {"kernel": kernel, "bias": jnp.zeros(d_out)}


def apply_dense(params: Params, x: Float[Array, "b i"]) -> Float[Array, "b o"]:
    """``x @ kernel + bias``; the bias may be missing."""
    out = x @ params["kernel"]
    return out + params["bias"] if "bias" in params else out


def init_projection(rng: jax.Array, dim: int, projection: int) -> Params:
    """Parameters of the projection ``d -> d -> p`` with one hidden layer. Chen et al., arXiv 2002.05709."""
    first, second = jax.random.split(rng)
    return {"hidden": dense(first, dim, dim), "out": dense(second, dim, projection)}


def project(params: Params, u: Float[Array, "b d"]) -> Float[Array, "b p"]:
    """The projection ``z`` that pairwise objectives compare; ``u`` itself for an objective without one."""
    u = u.astype(jnp.promote_types(u.dtype, jnp.float32))
    if "projection" not in params:
        return u
    layers = params["projection"]
    return apply_dense(layers["out"], jax.nn.relu(apply_dense(layers["hidden"], u)))
