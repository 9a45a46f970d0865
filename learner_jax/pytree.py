"""Trees of arrays: dataclasses as JAX trees, and the paths of leaves as text."""

import dataclasses
from typing import Any, TypeVar

import jax

Kind = TypeVar("Kind", bound=type)


def path_text(path: tuple[Any, ...]) -> str:
    """A leaf's path as ``backbone/layer1/0/conv1/kernel``."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def array_tree(kind: Kind) -> Kind:
    """Class decorator: make a frozen dataclass, whose fields are arrays or trees of arrays, a JAX tree.

    JAX also builds such trees from things that are not arrays of these shapes (shardings, blocks of rows), so
    unflattening bypasses ``__init__`` and thereby the shape checks that tests install.
    """
    kind = dataclasses.dataclass(frozen=True)(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    keys = [jax.tree_util.GetAttrKey(name) for name in names]

    def flatten(tree):
        return [getattr(tree, name) for name in names], None

    def flatten_with_keys(tree):
        return [(key, getattr(tree, name)) for key, name in zip(keys, names, strict=True)], None

    def unflatten(_, leaves):
        tree = object.__new__(kind)
        for name, leaf in zip(names, leaves, strict=True):
            object.__setattr__(tree, name, leaf)
        return tree

    jax.tree_util.register_pytree_with_keys(kind, flatten_with_keys, unflatten, flatten)
    return kind
