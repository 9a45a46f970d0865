"""Synthetic brain MRI: a cohort whose every score is known."""

import dataclasses
from typing import Any

import numpy as np
import polars as pl
import tensorflow_datasets as tfds

from tfds_builders import simulated_cohort
from tfds_builders.builder import Row, SimulatedBuilder
from tfds_builders.record import Record
from tfds_builders.synthetic_mri import simulate


class Builder(SimulatedBuilder):
    """Simulated heads: an identity that changes the picture strongly, a decline that changes it subtly over visits."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012 (the name and type are TFDS's)
    MODALITY = "mri"
    AXIS0 = "depth"
    OPTIONS = simulate.Knobs
    EXAMPLE = "python -m tfds_builders.build synthetic_mri --n_patients 40 --visits 6 --data_dir data/synthetic_mri"

    @staticmethod
    def cohort(options: simulate.Knobs) -> tuple[pl.DataFrame, list[Row]]:
        return simulated_cohort.table("synthetic_mri", simulate.cohort_rows(options))

    @staticmethod
    def shape(options: simulate.Knobs) -> tuple[int, int, int, int]:
        return options.size, options.size, options.size, 1

    @staticmethod
    def preprocessing(options: simulate.Knobs) -> dict[str, Any]:
        return {
            "reader": "simulate",
            "knobs": dataclasses.asdict(options),
            "orientation": "axial slices from inferior to superior, rows anterior to posterior, columns left to right",
            "spacing_mm": simulate.spacing(options),
            "intensity": "scan / 255",
        }

    @staticmethod
    def read(row: Row, options: simulate.Knobs) -> Record:
        spacing = np.full(3, simulate.spacing(options), np.float32)
        return Record(simulate.render(row["row"], options), spacing)
