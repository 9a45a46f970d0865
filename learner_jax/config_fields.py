"""The config's fields as documentation: what each takes, its default, and its comment in config.py.

``python -m learner_jax.main --helpfull`` prints them. To regenerate docs/config.md:

    python -m learner_jax.config_fields > docs/config.md
"""

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator

from learner_jax.bounds import signs
from learner_jax.config import Config
from learner_jax.fields import get, walk

_PAGE = """# Fields of the config
A config is a file with a `get_config()` that returns a `learner_jax.config.Config`; those in `configs/` are starting
points. Any field can be set on the command line, as in `--config.data.frames=16`; scoring and predicting also take
those on which nothing learnt depends. This page is generated from the comments in `learner_jax/config.py`;
`python -m learner_jax.main --helpfull` prints the same in a terminal."""


@dataclasses.dataclass(frozen=True)
class Field:
    """Section and dotted path of one field, what it takes, its default, and what it means."""

    section: str
    path: str
    takes: str
    default: str
    what: str


def described() -> Iterator[Field]:
    """All fields, in the order of config.py. The docstring of its section describes a field without a comment."""
    whole = Config()
    for path, field, value in walk(whole):
        section = path.rpartition(".")[0]
        kind = type(get(whole, section)) if section else Config
        takes = ", ".join(word or "empty" for word in field.metadata.get("choices", ())) or signs(field.type)
        what = comments(kind)[field.name] or inspect.getdoc(kind).rstrip(".")
        yield Field(section, path, takes, str(value) or "empty", what)


def comments(kind: type) -> dict[str, str]:
    """Field of a dataclass -> the comment after it, or else the line of comment above it; empty where there is none."""
    source = inspect.getsource(kind)
    lines, found = source.splitlines(), {}
    for node in ast.parse(source).body[0].body:
        if isinstance(node, ast.AnnAssign):
            behind = lines[node.end_lineno - 1].encode()[node.end_col_offset :].decode()
            above = lines[node.lineno - 2].strip()
            comment = behind.strip() or (above if above.startswith("#") else "")
            found[node.target.id] = comment.removeprefix("#").strip()
    return found


def text() -> str:
    """All fields as flags, for a terminal."""
    return "\n".join(
        f"  --config.{one.path}: {one.what}\n    ({one.takes}; default: {one.default})" for one in described()
    )


def page() -> str:
    """All fields as a Markdown page with a table for each section."""
    tables: dict[str, list[str]] = {}
    for one in described():
        head = [f"\n## {one.section or 'The run'}", "| field | takes | default | what it is |", "|---|---|---|---|"]
        cells = (f"`{one.path}`", one.takes, one.default, re.sub(r"([|*<])", r"\\\1", one.what))
        tables.setdefault(one.section, head).append(f"| {' | '.join(cells)} |")
    return "\n".join([_PAGE, *(line for table in tables.values() for line in table)])


if __name__ == "__main__":
    print(page())
