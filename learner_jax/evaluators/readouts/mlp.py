"""A three-way classifier of the difference of two embeddings with one hidden layer."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Float64, Int

from learner_jax.evaluators.blockwise import exponents, over_pairs, over_rows, whole
from learner_jax.evaluators.pairs import Observations
from learner_jax.evaluators.readouts.api import Context, Fitted, register
from learner_jax.evaluators.readouts.three_way import ThreeWay, pairs_to_fit, pairs_to_judge
from learner_jax.objectives.heads import Params, dense

HIDDEN = 64
STEPS, STEPS_UNJUDGED = 200, 50  # with and without validation pairs to choose the best step by
_SEED = 0
_HIGHEST = jax.lax.Precision.HIGHEST


@dataclasses.dataclass(frozen=True)
class Mlp(ThreeWay):
    """Logits ``(f(x) + mirrored f(-x)) / 2``, where ``x = (u2 - u1) / scale`` and ``f`` has one hidden ReLU layer."""

    kind: str
    in_score_units: bool
    scale: Float64[np.ndarray, " d"]
    hidden_kernel: Float64[np.ndarray, "d h"]
    hidden_bias: Float64[np.ndarray, " h"]
    out_kernel: Float64[np.ndarray, "h 3"]
    out_bias: Float64[np.ndarray, " 3"]

    @property
    def dim(self) -> int:
        """Width of the embeddings."""
        return len(self.scale)

    def logits(self, first: Float[np.ndarray, "k d"], second: Float[np.ndarray, "k d"]) -> Float64[np.ndarray, "k 3"]:
        """Of a decrease, stable and an increase."""
        columns = np.ascontiguousarray(self.hidden_kernel.T)
        column_exponent = exponents(columns)
        numbers = whole(columns, column_exponent[:, None]).T

        def forward(hidden: np.ndarray) -> np.ndarray:
            active = np.maximum(hidden + self.hidden_bias, 0)
            return np.stack([(active * kernel).sum(axis=1) for kernel in self.out_kernel.T], axis=1) + self.out_bias

        def both_ends(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            x = (b - a) / self.scale
            exponent = exponents(x)[:, None]
            # whole numbers: BLAS may round equal rows differently, and 64 sums per row take 11 times as long
            hidden = np.ldexp(whole(x, exponent) @ numbers, exponent + column_exponent - 52)
            return (forward(hidden) + forward(-hidden)[:, ::-1]) / 2

        return over_rows(both_ends, first, second)


@register("mlp", Mlp)
def mlp(train: Observations, val: Observations, context: Context) -> Fitted | str:
    """A hidden layer of width 64 on standardised differences, trained by AdamW on all pairs at once.

    Takes the one of 200 steps with the least cost on validation pairs, or the 50th without any. The initial weights are
    the same in all runs.
    """
    pairs = pairs_to_fit("mlp", train, context)
    if isinstance(pairs, str):
        return pairs
    first, second, change = pairs_to_judge(val, context)
    x_val = over_pairs(lambda a, b: over_rows(lambda a, b: (b - a) / pairs.scale, a, b), val.u, first, second)
    trained = _train(
        jnp.asarray(pairs.x, jnp.float32),
        jnp.asarray(pairs.change, jnp.int32),
        jnp.asarray(pairs.weight, jnp.float32),
        jnp.asarray(x_val, jnp.float32),
        jnp.asarray(change, jnp.int32),
        steps=STEPS if len(change) else STEPS_UNJUDGED,
    )
    hidden, out = (jax.tree.map(lambda x: np.asarray(x, np.float64), trained[key]) for key in ("hidden", "out"))
    model = Mlp("mlp", False, pairs.scale, hidden["kernel"], hidden["bias"], out["kernel"], out["bias"])
    return Fitted(model, pairs.described, pairs.warning)


@partial(jax.jit, static_argnames="steps")
def _train(
    x: Float[Array, "k d"],
    change: Int[Array, " k"],
    weight: Float[Array, " k"],
    x_val: Float[Array, "v d"],
    change_val: Int[Array, " v"],
    steps: int,
) -> Params:
    """Parameters of ``f`` after the best step, or after the last without validation pairs."""
    # The implementation is named so that a user's jax_default_prng_impl changes no table.
    first, second = jax.random.split(jax.random.key(_SEED, impl="threefry2x32"))
    params = {"hidden": dense(first, x.shape[1], HIDDEN), "out": dense(second, HIDDEN, 3)}
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params)
    # a dimension that is constant in training stays ignored, whatever it does later
    params["hidden"]["kernel"] *= x.any(axis=0)[:, None]
    optimizer = optax.adamw(3e-3, weight_decay=0.1)

    def cost(params: Params, x: Array, change: Array, weight: Array) -> Array:
        hidden = jnp.matmul(x, params["hidden"]["kernel"], precision=_HIGHEST)

        def forward(hidden):
            active = jax.nn.relu(hidden + params["hidden"]["bias"])
            return jnp.matmul(active, params["out"]["kernel"], precision=_HIGHEST) + params["out"]["bias"]

        logits = (forward(hidden) + forward(-hidden)[:, ::-1]) / 2
        nll = optax.losses.softmax_cross_entropy_with_integer_labels(logits, change + 1)
        return (weight * nll).sum() / weight.sum()

    def step(carry, _):
        params, state, best, least = carry
        updates, state = optimizer.update(jax.grad(cost)(params, x, change, weight), state, params)
        params = optax.apply_updates(params, updates)
        found = cost(params, x_val, change_val, jnp.ones_like(x_val[:, 0])) if len(x_val) else least
        better = (found < least) | (len(x_val) == 0)
        best = jax.tree.map(partial(jnp.where, better), params, best)
        return (params, state, best, jnp.where(better, found, least)), None

    carry = (params, optimizer.init(params), params, jnp.asarray(jnp.inf, jnp.float32))
    return jax.lax.scan(step, carry, length=steps)[0][2]
