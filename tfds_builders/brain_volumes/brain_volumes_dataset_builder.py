"""Brain volumes from NIfTI files."""

from typing import Any

import tensorflow_datasets as tfds

from tfds_builders.builder import Row, Sampling, ScanBuilder
from tfds_builders.readers import nifti
from tfds_builders.readers.api import evenly
from tfds_builders.record import Record
from tfds_builders.resize import fit


class Builder(ScanBuilder):
    """Brain MRI as axial slices of equal number and size, with the visits and scores of their patients."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012 (the name and type are TFDS's)
    MODALITY = "mri"
    AXIS0 = "depth"
    OPTIONS = Sampling
    EXAMPLE = "python -m tfds_builders.build brain_volumes --cohort cohort.csv --scores mmse --data_dir data/brain"

    @staticmethod
    def shape(options: Sampling) -> tuple[int, int, int, int]:
        return options.frames, options.size, options.size, 1

    @staticmethod
    def preprocessing(options: Sampling) -> dict[str, Any]:
        low, high = nifti.WINDOW
        return {
            "reader": "nifti",
            "orientation": "axial slices from inferior to superior, rows anterior to posterior, columns left to right",
            "window": f"percentiles {low} to {high} of all voxels to 0 to 255",
            "frames": options.frames,
            "frame_sampling": "nearest slice, evenly spread, first and last included; repeated where there are fewer",
            "size": options.size,
            "resize": "whole slice fitted into the square in mm, Pillow BILINEAR, centred on black",
            "intensity": "scan / 255",
        }

    @staticmethod
    def read(row: Row, options: Sampling) -> Record:
        reading = nifti.read(row["path"])
        total = len(reading.pixels)
        scan, spacing = fit(reading.pixels[evenly(total, options.frames)], options.size, reading.spacing)
        spacing[0] *= (total - 1) / (options.frames - 1) if options.frames > 1 and total > 1 else float("nan")
        return Record(scan, spacing)

    @staticmethod
    def probe(row: Row) -> None:
        nifti.probe(row["path"])
