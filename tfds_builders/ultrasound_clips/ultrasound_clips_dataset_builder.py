"""Ultrasound clips from video files."""

from typing import Any

import tensorflow_datasets as tfds

from tfds_builders.builder import Row, Sampling, ScanBuilder
from tfds_builders.readers import video
from tfds_builders.record import Record
from tfds_builders.resize import fit


class Builder(ScanBuilder):
    """Grey ultrasound clips of equal length and size, with the visits and scores of their patients."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012 (the name and type are TFDS's)
    MODALITY = "ultrasound"
    AXIS0 = "time"
    OPTIONS = Sampling
    EXAMPLE = "python -m tfds_builders.build ultrasound_clips --cohort cohort.csv --scores severity --data_dir data/lus"

    @staticmethod
    def shape(options: Sampling) -> tuple[int, int, int, int]:
        return options.frames, options.size, options.size, 1

    @staticmethod
    def preprocessing(options: Sampling) -> dict[str, Any]:
        return {
            "reader": "video",
            "grey": "luma, 16 to 235 stretched to 0 to 255 where the video keeps it so",
            "frames": options.frames,
            "frame_sampling": "evenly spread, first and last included; repeated where the clip is shorter",
            "size": options.size,
            "resize": "whole frame fitted into the square, Pillow BILINEAR, centred on black",
            "intensity": "scan / 255",
        }

    @staticmethod
    def read(row: Row, options: Sampling) -> Record:
        reading = video.read(row["path"], options.frames)
        scan, spacing = fit(reading.pixels, options.size, reading.spacing)
        return Record(scan, spacing)

    @staticmethod
    def probe(row: Row) -> None:
        video.probe(row["path"])
