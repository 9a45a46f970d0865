"""``python -m tfds_builders.splits``."""

import sys

from tfds_builders.splits.command import main

if __name__ == "__main__":
    sys.exit(main())
