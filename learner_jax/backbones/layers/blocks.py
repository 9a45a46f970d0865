"""Blocks one after another, under the names "0", "1", … that published weights give them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flax import nnx

from learner_jax.backbones.layers import remat


class Blocks(nnx.Module):
    """A list of modules whose parameters lie under ``name/0``, ``name/1`` …: plain dicts have text keys only."""

    def __init__(self, blocks: Iterable[nnx.Module]):
        self.count = 0
        for block in blocks:
            setattr(self, str(self.count), block)
            self.count += 1

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        """To be called one after another; lists of blocks come as they are."""
        for module in (self[i] for i in range(self.count)):
            yield module if isinstance(module, Blocks) else remat.block(module)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> nnx.Module:
        return getattr(self, str(range(self.count)[i]))
