"""The first look at a dataset: a card in words, a contact sheet, and metadata for catalogues."""

from pathlib import Path

import polars as pl

from tfds_builders.card import contact_sheet, croissant, markdown
from tfds_builders.record import DatasetMeta
from tfds_builders.splits import Split


def write(folder: Path, meta: DatasetMeta, table: pl.DataFrame, split: Split) -> None:
    """Write ``contact_sheet.png``, ``README.md`` and ``croissant.json`` beside the shards and the cohort table."""
    contact_sheet.write(folder, meta, table)
    (folder / "README.md").write_text(markdown.card(meta, table, split), encoding="utf-8")
    croissant.write(folder, meta, table)
