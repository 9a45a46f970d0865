"""Blocks in sequence, named "0", "1", … as in published weights."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flax import nnx

from learner_jax.backbones.layers import remat
from learner_jax.backbones.layers.stored import stored


class Blocks(nnx.Module):
    """A list of modules with parameters under ``name/0``, ``name/1`` …, as plain dicts have text keys only."""

    def __init__(self, blocks: Iterable[nnx.Module]):
        self.count = 0
        for block in blocks:
            setattr(self, str(self.count), block)
            self.count += 1

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        """The blocks to call, rematerialised if :func:`remat.remat` says so; nested lists are yielded as they are.

        What a block returns is stored: it is read by the next block and by its shortcut, forward and backward.
        """
        for module in (self[i] for i in range(self.count)):
            yield module if isinstance(module, Blocks) else _storing(remat.block(module))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> nnx.Module:
        return getattr(self, str(range(self.count)[i]))


def _storing(block: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: stored(block(*args))
