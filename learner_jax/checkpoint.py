"""Checkpoints that are either whole or not there, and that notice when a byte changed.

Orbax writes and commits by renaming. It restores a flipped byte in silence and counts an empty folder named like a step
as the newest checkpoint (0.12.8), so every checkpoint carries a sha256 of each array, written before the commit, and
restoring falls back to the newest one that proves whole.
"""

import dataclasses
import hashlib
import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np
from orbax import checkpoint as ocp

from learner_jax.state import TrainState
from tfds_builders.errors import InputError

log = logging.getLogger(__name__)
_ITEMS = ("encoder", "heads", "training")


class DamagedCheckpoint(Exception):
    """An array does not match the digest that was written with it."""


class Checkpoints:
    """The checkpoints of one run, in ``WORKDIR/checkpoints/STEP``.

    Each holds ``encoder`` (parameters and statistics) and ``heads`` (the objective's parameters), which scoring needs,
    ``training`` (everything else that exact resuming needs) and ``meta`` (config, fingerprints, digests).
    """

    def __init__(self, workdir: Path | str, keep: int | None = None):
        self._folder = Path(workdir).absolute() / "checkpoints"
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=keep is not None, read_only=keep is None)
        self._manager = ocp.CheckpointManager(self._folder, item_names=(*_ITEMS, "meta"), options=options)

    def save(self, state: TrainState, meta: dict[str, Any]) -> None:
        """Start to write the state of its step; the buffers may be donated as soon as this returns."""
        step = int(state.step)
        if step == self._manager.latest_step():
            return
        parts = _split(state)
        digests = {name: digest(tree) for name, tree in parts.items()}
        heads = jax.tree.map(lambda x: {"shape": list(x.shape), "dtype": str(x.dtype)}, parts.get("heads", {}))
        self._manager.save(
            step,
            args=ocp.args.Composite(
                **{name: ocp.args.StandardSave(parts[name]) for name in parts},
                meta=ocp.args.JsonSave(meta | {"step": step, "digests": digests, "heads": heads}),
            ),
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        """Commit what is under way and release the folder."""
        self._manager.close()

    def steps(self) -> list[int]:
        """Steps with a committed checkpoint, oldest first."""
        self._manager.reload()
        return sorted(self._manager.all_steps())

    def meta(self, step: int) -> dict[str, Any]:
        """What was stored beside the arrays."""
        return self._manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))["meta"]

    def newest_meta(self) -> dict[str, Any] | None:
        """Meta of the newest checkpoint whose meta can be read; None when there is none."""
        for step in reversed(self.steps()):
            try:
                return self.meta(step)
            except Exception as fault:  # what is damaged is reported where the arrays are restored
                log.debug("no meta in checkpoint %d: %s", step, fault)
        return None

    def restore_for_scoring(self, step: int, encoder: Any) -> tuple[Any, dict[str, Any]]:
        """The encoder ``{"params", "stats"}`` of a step, in the shapes and places of ``encoder``, and the objective's
        parameters as numpy arrays.

        Raises:
          DamagedCheckpoint: when an array is not the one that was saved.
        """
        # Shapes are stored: those of a head may depend on a cohort that is not the one to score.
        is_shape = lambda x: isinstance(x, dict) and set(x) == {"shape", "dtype"}  # noqa: E731
        shaped = lambda x: np.empty(x["shape"], x["dtype"])  # noqa: E731
        heads = jax.tree.map(shaped, self.meta(step)["heads"], is_leaf=is_shape)
        restored = self._restore(step, {"encoder": encoder, "heads": heads} if heads else {"encoder": encoder})
        return restored["encoder"], restored.get("heads", {})

    def restore_newest(self, abstract: TrainState) -> TrainState | None:
        """State of the newest checkpoint that proves whole, or None when there is no checkpoint.

        Raises:
          InputError: when there are checkpoints and none can be restored.
        """
        steps = self.steps()
        for step in reversed(steps):
            try:
                return _join(self._restore(step, _split(abstract)))
            except Exception as fault:  # orbax raises half a dozen kinds for one missing file
                reason = f"{type(fault).__name__}: {str(fault).splitlines()[0] if str(fault) else ''}"[:200]
                log.error("checkpoint %s/%d is damaged and passed over: %s", self._folder, step, reason)
        if steps:
            raise InputError(
                f"none of the {len(steps)} checkpoints in {self._folder} can be restored; remove the folder"
            )
        return None

    def _restore(self, step: int, abstract: dict[str, Any]) -> dict[str, Any]:
        args = {name: ocp.args.StandardRestore(tree) for name, tree in abstract.items()}
        restored = self._manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore(), **args))
        for name in abstract:
            stored, found = restored["meta"]["digests"][name], digest(restored[name])
            wrong = sorted(key for key in stored.keys() | found.keys() if stored.get(key) != found.get(key))
            if wrong:
                raise DamagedCheckpoint(f"{len(wrong)} arrays do not match their digest, the first is {name}{wrong[0]}")
        return {name: restored[name] for name in abstract}


def digest(tree: Any) -> dict[str, str]:
    """``path -> sha256`` of dtype, shape and bytes of every array in a tree."""

    def one(leaf: Any) -> str:
        array = np.ascontiguousarray(leaf)
        return hashlib.sha256(f"{array.dtype} {array.shape} ".encode() + array.tobytes()).hexdigest()

    return {jax.tree_util.keystr(path): one(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _split(state: TrainState) -> dict[str, Any]:
    parts = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
    params = parts.pop("params")
    encoder = {"params": params["backbone"], "stats": parts.pop("stats")}
    split = {"encoder": encoder, "heads": params["objective"], "training": parts}
    return {name: tree for name, tree in split.items() if tree}  # orbax keeps no item without an array


def _join(parts: dict[str, Any]) -> TrainState:
    params = {"backbone": parts["encoder"]["params"], "objective": parts.get("heads", {})}
    return TrainState(params=params, stats=parts["encoder"]["stats"], **parts["training"])
