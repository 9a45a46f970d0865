"""The cohort table, one row per scan. ``python -m tfds_builders.cohort`` writes a cohort CSV for a known archive."""

from tfds_builders.cohort.table import (
    SPLITS,
    TABLE_FILE,
    canonical_bytes,
    deidentify,
    first_score,
    read_table,
    summary,
    write_table,
)

__all__ = [
    "SPLITS",
    "TABLE_FILE",
    "canonical_bytes",
    "deidentify",
    "first_score",
    "read_table",
    "summary",
    "write_table",
]
