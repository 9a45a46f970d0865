"""The dataset card: what is in a dataset, what was done to it, and how to use it."""

import json

import polars as pl

from tfds_builders import cohort, splits
from tfds_builders.record import DatasetMeta
from tfds_builders.splits import Split

_CARD = """# {name} {version}

{summary}

![Some of the scans]({sheet})

## Records
`scan` {shape} {dtype} (`t h w c`; t is {axis0}), intensity = `scan * scale + offset`; `spacing` of (t, h, w) in {unit}.
Record i belongs to row i of `cohort.parquet`, which holds keyed hashes in place of patients, scans and sites.

```python
import polars as pl
import tensorflow_datasets as tfds

scans = tfds.builder_from_directory(DATA_DIR).as_data_source("scans")
cohort = pl.read_parquet(DATA_DIR + "/cohort.parquet")
```

## What was done to the pixels
{preprocessing}

## Split
{split}

Views: {views}. Acquisition: {acquisition}. Processing: {processing}.

Fingerprint `{fingerprint}`, identity key `{key}`. What was left out, and why: `build_report.json`.
"""


def card(meta: DatasetMeta, table: pl.DataFrame, split: Split) -> str:
    """The text of a dataset folder's ``README.md``."""
    words = {
        name: ", ".join(sorted(filter(None, table[name].unique().to_list()))) or "not stated"
        for name in ("view", "acquisition", "processing")
    }
    return _CARD.format(
        name=meta.name,
        version=meta.version,
        summary="\n".join(f"* {line}" for line in cohort.summary(table)),
        sheet="contact_sheet.png",
        shape="x".join(map(str, meta.scan_shape)),
        dtype=meta.dtype,
        axis0=meta.axis0,
        unit="mm" if meta.axis0 == "depth" else "s, mm and mm",
        preprocessing="\n".join(f"* {key}: {_plain(value)}" for key, value in meta.preprocessing.items()),
        split=splits.describe(table, split),
        views=words["view"],
        acquisition=words["acquisition"],
        processing=words["processing"],
        fingerprint=meta.fingerprint,
        key=meta.key_fingerprint,
    )


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
