"""Which kind of device a trace is for: the fastest formulation of an operation differs between them."""

import contextlib
import contextvars
from collections.abc import Iterator

import jax

_platform: contextvars.ContextVar[str | None] = contextvars.ContextVar("platform", default=None)


def platform() -> str:
    """``cpu``, ``gpu`` or ``tpu``: of :func:`tracing_for`, else of the process."""
    return _platform.get() or jax.default_backend()


@contextlib.contextmanager
def tracing_for(name: str) -> Iterator[None]:
    """Trace for another kind of device than this process has, as ahead-of-time compilation and tests do."""
    token = _platform.set(name)
    try:
        yield
    finally:
        _platform.reset(token)
