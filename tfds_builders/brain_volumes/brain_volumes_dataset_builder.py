"""Brain volumes from NIfTI, FreeSurfer and DICOM files."""

import dataclasses
from typing import Any, Literal

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders import volume
from tfds_builders.builder import FileBuilder, Row
from tfds_builders.errors import InputError
from tfds_builders.readers import kinds
from tfds_builders.readers.api import TooLarge, UnsupportedScan
from tfds_builders.record import Record

_WHITE = {"uint8": 255, "uint16": 65535, "float16": 1}


@dataclasses.dataclass(frozen=True)
class Options:
    """How a volume is stored."""

    shape: tuple[int, int, int] = (96, 112, 96)  # slices, rows and columns; what lies outside is cut off
    spacing: float = 2.0  # mm between slices, rows and columns
    around: Literal["head", "image"] = "head"  # centre of the crop; image for scans registered to one grid
    orientation: str = ""  # of voxel axes where a header does not say, such as RAS; empty: such scans are refused
    dtype: Literal["uint8", "uint16", "float16"] = "uint8"  # of the stored voxels

    def __post_init__(self):
        if min(self.shape) < 8:
            raise InputError(f"--shape is {' '.join(map(str, self.shape))}; each of the three must be at least 8")
        if not 0.1 <= self.spacing <= 20:
            raise InputError(f"--spacing is {self.spacing:g}; it is in mm, from 0.1 to 20")
        axes = sorted(self.orientation.translate(str.maketrans("LPI", "RAS")))
        if self.orientation and axes != ["A", "R", "S"]:
            raise InputError(
                f"--orientation is {self.orientation!r}; it takes one of L and R, one of A and P, one of S and I, "
                "in the order of the voxel axes, as in RAS or LPS"
            )


class Builder(FileBuilder):
    """Brain MRI on one grid of equal spacing, with the visits and scores of their patients."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES = {  # noqa: RUF012 (the name and type are TFDS's)
        "2.0.0": "Resampled to one spacing, oblique scans turned, cropped around the head.",
        "1.0.0": "First release.",
    }
    MODALITY = "mri"
    AXIS0 = "depth"
    OPTIONS = Options
    EXAMPLE = "python -m tfds_builders.build brain_volumes --cohort cohort.csv --scores mmse --data_dir data/brain"

    @staticmethod
    def shape(options: Options) -> tuple[int, int, int, int]:
        return *options.shape, 1

    @staticmethod
    def dtype(options: Options) -> str:
        return options.dtype

    @staticmethod
    def preprocessing(options: Options) -> dict[str, Any]:
        low, high = volume.WINDOW
        return {
            "reader": "volume",
            "orientation": "axial slices from inferior to superior, rows anterior to posterior, columns left to right",
            "orientation_where_unstated": options.orientation or "refused",
            "spacing_mm": options.spacing,
            "resampling": "triangle filter along the voxel axes, then trilinear where they are oblique",
            "shape": list(options.shape),
            "crop": f"around the {options.around}" + (", its top kept" if options.around == "head" else ""),
            "window": f"percentile {low} of all voxels is black, {high} of the foreground white",
            "intensity": f"scan / {_WHITE[options.dtype]}",
        }

    @staticmethod
    def options_of(preprocessing: dict[str, Any], shape: tuple[int, int, int, int], dtype: str) -> Options:
        unstated = preprocessing.get("orientation_where_unstated", "refused")
        return Options(
            shape=shape[:3],
            spacing=preprocessing["spacing_mm"],
            around="image" if preprocessing.get("crop") == "around the image" else "head",
            orientation="" if unstated == "refused" else unstated,
            dtype=dtype,
        )

    @staticmethod
    def read(row: Row, options: Options) -> Record:
        path = row["path"]
        slices, rows, columns = options.shape
        grid = volume.Grid((columns, rows, slices), options.spacing, options.around)
        try:
            values = volume.prepare(kinds.read_volume(path, options.orientation or None), grid)
        except (TooLarge, UnsupportedScan) as error:
            raise type(error)(path, error.reason) from error
        white = _WHITE[options.dtype]
        scan = values if white == 1 else np.rint(values * white)
        return Record(scan[..., None].astype(options.dtype), np.full(3, options.spacing, np.float32), scale=1 / white)

    @staticmethod
    def probe(row: Row, options: Options) -> None:
        kinds.probe_volume(row["path"])
