"""The fields of an options dataclass as flags of the command line."""

import argparse
import dataclasses
import inspect
import re
import typing


def add(parser: argparse.ArgumentParser, options: type) -> None:
    """Add a flag for each field: type and default come from the field, the help from the comment after it.

    A ``bool`` becomes a switch (off by default), a ``Literal`` a choice. A tuple takes as many values as its default
    has, or any number where its type is ``tuple[X, ...]``.
    """
    sources = "".join(inspect.getsource(cls) for cls in reversed(options.__mro__) if dataclasses.is_dataclass(cls))
    comments = dict(re.findall(r"^    (\w+): .*#\s*(.*)$", sources, re.MULTILINE))
    types = typing.get_type_hints(options)
    for field in dataclasses.fields(options):
        text, kind = comments.get(field.name, "").replace("%", "%%"), types[field.name]
        flag = f"--{field.name}"
        if kind is bool:
            parser.add_argument(flag, action="store_true", help=text)
            continue
        shown = field.default
        more: dict = {"type": kind}
        if typing.get_origin(kind) is typing.Literal:
            more = {"choices": typing.get_args(kind)}
        elif typing.get_origin(kind) is tuple:
            any_number = typing.get_args(kind)[-1] is Ellipsis
            more = {"type": typing.get_args(kind)[0], "nargs": "+" if any_number else len(field.default)}
            shown = " ".join(map(str, field.default))
        shown = f" (default {shown})" if shown != "" else ""
        parser.add_argument(flag, default=field.default, help=text + shown, **more)


def values(args: argparse.Namespace, options: type) -> typing.Any:
    """The options dataclass, filled from parsed flags."""
    given = {field.name: getattr(args, field.name) for field in dataclasses.fields(options)}
    return options(**{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()})
