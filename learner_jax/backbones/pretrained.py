"""Published weights -> the variables of a backbone, from safetensors only, by an explicit map of names.

Nothing here unpickles. ``python -m learner_jax.backbones.convert`` turns other files into safetensors, once, in a
separate process.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors import SafetensorError
from safetensors.numpy import load_file

from learner_jax.backbones.adapt import fold_stem
from learner_jax.backbones.api import Backbone, Variables
from learner_jax.backbones.names import Names
from learner_jax.batch import BatchSpec
from tfds_builders.errors import InputError

Tensors = Mapping[str, np.ndarray]
Channels = tuple[float, float, float]
_SHOWN = 20  # lines of a difference; a net has hundreds of parameters


def load(path: Path, backbone: Backbone, spec: BatchSpec, mean: Channels, std: Channels) -> Variables:
    """The variables of a backbone from a file of published weights.

    Args:
      path: a ``.safetensors`` file with the names of any library in ``backbone.names``.
      backbone: that the weights are for.
      spec: shape of the scans; an RGB stem is folded if they have one channel.
      mean, std: by channel, by which intensities were normalised when the weights were trained.

    Raises:
      InputError: the file cannot be read or is not of this backbone; with each path that differs.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError, AttributeError) as fault:  # AttributeError for a dtype that NumPy lacks
        raise InputError(f"cannot read the weights {path}: {fault}") from fault
    if not backbone.names:
        raise InputError(f"{backbone.name} cannot start from published weights: it has no map of their names")
    faults = {}
    for library, names in backbone.names.items():
        faults[library] = differences(tensors, backbone, spec, names)
        if not faults[library]:
            return convert(tensors, backbone, spec, names, mean, std)
    library = min(faults, key=lambda library: len(faults[library]))
    lines = faults[library]
    if all(re.match(r"  unexpected .*\.running_(mean|var) ", line) for line in lines):
        raise InputError(f"{path} holds weights of {backbone.name} with batch norm; set --config.backbone.norm=batch")
    more = [f"  … and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    raise InputError(
        "\n".join(
            [f"{path} does not hold weights of {backbone.name} by the names of {library}:", *lines[:_SHOWN], *more]
        )
    )


def convert(
    tensors: Tensors,
    backbone: Backbone,
    spec: BatchSpec,
    names: Names,
    mean: Channels = (0.5, 0.5, 0.5),
    std: Channels = (0.5, 0.5, 0.5),
) -> Variables:
    """A library's tensors as ``{"params", "stats"}``, provided that :func:`differences` finds none.

    Raises:
      KeyError: a tensor is missing.
      ValueError: a tensor has another shape, or a folded stem needs a constant that nothing after it can absorb.
    """
    ours = _shapes(backbone, spec)
    found = {path: names.take(path.partition("/")[2], tensors, shape) for path, shape in ours.items()}
    for stem in backbone.stems:
        kernel = f"params/{stem.kernel}"
        if _is_foldable(found[kernel].shape, ours[kernel]):
            found[kernel], constant = fold_stem(found[kernel], mean, std)
            mean_path, bias_path = f"stats/{stem.offset}", f"params/{stem.offset}"
            if not constant.any():
                continue
            if mean_path in found:
                found[mean_path] = found[mean_path] - constant
            elif bias_path in found:
                found[bias_path] = found[bias_path] + constant
            else:
                raise ValueError(f"{backbone.name} has nothing after its stem that could absorb a constant")
    for path, tensor in found.items():
        if tensor.shape != ours[path]:
            raise ValueError(f"{path} has the shape {tensor.shape} and not {ours[path]}")
    tree = unflatten_dict({tuple(path.split("/")): np.asarray(tensor, np.float32) for path, tensor in found.items()})
    return {"params": tree.get("params", {}), "stats": tree.get("stats", {})}


def differences(tensors: Tensors, backbone: Backbone, spec: BatchSpec, names: Names) -> list[str]:
    """How tensors differ from the weights of a backbone, a line for each path; empty if they do not."""
    lines, used = [], set()
    stems = {f"params/{stem.kernel}" for stem in backbone.stems}
    for path, shape in _shapes(backbone, spec).items():
        sources, _ = names.of(path.partition("/")[2])
        used.update(sources)
        absent = [source for source in sources if source not in tensors]
        if absent:
            lines.append(f"  missing     {', '.join(absent)}  ->  {path} {_text(shape)}")
            continue
        try:
            tensor = names.take(path.partition("/")[2], tensors, shape)
        except (IndexError, TypeError, ValueError):  # of joining, cutting or resizing what has none of the right shapes
            theirs = ", ".join(f"{source} {_text(tensors[source].shape)}" for source in sources)
            lines.append(f"  other shape {theirs}  ->  {path} {_text(shape)}")
            continue
        found = tensor.shape
        if found != shape and not (path in stems and _is_foldable(found, shape)):
            lines.append(f"  other shape {', '.join(sources)} {_text(found)}  ->  {path} {_text(shape)}")
        elif tensor.dtype.kind != "f":
            lines.append(f"  no weights  {', '.join(sources)} is of type {tensor.dtype}  ->  {path}")
        elif not np.isfinite(tensor).all() or (path.endswith("/var") and tensor.min() < 0):
            wrong = "negative variances" if np.isfinite(tensor).all() else "numbers that are not finite"
            lines.append(f"  no weights  {', '.join(sources)} has {wrong}  ->  {path}")
    for name in tensors:
        if name not in used and not names.is_unused(name):
            lines.append(f"  unexpected  {name} {_text(tensors[name].shape)}")
    return lines


def _shapes(backbone: Backbone, spec: BatchSpec) -> dict[str, tuple[int, ...]]:
    return {path: leaf.shape for path, leaf in flatten_dict(backbone.shapes(spec), sep="/").items()}


def _is_foldable(found: tuple[int, ...], ours: tuple[int, ...]) -> bool:
    return len(found) > 1 and (found[-2], ours[-2]) == (3, 1) and found[:-2] == ours[:-2] and found[-1] == ours[-1]


def _text(shape: tuple[int, ...]) -> str:
    return f"[{' '.join(map(str, shape))}]"
