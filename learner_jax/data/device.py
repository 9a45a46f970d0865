"""Host batches -> global arrays on the mesh, one batch ahead of the step that uses it."""

import collections
from collections.abc import Iterable, Iterator
from functools import partial

import jax
from jax.sharding import Mesh

from learner_jax.batch import Batch
from learner_jax.mesh import to_global


def on_device(batches: Iterable[Batch], mesh: Mesh, ahead: int = 1) -> Iterator[Batch]:
    """Place each batch on the mesh while the step before it computes."""
    waiting: collections.deque[Batch] = collections.deque()
    for batch in batches:
        waiting.append(jax.tree.map(partial(to_global, mesh), batch))
        if len(waiting) > ahead:
            yield waiting.popleft()
    yield from waiting
