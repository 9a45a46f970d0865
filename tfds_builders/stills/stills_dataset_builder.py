"""Photographs and other single pictures."""

import dataclasses
from typing import Any

import tensorflow_datasets as tfds

from tfds_builders.builder import FileBuilder, Row
from tfds_builders.errors import InputError
from tfds_builders.readers import image
from tfds_builders.record import Record
from tfds_builders.resize import fit


@dataclasses.dataclass(frozen=True)
class Options:
    """How a picture is stored."""

    size: int = 64  # height and width stored, in pixels

    def __post_init__(self):
        if self.size < 8:
            raise InputError(f"--size is {self.size}; it must be at least 8")


class Builder(FileBuilder):
    """Grey pictures of equal size, with the visits and scores of what they show."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012 (the name and type are TFDS's)
    MODALITY = "photograph"
    AXIS0 = "none"
    OPTIONS = Options
    EXAMPLE = "python -m tfds_builders.build stills --cohort cohort.csv --scores growth --data_dir data/growth"

    @staticmethod
    def shape(options: Options) -> tuple[int, int, int, int]:
        return 1, options.size, options.size, 1

    @staticmethod
    def preprocessing(options: Options) -> dict[str, Any]:
        return {
            "reader": "image",
            "grey": "ITU-R 601 brightness; more than 8 bits stretched from the smallest to the largest value",
            "size": options.size,
            "resize": "whole picture fitted into the square, Pillow BILINEAR, centred on black",
            "intensity": "scan / 255",
        }

    @staticmethod
    def options_of(preprocessing: dict[str, Any], shape: tuple[int, int, int, int], dtype: str) -> Options:
        return Options(shape[1])

    @staticmethod
    def read(row: Row, options: Options) -> Record:
        reading = image.read(row["path"])
        return Record(*fit(reading.pixels, options.size, reading.spacing))

    @staticmethod
    def probe(row: Row, options: Options) -> None:
        image.probe(row["path"])
