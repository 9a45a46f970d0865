"""Synthetic lung ultrasound: a cohort whose every score is known."""

import dataclasses
from typing import Any

import numpy as np
import polars as pl
import tensorflow_datasets as tfds

from tfds_builders import simulated_cohort
from tfds_builders.builder import Row, SimulatedBuilder
from tfds_builders.record import Record
from tfds_builders.synthetic_lus import simulate


class Builder(SimulatedBuilder):
    """Simulated clips: an identity that changes the picture strongly, a score that changes it subtly over visits."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012 (the name and type are TFDS's)
    MODALITY = "ultrasound"
    AXIS0 = "time"
    OPTIONS = simulate.Knobs
    EXAMPLE = "python -m tfds_builders.build synthetic_lus --n_patients 40 --visits 6 --data_dir data/synthetic"

    @staticmethod
    def cohort(options: simulate.Knobs) -> tuple[pl.DataFrame, list[Row]]:
        return simulated_cohort.table("synthetic_lus", simulate.cohort_rows(options))

    @staticmethod
    def shape(options: simulate.Knobs) -> tuple[int, int, int, int]:
        return options.frames, options.size, options.size, 1

    @staticmethod
    def preprocessing(options: simulate.Knobs) -> dict[str, Any]:
        return {"reader": "simulate", "knobs": dataclasses.asdict(options), "intensity": "scan / 255"}

    @staticmethod
    def read(row: Row, options: simulate.Knobs) -> Record:
        seconds = simulate.FRAME_SECONDS if options.frames > 1 else np.nan
        return Record(simulate.render(row["row"], options), np.array([seconds, np.nan, np.nan], np.float32))
