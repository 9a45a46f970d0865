"""Host batches -> global arrays on the mesh, two batches ahead of the step that uses them."""

import collections
from collections.abc import Iterable, Iterator
from typing import TypeVar

from jax.sharding import Mesh

from learner_jax.batch import Batch
from learner_jax.mesh import to_global

T = TypeVar("T")


def on_device(batches: Iterable[Batch], mesh: Mesh, ahead: int = 2) -> Iterator[Batch]:
    """Place each batch on the mesh while the steps before it compute."""
    return late((to_global(mesh, batch) for batch in batches), ahead)


def late(started: Iterable[T], by: int) -> Iterator[T]:
    """The same in the same order, each once ``by`` more were asked for.

    Transfers and computations begin when they are asked for, so whoever waits for one leaves work behind it.
    """
    waiting: collections.deque[T] = collections.deque()
    for one in started:
        waiting.append(one)
        if len(waiting) > by:
            yield waiting.popleft()
    yield from waiting
