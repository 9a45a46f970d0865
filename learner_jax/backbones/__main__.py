"""All backbones with width, what they take and their published weights: python -m learner_jax.backbones [NAME …]"""

import sys

from learner_jax import backbones
from learner_jax.backbones.weights import PUBLISHED
from tfds_builders.errors import InputError


def describe(name: str) -> str:
    """A line of width and scans, and one of the weights that fit, where any do."""
    backbone = backbones.create(name)
    lines = [f"{name}: embeddings of {backbone.dim}, takes {backbone.takes}"]
    weights = [entry.name for entry in PUBLISHED if name in entry.backbones]
    return "\n".join([*lines, f"    weights: {', '.join(weights)}"] if weights else lines)


def main(names: list[str]) -> int:
    """Print the named backbones, or all of them."""
    try:
        print("\n".join(describe(name) for name in names or backbones.list_backbones()))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
