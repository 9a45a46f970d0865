"""What a checkpoint holds, for comparing runs to the bit."""

import hashlib
from pathlib import Path

import jax
import numpy as np
from orbax import checkpoint as ocp


def digests(workdir: Path, step: int) -> dict[str, str]:
    """``path -> sha256`` of dtype, shape and bytes of every array in the checkpoint of a step."""
    found = {}
    for item in ("encoder", "heads", "training"):
        folder = workdir.absolute() / "checkpoints" / str(step) / item
        if not folder.exists():
            continue
        with ocp.PyTreeCheckpointer() as checkpointer:
            shapes = checkpointer.metadata(folder).item_metadata.tree
            as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), shapes)
            tree = checkpointer.restore(folder, restore_args=as_numpy)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            array = np.ascontiguousarray(leaf)
            mark = hashlib.sha256(f"{array.dtype} {array.shape} ".encode() + array.tobytes()).hexdigest()
            found[item + jax.tree_util.keystr(path)] = mark
    return found
