"""Train and score encoders of longitudinal scans in JAX."""

import tfds_builders  # noqa: F401  # before JAX: Ctrl-C while that is imported is a word and no traceback
