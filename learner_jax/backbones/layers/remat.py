"""Which values of the forward pass are kept for the backward pass, and which it recomputes."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import jax
from flax import nnx

# for values within a block; what passes between blocks is always kept
_KEPT = {
    "blocks": jax.checkpoint_policies.nothing_saveable,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}
_kept: contextvars.ContextVar[Callable[..., bool] | None] = contextvars.ContextVar("kept", default=None)


@contextlib.contextmanager
def remat(name: str) -> Iterator[None]:
    """Trace the ``with`` block so that the backward pass recomputes what is within each block of a backbone.

    Args:
      name: what is kept within a block: ``none``: everything (nothing is recomputed); ``blocks``: nothing; ``dots``:
        products of matrices.
    """
    token = _kept.set(None if name == "none" else _KEPT[name])
    try:
        yield
    finally:
        _kept.reset(token)


def block(module: nnx.Module) -> Callable[..., Any]:
    """The module itself or, within :func:`remat`, the module with recomputation in the backward pass."""
    kept = _kept.get()
    if kept is None:
        return module

    def run(*args: Any) -> Any:
        graph, params, stats = nnx.split(module, nnx.Param, nnx.BatchStat)

        def pure(params: Any, stats: Any) -> tuple[Any, Any]:
            inside = nnx.merge(graph, params, stats)
            return inside(*args), nnx.state(inside, nnx.BatchStat)

        out, stats = jax.checkpoint(pure, policy=kept)(params, stats)
        nnx.update(module, stats)
        return out

    return run
