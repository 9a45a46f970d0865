"""How far each parameter of a backbone is from the embedding, for learning rates that fall towards the input.

A block is what lies below one number of the tree, such as ``layer1/0`` or ``blocks/7``. Its depth is 1 more than the
deepest block whose results come into it, so that pathways side by side count alike. What has no number has depth 0
before the first block (a stem, tokens, positions), and 1 more than the block before it elsewhere (a transition, a last
norm, a head). This is how Bao et al. (BEiT, arXiv 2106.08254) number a ViT.
"""

import re
from collections.abc import Iterable
from typing import Any

from jax.extend.core import Var

from tfds_builders.errors import InputError

_NUMBER = re.compile(r"\d+|denselayer\d+")
_Depth = tuple[int, bool]  # and whether a block has it


def distances(jaxpr: Any, paths: Iterable[str]) -> dict[str, int]:
    """Blocks from the parameter at each path to the embedding, its own included: 0 for a head, 1 in the last block.

    Args:
      jaxpr: of a forward pass. Its first arguments are the parameters, the next one is the scan.
      paths: of the parameters, in the same order.

    Raises:
      InputError: there is no block.
    """
    paths = list(paths)
    # what does not depend on the scan, such as a kernel in another layout, waits until it meets what does
    waiting = {var: {path} for var, path in zip(jaxpr.invars, paths, strict=False)}
    come: dict[Any, _Depth] = {jaxpr.invars[len(paths)]: (0, False)}
    found: dict[str, _Depth] = {}  # of blocks, and of paths that lie in none
    for eqn in jaxpr.eqns:
        inputs = [var for var in eqn.invars if isinstance(var, Var)]
        met = set().union(*(waiting.get(var, ()) for var in inputs))
        depth, in_block = max((come[var] for var in inputs if var in come), default=(None, False))
        if depth is None:
            waiting.update((var, met) for var in eqn.outvars)
            continue
        for path in met:
            at = (depth + 1, True) if _block(path) else (depth + in_block, False)
            found.setdefault(_block(path) or path, at)
        deepest = max([(depth, in_block), *(found[_block(path) or path] for path in met)])
        come.update((var, deepest) for var in eqn.outvars)
    blocks = [depth for depth, in_block in found.values() if in_block]
    if not blocks:
        raise InputError(
            "the backbone has no blocks, which are numbered parts such as blocks/7, between which learning rates could "
            "fall. Set --config.optim.layer_decay=1"
        )
    last = max(blocks)
    depths = {path: found[_block(path) or path][0] for path in paths if (_block(path) or path) in found}
    return {path: max(last + 1 - depth, 0) for path, depth in depths.items()}


def _block(path: str) -> str | None:
    """The part of a path through its last number."""
    parts = path.split("/")
    numbers = [i for i, part in enumerate(parts) if _NUMBER.fullmatch(part)]
    return "/".join(parts[: numbers[-1] + 1]) if numbers else None
