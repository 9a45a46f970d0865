"""All objectives with formula and source: python -m learner_jax.objectives [NAME …]"""

import argparse
import sys

from learner_jax.objectives.parts import parts
from tfds_builders.errors import exit_code


def describe(name: str) -> str:
    """Name, summary, formula, source and default temperature of an objective, as a block of text."""
    one = parts.get(name)
    lines = [f"{name}: {one.summary}", *(f"    {line}" for line in one.formula.splitlines())]
    lines.append(f"    source: {' '.join(one.source.split())}")
    if len(one.members) == 1 and one.members[0].temperature:
        lines.append(f"    temperature: {one.members[0].temperature:g}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the named objectives, or all of them; returns the exit code."""
    command = "python -m learner_jax.objectives"
    parser = argparse.ArgumentParser(
        command, description="All objectives with formula and source.", epilog=f"example: {command} rank_n_contrast"
    )
    parser.add_argument("name", nargs="*", help="an objective; none: all")
    names = parser.parse_args(arguments).name
    return exit_code(lambda: print("\n\n".join(describe(name) for name in names or parts.list())))


if __name__ == "__main__":
    sys.exit(main())
