"""The cohort table, one row per scan in record order: what of it may leave its source, and how it is stored."""

import math
from pathlib import Path

import numpy as np
import polars as pl

from tfds_builders import histogram, identity
from tfds_builders.errors import InputError
from tfds_builders.wording import plural

TABLE_FILE = "cohort.parquet"
SPLITS = ("train", "val", "test")


def deidentify(frame: pl.DataFrame, key: bytes) -> pl.DataFrame:
    """The part of a cohort that may leave its source.

    Patient, scan and site become keyed hashes, and days count from the patient's first visit. Takes the columns of
    ``cohort_csv.read``. A ``split`` column is kept for ``splits.make``, but :func:`write_table` does not store it.
    """
    source, patient = frame["source"].to_list(), frame["patient"].to_list()
    hashed = [identity.patient_hash(key, s, p) for s, p in zip(source, patient, strict=True)]
    site = [identity.site_hash(key, s, name) for s, name in zip(source, frame["site"].to_list(), strict=True)]
    days = pl.col("time_days").cast(pl.Float64)
    first = days.filter(days.is_not_nan()).min().over("patient")
    kept = [c for c in frame.columns if c.startswith(("score.", "covariate."))]
    return frame.with_columns(
        pl.Series("patient", hashed, pl.String),
        pl.Series("scan_id", [identity.scan_hash(key, scan) for scan in frame["scan"].to_list()], pl.String),
        pl.Series("site", site, pl.String),
    ).select(
        "patient",
        "scan_id",
        "site",
        pl.col("visit").cast(pl.Int32),
        (days - first.fill_null(math.nan)).cast(pl.Float32).alias("time_days"),
        "view",
        "acquisition",
        "processing",
        *[pl.col(c).cast(pl.Float32) for c in kept],
        *(["split"] if "split" in frame.columns else []),
    )


def write_table(frame: pl.DataFrame, dataset_dir: Path) -> None:
    """Store a deidentified table, one row per record in record order."""
    frame.drop("split", strict=False).write_parquet(dataset_dir / TABLE_FILE)


def read_table(dataset_dir: Path | str) -> pl.DataFrame:
    """The cohort table of a built dataset, one row per record in record order.

    Raises:
      InputError: the table is absent or damaged.
    """
    path = Path(dataset_dir) / TABLE_FILE
    try:
        return pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path} cannot be read ({error}); build the dataset again with --overwrite") from error


def first_score(frame: pl.DataFrame) -> str | None:
    """The column of the first score, by which splits are stratified; None where the table has no score."""
    return next((column for column in frame.columns if column.startswith("score.")), None)


def canonical_bytes(frame: pl.DataFrame) -> bytes:
    """The table as bytes that depend on its content alone, not on the version of a library."""
    parts = []
    for name in frame.columns:
        column = frame[name]
        if column.dtype.is_numeric():
            parts += [name.encode(), column.to_numpy().astype("<f8").tobytes()]
        else:
            parts += [name.encode(), "\x1f".join(map(str, column.to_list())).encode("utf-8")]
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)


def summary(frame: pl.DataFrame, histograms: bool = False) -> list[str]:
    """Lines for the terminal: scans, patients and visits; for each score the labeled scans, range and fine pairs.

    A fine pair here is two visits of one patient that both have the score. With ``histograms``, a histogram of each
    score is added.
    """
    n_patients = frame["patient"].n_unique()
    n_visits = frame.select("patient", "visit").n_unique()
    lines = [f"{plural(frame.height, 'scan')} of {plural(n_patients, 'patient')}, {plural(n_visits, 'visit')}"]
    lines[0] += f", {plural(frame['view'].n_unique(), 'view')}"
    known = frame.filter(pl.col("time_days").is_finite()).group_by("patient", "visit").agg(pl.col("time_days"))
    longest = known.select((pl.col("time_days").list.max() - pl.col("time_days").list.min()).max()).item()
    if longest is not None and longest >= 1:  # scans of a visit are averaged, so they should be from one point in time
        lines.append(f"scans of one visit are up to {plural(round(longest), 'day')} apart")
    for column in (c for c in frame.columns if c.startswith("score.")):
        known = frame.filter(pl.col(column).is_finite())
        name = column.removeprefix("score.")
        if known.is_empty():
            lines.append(f"score {name}: no scan is labeled")
            continue
        visits = known.group_by("patient").agg(pl.col("visit").n_unique())["visit"].to_numpy().astype(np.int64)
        pairs = int((visits * (visits - 1) // 2).sum())
        low, high = known[column].min(), known[column].max()
        text = plural(pairs, "fine pair") if pairs else f"no fine pairs: {plural(len(visits), 'patient')}, 1 visit each"
        lines.append(
            f"score {name}: {known.height} of {plural(frame.height, 'scan')} labeled, {low:g} to {high:g}, {text}"
        )
        lines += histogram.lines(known[column].to_numpy()) if histograms else []
    return lines
