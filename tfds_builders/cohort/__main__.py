"""``python -m tfds_builders.cohort``."""

import sys

from tfds_builders.archives.command import main

if __name__ == "__main__":
    sys.exit(main())
