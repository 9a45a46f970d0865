"""How far each parameter of a backbone is from the embedding, for learning rates that decrease towards the input.

A block is everything under one number in the tree, such as ``layer1/0`` or ``blocks/7``. Its depth is 1 more than that
of the deepest block whose outputs reach it, so parallel pathways count alike. Parameters without a number have depth 0
before the first block (a stem, tokens, positions), and 1 more than the block before them elsewhere (a transition, a
last norm, a head). For a ViT these are the depths of Bao et al. (BEiT, arXiv 2106.08254).
"""

import re
from collections.abc import Iterable
from typing import Any

from jax.extend.core import Var

from tfds_builders.errors import InputError

_NUMBER = re.compile(r"\d+|denselayer\d+")
_Depth = tuple[int, bool]  # the depth, and whether it is a block's


def distances(jaxpr: Any, paths: Iterable[str]) -> dict[str, int]:
    """Number of blocks from each parameter to the embedding, including its own: 0 in a head, 1 in the last block.

    Args:
      jaxpr: of a forward pass. Its first arguments are the parameters, the next one is the scan.
      paths: of the parameters, in the same order.

    Raises:
      InputError: the backbone has no block.
    """
    paths = list(paths)
    # parameters that a variable comes from which does not depend on the scan, such as a kernel in another layout
    waiting = {var: {path} for var, path in zip(jaxpr.invars, paths, strict=False)}
    reached: dict[Any, _Depth] = {jaxpr.invars[len(paths)]: (0, False)}  # variables that depend on the scan
    found: dict[str, _Depth] = {}  # by block, or by path for parameters in no block
    for eqn in jaxpr.eqns:
        inputs = [var for var in eqn.invars if isinstance(var, Var)]
        met = set().union(*(waiting.get(var, ()) for var in inputs))
        depth, in_block = max((reached[var] for var in inputs if var in reached), default=(None, False))
        if depth is None:
            waiting.update((var, met) for var in eqn.outvars)
            continue
        for path in met:
            at = (depth + 1, True) if _block(path) else (depth + in_block, False)
            found.setdefault(_block(path) or path, at)
        deepest = max([(depth, in_block), *(found[_block(path) or path] for path in met)])
        reached.update((var, deepest) for var in eqn.outvars)
    blocks = [depth for depth, in_block in found.values() if in_block]
    if not blocks:
        raise InputError(
            "the backbone has no blocks (numbered parts such as blocks/7) between which learning rates could decrease. "
            "Set --config.optim.layer_decay=1"
        )
    last = max(blocks)
    depths = {path: found[_block(path) or path][0] for path in paths if (_block(path) or path) in found}
    return {path: max(last + 1 - depth, 0) for path, depth in depths.items()}


def _block(path: str) -> str | None:
    """The part of a path up to its last number; None if it has none."""
    parts = path.split("/")
    numbers = [i for i, part in enumerate(parts) if _NUMBER.fullmatch(part)]
    return "/".join(parts[: numbers[-1] + 1]) if numbers else None
