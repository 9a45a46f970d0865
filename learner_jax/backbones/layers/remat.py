"""Which numbers of a forward pass the backward pass finds in memory, and which it computes again."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import jax
from flax import nnx

# of the numbers within a block; what goes from block to block stays in any case
_KEPT = {
    "blocks": jax.checkpoint_policies.nothing_saveable,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}
_kept: contextvars.ContextVar[Callable[..., bool] | None] = contextvars.ContextVar("kept", default=None)


@contextlib.contextmanager
def remat(name: str) -> Iterator[None]:
    """Trace what is in the ``with`` block so that each block of a backbone is computed again in the backward pass.

    Args:
      name: ``none``: everything is kept; ``blocks``: nothing within a block; ``dots``: products of matrices.
    """
    token = _kept.set(None if name == "none" else _KEPT[name])
    try:
        yield
    finally:
        _kept.reset(token)


def block(module: nnx.Module) -> Callable[..., Any]:
    """The module as a block: itself, or within :func:`remat` one whose inside is computed again."""
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
