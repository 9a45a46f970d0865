"""``python -m tfds_builders.splits``."""

import sys

from tfds_builders.splits.command import main

sys.exit(main())
