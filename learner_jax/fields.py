"""Fields of a nested dataclass by their dotted path: walk, read, rebuild, override."""

import dataclasses
import typing
from collections.abc import Iterator
from typing import Any

from tfds_builders.errors import InputError
from tfds_builders.wording import suggest


def walk(config: Any, prefix: str = "") -> Iterator[tuple[str, dataclasses.Field, Any]]:
    """Yield ``(dotted path, field, value)`` of every leaf field."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from walk(value, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, field, value


def get(config: Any, path: str) -> Any:
    """The value at a dotted path."""
    for name in path.split("."):
        config = getattr(config, name)
    return config


def from_dict(kind: type, values: dict) -> Any:
    """Rebuild a config from its ``dataclasses.asdict``, as stored in a run's config.json.

    Raises:
      InputError: it has a field that this version does not have.
    """
    hints = typing.get_type_hints(kind)
    unknown = set(values) - set(hints)
    if unknown:
        raise InputError(f"the stored config has fields that this version lacks: {', '.join(sorted(unknown))}")
    return kind(**{k: from_dict(hints[k], v) if dataclasses.is_dataclass(hints[k]) else v for k, v in values.items()})


def check_override(kind: type, argument: str) -> None:
    """Refuse ``--config.a.b=…`` when there is no field ``a.b``.

    Raises:
      InputError: with the first unknown name, the nearest field and all fields of its section.
    """
    path = argument.lstrip("-").split("=")[0].split(".")[1:]
    section = kind
    for depth, name in enumerate(path):
        fields = typing.get_type_hints(section) if dataclasses.is_dataclass(section) else {}
        if name not in fields:
            here = ".".join(["config", *path[:depth]])
            raise InputError(
                f"{here} has no field {name!r}; {suggest(name, fields)}. All fields are listed by python -m "
                "learner_jax.main --helpfull"
            )
        section = fields[name]


def override(config: Any, argument: str) -> None:
    """Set one field from ``--config.section.field=value``.

    Raises:
      InputError: the field is unknown or a whole section, there is no ``=``, or the value has the wrong type.
    """
    check_override(type(config), argument)
    left, equals, text = argument.lstrip("-").partition("=")
    if not equals:  # an empty text must be set explicitly, by --config.field=
        raise InputError(f"{argument!r} does not set a value; write --{left}=VALUE")
    *sections, name = left.split(".")[1:]
    section = get(config, ".".join(sections)) if sections else config
    kind = typing.get_type_hints(type(section))[name]
    kind = next((k for k in typing.get_args(kind) if k is not type(None)), kind)
    if dataclasses.is_dataclass(kind):
        raise InputError(
            f"{argument!r} does not set a field but a whole section; its fields are listed by python -m "
            "learner_jax.main --helpfull"
        )
    try:
        value = {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError, TypeError) as fault:
        raise InputError(f"{argument!r} does not set a valid {kind.__name__}; write --{left}=VALUE") from fault
    setattr(section, name, value)
