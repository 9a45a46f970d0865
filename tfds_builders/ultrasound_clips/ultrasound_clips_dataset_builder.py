"""Ultrasound clips from videos, DICOM files and pictures."""

import dataclasses
from typing import Any

import tensorflow_datasets as tfds

from tfds_builders.builder import FileBuilder, Row
from tfds_builders.errors import InputError
from tfds_builders.readers import kinds
from tfds_builders.record import Record
from tfds_builders.resize import fit


@dataclasses.dataclass(frozen=True)
class Options:
    """How a clip is stored: as large as any backbone will need it."""

    frames: int = 16  # frames stored of each clip, evenly spread from first to last
    size: int = 112  # height and width stored, in pixels
    allow_burned_in: bool = False  # accept DICOM files that neither rule out burned-in names nor name a region

    def __post_init__(self):
        for name, least in (("frames", 1), ("size", 8)):
            if getattr(self, name) < least:
                raise InputError(f"--{name} is {getattr(self, name)}; it must be at least {least}")


class Builder(FileBuilder):
    """Grey ultrasound clips of equal length and size, with the visits and scores of their patients."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012 (the name and type are TFDS's)
    MODALITY = "ultrasound"
    AXIS0 = "time"
    OPTIONS = Options
    EXAMPLE = "python -m tfds_builders.build ultrasound_clips --cohort cohort.csv --scores severity --data_dir data/lus"

    @staticmethod
    def shape(options: Options) -> tuple[int, int, int, int]:
        return options.frames, options.size, options.size, 1

    @staticmethod
    def preprocessing(options: Options) -> dict[str, Any]:
        return {
            "reader": "clip",
            "burned_in": "allowed" if options.allow_burned_in else "refused where no region is named",
            "grey": "luma, 16 to 235 stretched to 0 to 255 where the video keeps it so",
            "frames": options.frames,
            "frame_sampling": "evenly spread, first and last included; repeated where the clip is shorter",
            "size": options.size,
            "upright": "turned and stretched as the file says that players show it",
            "resize": "whole frame fitted into the square, Pillow BILINEAR, centred on black",
            "intensity": "scan / 255",
        }

    @staticmethod
    def options_of(preprocessing: dict[str, Any], shape: tuple[int, int, int, int], dtype: str) -> Options:
        return Options(shape[0], shape[1], allow_burned_in=preprocessing.get("burned_in") == "allowed")

    @staticmethod
    def read(row: Row, options: Options) -> Record:
        reading = kinds.read_clip(row["path"], options.frames, options.allow_burned_in)
        scan, spacing = fit(reading.pixels, options.size, reading.spacing, reading.aspect)
        return Record(scan, spacing)

    @staticmethod
    def probe(row: Row, options: Options) -> None:
        kinds.probe_clip(row["path"], options.allow_burned_in)
