"""How a page is published: its template, and a folder in which files appear only once all of them are written."""

import contextlib
import errno
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import jinja2

from tfds_builders.errors import InputError


def template(name: str, *packages: str, **filters: Callable[[Any], Any]) -> jinja2.Template:
    """A template from one of the packages, with extra filters; it escapes everything that is inserted."""
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package, ".") for package in packages]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters, zip=zip)
    return environment.get_template(name)


@contextlib.contextmanager
def built_beside(target: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder to write into, whose files are moved into ``target`` once the block is done.

    ``target`` is made if missing, and other files in it are left alone. ``index.html`` is moved last, so a new page
    always has its files beside it.

    Raises:
      InputError: ``target`` cannot be made, or nothing can be written beside it.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
        beside = tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent)
    except OSError as fault:
        if fault.errno == errno.ENOSPC:  # has a sentence of its own, in tfds_builders.errors
            raise
        raise InputError(f"{target} cannot be written ({fault.strerror}); name another folder with -o") from fault
    with beside as built:
        yield pathlib.Path(built)
        for name in sorted(os.listdir(built), key=lambda name: name == "index.html"):
            os.replace(pathlib.Path(built, name), target / name)
