"""The devices over which the rows of a batch are sharded, for kernels that XLA cannot partition by itself."""

import contextlib
import contextvars
from collections.abc import Iterator

from jax.sharding import Mesh

_mesh: contextvars.ContextVar[Mesh | None] = contextvars.ContextVar("mesh", default=None)


@contextlib.contextmanager
def rows_over(mesh: Mesh) -> Iterator[None]:
    """Trace the ``with`` block for batches whose rows are sharded over all axes of a mesh."""
    token = _mesh.set(mesh)
    try:
        yield
    finally:
        _mesh.reset(token)


def mesh_of_rows() -> Mesh | None:
    """The mesh of :func:`rows_over`; None outside of it."""
    return _mesh.get()
