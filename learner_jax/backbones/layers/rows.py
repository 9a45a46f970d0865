"""Over which devices the rows of a batch are cut: a kernel that XLA cannot cut runs on each of them."""

import contextlib
import contextvars
from collections.abc import Iterator

from jax.sharding import Mesh

_mesh: contextvars.ContextVar[Mesh | None] = contextvars.ContextVar("mesh", default=None)


@contextlib.contextmanager
def rows_over(mesh: Mesh) -> Iterator[None]:
    """Trace what is in the ``with`` block for batches whose rows are cut over all axes of a mesh."""
    token = _mesh.set(mesh)
    try:
        yield
    finally:
        _mesh.reset(token)


def mesh_of_rows() -> Mesh | None:
    """The mesh of :func:`rows_over`; None: nobody has said how rows are cut."""
    return _mesh.get()
