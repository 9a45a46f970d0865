"""Names and layout of a backbone's parameters in the weights that a library publishes.

A path of ours such as ``layer1/0/conv1/kernel`` is first written as PyTorch would (``layer1.0.conv1.weight``; kernel
and scale become weight, mean and var become running_mean and running_var). Then a family's rules rename what its
library calls differently. Kernels are transposed from PyTorch's ``[out, in, *space]`` to ours, ``[*space, in, out]``.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping

import numpy as np

_LEAVES = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}


@dataclasses.dataclass(frozen=True)
class From:
    """A parameter that is made of several tensors, or of one that must be cut or resized.

    Attributes:
      names: of the tensors, as replacements for the rule's pattern.
      make: ``(*tensors, shape) -> tensor`` of that shape; kernels are in our layout.
    """

    names: tuple[str, ...]
    make: Callable[..., np.ndarray]


def joined(*names: str) -> From:
    """Tensors concatenated along their last axis, such as queries, keys and values."""
    return From(names, lambda *tensors: np.concatenate(tensors[:-1], axis=-1))


@dataclasses.dataclass(frozen=True)
class Names:
    """Rules from our names to a library's.

    Attributes:
      rules: (pattern, replacement or :class:`From`) pairs, applied in order. A text replaces every match of its pattern
        (``re.sub``); a ``From`` applies if its pattern matches the whole name, and no later rule does.
      unused: patterns of whole names for which a backbone has no place, such as classifiers.
    """

    rules: tuple[tuple[str, str | From], ...] = ()
    unused: tuple[str, ...] = ()

    def of(self, path: str) -> tuple[tuple[str, ...], Callable[..., np.ndarray] | None]:
        """Names of the tensors that the parameter at ``path`` is made of, and :attr:`From.make`, if any."""
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
        """Whether a tensor of the library is known to have no place in the backbone."""
        return name.endswith("num_batches_tracked") or any(re.fullmatch(pattern, name) for pattern in self.unused)

    def take(self, path: str, tensors: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
        """The parameter at ``path`` from a library's tensors, in our layout; its shape may differ from ``shape``.

        Raises:
          KeyError: with the name of a missing tensor.
        """
        names, make = self.of(path)
        found = [_our_layout(path, tensors[name], len(shape)) for name in names]
        return found[0] if make is None else make(*found, shape)


def _our_layout(path: str, tensor: np.ndarray, axes: int) -> np.ndarray:
    if not path.endswith("kernel") or tensor.ndim < 2:
        return tensor
    tensor = np.moveaxis(tensor, (0, 1), (-1, -2))
    if axes == 2 and tensor.shape[:-2] == (1,) * (tensor.ndim - 2):  # a product stored as a 1x1 convolution
        return tensor.reshape(tensor.shape[-2:])
    return tensor
