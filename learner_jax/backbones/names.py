"""What a library that publishes weights calls the parameters of a backbone, and how it lays them out.

A path of ours such as ``layer1/0/conv1/kernel`` is written the way PyTorch would (``layer1.0.conv1.weight``: kernel and
scale are its weight, mean and var its running_mean and running_var); the rules of a family rename what its library
calls otherwise. Kernels are turned from PyTorch's ``[out, in, *space]`` to ours, ``[*space, in, out]``.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping

import numpy as np

_LEAVES = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}


@dataclasses.dataclass(frozen=True)
class From:
    """A parameter made of several tensors, or of one that has to be cut or resized.

    Attributes:
      names: of the tensors, as replacements of the rule's pattern.
      make: ``(*tensors, shape) -> tensor`` of that shape; kernels come and go in our layout.
    """

    names: tuple[str, ...]
    make: Callable[..., np.ndarray]


def joined(*names: str) -> From:
    """Tensors laid side by side along their last axis, such as queries, keys and values."""
    return From(names, lambda *tensors: np.concatenate(tensors[:-1], axis=-1))


@dataclasses.dataclass(frozen=True)
class Names:
    """Rules from our names to a library's.

    Attributes:
      rules: (pattern, replacement or :class:`From`) pairs. A replacement is put in by ``re.sub`` wherever its pattern
        occurs, one rule after another; a ``From`` ends it and its pattern must fit the whole name.
      unused: patterns of whole names that we have no place for, such as classifiers.
    """

    rules: tuple[tuple[str, str | From], ...] = ()
    unused: tuple[str, ...] = ()

    def of(self, path: str) -> tuple[tuple[str, ...], Callable[..., np.ndarray] | None]:
        """Names of the tensors that make the parameter at ``path``, and how."""
        *parts, leaf = path.split("/")
        name = ".".join([*parts, _LEAVES.get(leaf, leaf)])
        for pattern, replacement in self.rules:
            if isinstance(replacement, From):
                if match := re.fullmatch(pattern, name):
                    return tuple(match.expand(text) for text in replacement.names), replacement.make
            else:
                name = re.sub(pattern, replacement, name)
        return (name,), None

    def is_unused(self, name: str) -> bool:
        """Whether a tensor of the library has no place in the backbone, as is known."""
        return name.endswith("num_batches_tracked") or any(re.fullmatch(pattern, name) for pattern in self.unused)

    def take(self, path: str, tensors: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
        """The parameter at ``path`` out of a library's tensors, in our layout; its shape may differ from ``shape``.

        Raises:
          KeyError: with the name of a tensor that is not there.
        """
        names, make = self.of(path)
        found = [_our_layout(path, tensors[name], len(shape)) for name in names]
        return found[0] if make is None else make(*found, shape)


def _our_layout(path: str, tensor: np.ndarray, axes: int) -> np.ndarray:
    if not path.endswith("kernel") or tensor.ndim < 2:
        return tensor
    tensor = np.moveaxis(tensor, (0, 1), (-1, -2))
    if axes == 2 and tensor.shape[:-2] == (1,) * (tensor.ndim - 2):  # a product written as a convolution of one pixel
        return tensor.reshape(tensor.shape[-2:])
    return tensor
