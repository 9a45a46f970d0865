"""All objectives with formula and source: python -m learner_jax.objectives [NAME …]"""

import sys

from learner_jax.objectives.parts import parts
from tfds_builders.errors import InputError


def describe(name: str) -> str:
    """Name, what it does, formula, source and what it starts with, as a block of text."""
    one = parts.get(name)
    lines = [f"{name}: {one.summary}", *(f"    {line}" for line in one.formula.splitlines())]
    lines.append(f"    source: {' '.join(one.source.split())}")
    if len(one.members) == 1 and one.members[0].temperature:
        lines.append(f"    temperature: {one.members[0].temperature:g}")
    return "\n".join(lines)


def main(names: list[str]) -> int:
    """Print the named objectives, or all of them."""
    try:
        print("\n\n".join(describe(name) for name in names or parts.list()))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
