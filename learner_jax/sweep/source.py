"""Load a config or a sweep: a Python file with one function that returns it."""

import importlib.util
from pathlib import Path
from typing import TypeVar

from tfds_builders.errors import InputError

Kind = TypeVar("Kind")


def returned(path: str | Path, function: str, kind: type[Kind]) -> Kind:
    """Load a file and return what its ``function()`` returns.

    Raises:
      InputError: there is no such file or function, it fails, or does not return a ``kind``.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}, whose {function}() would return a {kind.__name__}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        found = getattr(module, function)()
    except InputError:
        raise
    except Exception as fault:
        raise InputError(f"{path} cannot be loaded: {type(fault).__name__}: {fault}") from fault
    if not isinstance(found, kind):
        raise InputError(f"{function}() of {path} returns a {type(found).__name__}; a {kind.__name__} is needed")
    return found
