"""Dataclasses of arrays as JAX trees."""

import dataclasses
from typing import TypeVar

import jax

Kind = TypeVar("Kind", bound=type)


def array_tree(kind: Kind) -> Kind:
    """Class decorator: a frozen dataclass whose fields are arrays or trees of arrays.

    JAX rebuilds trees around things that are not arrays (shardings, shapes, blocks of rows), so unflattening skips
    ``__init__`` and with it the shape checks of the tests.
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
