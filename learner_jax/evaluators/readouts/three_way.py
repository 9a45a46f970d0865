"""Three-way classifiers of the difference of two embeddings: a linear one and one with a hidden layer.

Both are fitted to every pair in both orders, and swap their logits when the visits are swapped, to the bit.
"""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Float64, Int
from scipy.optimize import minimize

from learner_jax.evaluators.blockwise import exponents, over_pairs, over_rows, whole
from learner_jax.evaluators.change import true_change
from learner_jax.evaluators.pairs import Observations, draw, fine_pairs
from learner_jax.evaluators.readouts.api import Compared, Context, Fitted, register
from learner_jax.evaluators.readouts.checks import check_change_threshold, labeled
from learner_jax.evaluators.readouts.decision import mean_nll, softmax
from learner_jax.evaluators.readouts.tie import tie_logits
from learner_jax.evaluators.readouts.training_pairs import TrainingPairs, training_pairs
from learner_jax.objectives.heads import Params, dense

PENALTIES = (10.0, 1.0, 0.1, 0.01, 1e-3, 1e-4)  # per pair; strongest first
DEFAULT_PENALTY = 0.1  # without validation pairs
HIDDEN = 64
STEPS, STEPS_UNJUDGED = 200, 50  # with and without validation pairs to choose the best step by
MOST_VAL = 16_384  # validation pairs that a penalty or step is chosen by
_MLP_SEED = 0
_HIGHEST = jax.lax.Precision.HIGHEST


class _ThreeWay:
    """Common to both: the delta is a lean instead of a difference of scores."""

    def scores(self, u: Float[np.ndarray, "n d"]) -> None:
        """None: the model only compares pairs."""
        return None

    def compare(
        self, u: Float[np.ndarray, "n d"], first: Int[np.ndarray, " k"], second: Int[np.ndarray, " k"]
    ) -> Compared:
        """Logits, and as delta the lean ``P(increase) - P(decrease)`` between -1 and 1."""
        logits = over_pairs(self.logits, u, first, second)
        probability = softmax(logits)
        return Compared(probability[:, 2] - probability[:, 0], logits)


@dataclasses.dataclass(frozen=True)
class Linear(_ThreeWay):
    """Logits ``(-r, log_tie, r)`` with ``r = coef · (u2 - u1)``."""

    kind: str
    in_score_units: bool
    coef: Float64[np.ndarray, " d"]
    log_tie: float
    penalty: float  # of mean(-log P) + penalty |w|^2, w on standardised differences

    @property
    def dim(self) -> int:
        """Width of the embeddings."""
        return len(self.coef)

    def logits(self, first: Float[np.ndarray, "k d"], second: Float[np.ndarray, "k d"]) -> Float64[np.ndarray, "k 3"]:
        """Of a decrease, stable and an increase."""
        r = over_rows(lambda a, b: ((b - a) * self.coef).sum(axis=1), first, second)
        return tie_logits(r, self.log_tie)


@dataclasses.dataclass(frozen=True)
class Mlp(_ThreeWay):
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


@register("linear", Linear)
def linear(train: Observations, val: Observations, context: Context) -> Fitted | str:
    """Multinomial logistic regression on standardised differences, with an L2 penalty chosen on validation pairs.

    On pairs in both orders, the best weights of increase and decrease are opposite and those of stable are 0, since the
    cost is convex and does not change when all pairs are swapped. That leaves ``d + 1`` parameters, and makes it the
    likelihood of Davidson (doi 10.1080/01621459.1970.10481082) on a frozen embedding. Without validation pairs the
    penalty is 0.1 per pair.
    """
    pairs = _training_pairs("linear", train, context)
    if isinstance(pairs, str):
        return pairs
    judge = _judge(val, context)
    penalties = PENALTIES if len(judge[0]) else (DEFAULT_PENALTY,)
    best, least, at = None, np.inf, np.zeros(pairs.x.shape[1] + 1)
    for penalty in penalties:
        at = minimize_linear(pairs, penalty, at)
        model = Linear("linear", False, at[:-1] / pairs.scale, float(at[-1]), penalty)
        cost = mean_nll(over_pairs(model.logits, val.u, *judge[:2]), judge[2]) if len(judge[0]) else 0.0
        if cost < least:
            best, least = model, cost
    return Fitted(best, pairs.described, pairs.warning)


def minimize_linear(
    pairs: TrainingPairs, penalty: float, start: Float64[np.ndarray, " e"]
) -> Float64[np.ndarray, " e"]:
    """``(w [d], log_tie)`` that minimise ``sum(weight · -log P) / sum(weight) + penalty |w|^2``."""
    x, change, total = pairs.x, pairs.change, pairs.weight.sum()

    def cost(at: np.ndarray) -> tuple[float, np.ndarray]:
        w, tie = at[:-1], at[-1]
        r = x @ w
        logits = tie_logits(r, tie)
        log_total = np.logaddexp(np.logaddexp(r, -r), tie)
        probability = np.exp(logits - log_total[:, None])
        nll = log_total - logits[np.arange(len(r)), change + 1]
        by_r = pairs.weight * (probability[:, 2] - probability[:, 0] - change)
        by_tie = pairs.weight @ (probability[:, 1] - (change == 0))
        gradient = np.append(by_r @ x / total + 2 * penalty * w, by_tie / total)
        return float(pairs.weight @ nll / total + penalty * w @ w), gradient

    return minimize(cost, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000, "ftol": 1e-13, "gtol": 1e-7}).x


@register("mlp", Mlp)
def mlp(train: Observations, val: Observations, context: Context) -> Fitted | str:
    """A hidden layer of width 64 on standardised differences, trained by AdamW on all pairs at once.

    Takes the one of 200 steps with the least cost on validation pairs, or the 50th without any. The initial weights are
    the same in all runs.
    """
    pairs = _training_pairs("mlp", train, context)
    if isinstance(pairs, str):
        return pairs
    first, second, change = _judge(val, context)
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
    first, second = jax.random.split(jax.random.key(_MLP_SEED, impl="threefry2x32"))
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


def _training_pairs(name: str, train: Observations, context: Context) -> TrainingPairs | str:
    known = labeled(train, context.score_name)
    threshold = check_change_threshold(context.config.change_threshold, context.score_name)
    pairs = training_pairs(known, context.config.pairs, threshold)
    return f"{name}: {pairs}" if isinstance(pairs, str) else pairs


def _judge(val: Observations, context: Context) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``first``, ``second`` and change of the validation pairs that a penalty or step is chosen by."""
    pairs = fine_pairs(val, context.config.pairs, context.config.order)
    chosen = draw(len(pairs), MOST_VAL)
    first, second = pairs.first[chosen], pairs.second[chosen]
    return first, second, true_change(val.score[first], val.score[second], context.config.change_threshold)
