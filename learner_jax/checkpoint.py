"""Checkpoints that exist only when they are complete, and that detect a changed byte.

Orbax writes a checkpoint and commits it by a rename or, in a bucket, by a last object. But it restores a flipped byte
silently, and takes an empty folder named like a step for the newest checkpoint (0.12.8). So every checkpoint gets a
manifest with the size and sha256 of each file before it is committed. One without a manifest does not count, and one
that does not match its manifest is skipped.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import logging
from etils import epath
from orbax import checkpoint as ocp

from learner_jax import bucket, manifest
from learner_jax.distributed import agreed, first
from learner_jax.pytree import path_text
from learner_jax.state import TrainState
from tfds_builders.errors import InputError

_COMMITTED = "commit_success.txt"  # what Orbax writes last in a bucket
_ITEMS = ("encoder", "heads", "training")

# Orbax cuts replicated arrays into one slice per device, so that all hosts write. It compiles a program for every shape
# and slice, which takes far longer than writing when arrays are small.
_LEAST_SLICE = 2**20  # bytes
_verbosity = logging.get_verbosity()
logging.set_verbosity(logging.ERROR)  # Orbax warns about every replaced handler
ocp.type_handlers.register_type_handler(
    jax.Array, ocp.type_handlers.ArrayHandler(min_slice_bytes_for_replica_parallel=_LEAST_SLICE), override=True
)
logging.set_verbosity(_verbosity)


class DamagedCheckpoint(InputError):
    """A file of a checkpoint differs from what was written."""


class Checkpoints:
    """The checkpoints of one run, in ``WORKDIR/checkpoints/STEP``.

    Each holds ``encoder`` (parameters and statistics) and ``heads`` (the objective's parameters), which scoring needs;
    ``training`` (everything else needed to resume exactly); ``meta`` (config, fingerprints); and the manifest.

    Args:
      workdir: of the run.
      keep: how many of the newest checkpoints to keep; None: this process only reads.
    """

    def __init__(self, workdir: Path | epath.Path | str, keep: int | None = None):
        self._remote = bucket.is_remote(workdir)
        self._folder = (epath.Path(workdir) if self._remote else Path(workdir).absolute()) / "checkpoints"
        self._saving, self._owned = 0, keep is not None
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            create=keep is not None,
            read_only=keep is None,
            cleanup_tmp_directories=keep is not None,  # left over from an interrupted save
            async_options=ocp.AsyncOptions(post_finalization_callback=self._seal),
        )
        self._manager = ocp.CheckpointManager(self._folder, item_names=(*_ITEMS, "meta"), options=options)

    def save(self, state: TrainState, meta: dict[str, Any]) -> None:
        """Start writing the state; its buffers may be donated as soon as this returns."""
        step = int(state.step)
        if step == self._manager.latest_step():
            return
        parts = _split(state)
        heads = jax.tree.map(lambda x: {"shape": list(x.shape), "dtype": str(x.dtype)}, parts.get("heads", {}))
        self._manager.wait_until_finished()  # until the previous save is committed, _seal needs its _saving
        self._saving = step
        self._manager.save(
            step,
            args=ocp.args.Composite(
                **{name: ocp.args.StandardSave(parts[name]) for name in parts},
                meta=ocp.args.JsonSave(meta | {"step": step, "heads": heads}),
            ),
        )

    def _seal(self) -> None:
        """Write the manifest. Orbax calls this on the first process, after writing and before the rename."""
        folder = self._folder / str(self._saving)
        if not self._remote:
            (folder,) = self._folder.glob(f"{self._saving}.orbax-checkpoint-tmp*")
        manifest.write(folder)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        """Finish a save that is under way and release the folder."""
        self._manager.close()

    def steps(self) -> list[int]:
        """Steps with a committed checkpoint, oldest first."""
        if self._remote:
            held = set(bucket.names(self._folder))
            marks = (manifest.FILE, _COMMITTED)
            whole = [step for step in self._named() if all(f"{step.name}/{mark}" in held for mark in marks)]
        else:
            whole = [step for step in self._named() if (step / manifest.FILE).exists()]
        return sorted(int(step.name) for step in whole)

    def meta(self, step: int) -> dict[str, Any]:
        """What was stored beside the arrays, see :func:`learner_jax.resume.metadata`."""
        return self._manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))["meta"]

    def newest(self) -> int | None:
        """Step of the newest checkpoint that matches its manifest, the same on every process; None where there is none.

        Unless this process only reads, newer ones that are damaged or have no manifest are moved to
        ``WORKDIR/damaged``.

        Raises:
          InputError: there are committed checkpoints, and all are damaged.
        """
        step, fault = agreed(self._newest() if first() else None)
        if fault:
            raise InputError(fault)
        self._manager.reload()
        return step

    def _newest(self) -> tuple[int | None, str]:
        steps, whole = self.steps(), None
        for step in reversed(steps):
            fault = manifest.fault(self._folder / str(step))
            if not fault:
                whole = step
                break
            _say(f"checkpoint {self._folder}/{step} is damaged and passed over: {fault}")
        if steps and whole is None:
            return None, f"all {len(steps)} checkpoints in {self._folder} are damaged; remove the folder to start anew"
        for folder in self._named() if self._owned else ():
            if whole is None or int(folder.name) > whole:
                _set_aside(folder)
        return whole, ""

    def _named(self) -> list[Path]:
        """Folders named like a step; one being written has a longer name or, in a bucket, lacks a mark."""
        if self._remote:
            steps = {name.partition("/")[0] for name in bucket.names(self._folder)}
            return [self._folder / step for step in sorted(steps) if step.isdigit()]
        return [path for path in self._folder.glob("*") if path.name.isdigit()]

    def restore(self, step: int, abstract: TrainState) -> TrainState:
        """The state of a step that :meth:`newest` returned, with the shapes and shardings of ``abstract``."""
        return _join(self._restore(step, _split(abstract)))

    def restore_for_scoring(self, step: int, encoder: Any) -> tuple[Any, dict[str, Any]]:
        """The encoder and the heads of a step.

        Args:
          step: with a committed checkpoint.
          encoder: shapes and shardings of the backbone's ``{"params", "stats"}``.

        Returns:
          The restored encoder, and the objective's parameters as NumPy arrays.

        Raises:
          DamagedCheckpoint: a file differs from what was written.
          InputError: the encoder has other shapes.
        """
        fault = agreed(manifest.fault(self._folder / str(step)) if first() else None)
        if fault:
            raise DamagedCheckpoint(
                f"checkpoint {self._folder}/{step} is damaged: {fault}. Copy it again, or use another step"
            )
        # The heads' shapes come from the checkpoint: they may depend on the training cohort, and another may be scored.
        heads = jax.tree.map(
            lambda leaf: np.empty(leaf["shape"], leaf["dtype"]),
            self.meta(step)["heads"],
            is_leaf=lambda node: set(node) == {"shape", "dtype"},
        )
        restored = self._restore(step, {"encoder": encoder, "heads": heads} if heads else {"encoder": encoder})
        return restored["encoder"], restored.get("heads", {})

    def _restore(self, step: int, abstract: dict[str, Any]) -> dict[str, Any]:
        if differing := self._differing(step, abstract):  # checked first: a read that fails leaves others running
            raise InputError(
                f"step {step} in {self._folder} holds other arrays than this config's backbone, objective and "
                f"optimizer have: {differing}. Set those fields as they were, or use a new --workdir"
            )
        args = {name: ocp.args.StandardRestore(tree) for name, tree in abstract.items()}
        restored = self._manager.restore(step, args=ocp.args.Composite(**args))
        return {name: restored[name] for name in abstract}

    def _differing(self, step: int, abstract: dict[str, Any]) -> str:
        """The first array whose shape in the checkpoint is not the one asked for; empty where all agree."""
        for name, tree in abstract.items():
            with ocp.PyTreeCheckpointer() as reader:
                stored = _shapes(reader.metadata(self._folder / str(step) / name).item_metadata.tree)
            asked = _shapes(tree)
            for path in sorted(stored.keys() | asked.keys()):
                if stored.get(path) != asked.get(path):
                    return f"{name}/{path} has the shape {stored.get(path, 'of none')} and not {asked.get(path, 'any')}"
        return ""


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    return {path_text(path): tuple(leaf.shape) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _set_aside(folder: Path) -> None:
    aside = folder.parents[1] / "damaged"
    aside.mkdir(exist_ok=True)
    number = next(n for n in range(1, 10**6) if not (aside / f"{folder.name}-{n}").exists())
    target = aside / f"{folder.name}-{number}"
    if bucket.is_remote(folder):
        held = bucket.names(folder)
        for name in held:
            bucket.files_of(folder).cp_file(f"{folder}/{name}", f"{target}/{name}")
        for name in held:
            (folder / name).unlink()  # through epath as Orbax does, so that its cached listings are updated
    else:
        folder.rename(target)
    _say(f"checkpoint {folder} is not whole; it is moved to {target}")


def _say(text: str) -> None:  # not through logging, which main silences because of Orbax
    print(f"WARNING: {text}", file=sys.stderr, flush=True)


def _split(state: TrainState) -> dict[str, Any]:
    parts = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
    scored = parts.pop("average") or parts.pop("params")  # with an average, the parameters themselves are not scored
    encoder = {"params": scored["backbone"], "stats": parts.pop("stats")}
    split = {"encoder": encoder, "heads": scored["objective"], "training": parts}
    return {name: tree for name, tree in split.items() if tree}  # Orbax cannot store an item without arrays


def _join(parts: dict[str, Any]) -> TrainState:
    scored = {"backbone": parts["encoder"]["params"], "objective": parts.get("heads", {})}
    training = {"params": scored, "average": {}} | parts["training"]
    if "params" in parts["training"]:
        training["average"] = scored
    return TrainState(stats=parts["encoder"]["stats"], **training)
