"""All backbones with width, what they take and their published weights: python -m learner_jax.backbones [NAME …]"""

import argparse
import sys

from learner_jax import backbones
from learner_jax.backbones.weights import PUBLISHED
from tfds_builders.errors import exit_code


def describe(name: str) -> str:
    """A line with width and shapes of scans, and one with the weights that fit, if any do."""
    backbone = backbones.create(name)
    lines = [f"{name}: embeddings of {backbone.dim}, takes {backbone.takes}"]
    weights = [entry.name for entry in PUBLISHED if name in entry.backbones]
    return "\n".join([*lines, f"    weights: {', '.join(weights)}"] if weights else lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the named backbones, or all of them; returns the exit code."""
    command = "python -m learner_jax.backbones"
    parser = argparse.ArgumentParser(
        command,
        description="All backbones with width, what they take and their published weights.",
        epilog=f"example: {command} r3d18",
    )
    parser.add_argument("name", nargs="*", help="a backbone; none: all")
    names = parser.parse_args(arguments).name
    return exit_code(lambda: print("\n".join(describe(name) for name in names or backbones.list_backbones())))


if __name__ == "__main__":
    sys.exit(main())
