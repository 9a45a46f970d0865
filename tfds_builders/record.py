"""The record contract: how one scan is stored in a shard, and what a dataset folder says about all of them.

A dataset folder holds the TFDS ArrayRecord shards of one split, ``scans``, in the order of ``cohort.parquet``, and
beside them ``dataset.json`` (:class:`DatasetMeta`), ``splits/`` and, written last, the marker ``COMPLETE``.
"""

import dataclasses
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from etils import epath

from tfds_builders.errors import InputError

SPLIT = "scans"  # the only split that TFDS knows of; train, val and test are lists of patients in splits/
MARKER = "COMPLETE"
META_FILE = "dataset.json"

MODALITIES = ("ultrasound", "mri", "photograph")
AXES = ("time", "depth", "none")
DTYPES = ("uint8", "uint16", "float16")


@dataclasses.dataclass(frozen=True)
class Record:
    """The pixels of one scan as they are stored; intensity = ``scan * scale + offset``."""

    scan: np.ndarray  # [t h w c] uint8, uint16 or float16
    spacing: np.ndarray  # f32 [3]: between stored frames in s (or slices in mm), rows in mm, columns in mm; NaN unknown
    scale: float = 1 / 255  # uint8 to intensities between 0 and 1
    offset: float = 0.0

    def example(self, scan_id: str) -> dict[str, Any]:
        """The example that TFDS writes, with the keys and shapes of :func:`features`."""
        return {
            "scan": self.scan,
            "scale": np.float32(self.scale),
            "offset": np.float32(self.offset),
            "spacing": np.asarray(self.spacing, np.float32),
            "scan_id": scan_id,
        }

    def digests(self) -> tuple[str, str]:
        """sha256 of all that is stored of the scan except its ``scan_id``, and sha256 of its pixels alone."""
        pixels = hashlib.sha256(np.ascontiguousarray(self.scan, self.scan.dtype.newbyteorder("<")).tobytes())
        whole = pixels.copy()
        whole.update(np.array([self.scale, self.offset, *self.spacing], "<f4").tobytes())
        return whole.hexdigest(), pixels.hexdigest()


@dataclasses.dataclass(frozen=True)
class DatasetMeta:
    """What all records of a dataset have in common; stored as ``dataset.json``."""

    name: str  # name of the TFDS builder
    version: str
    modality: str  # one of MODALITIES
    dtype: str  # one of DTYPES
    axis0: str  # what t means: "time", "depth" or "none" (stills)
    scan_shape: tuple[int, int, int, int]  # t h w c
    preprocessing: dict[str, Any]  # everything that was done to the pixels
    scores: tuple[str, ...]
    covariates: tuple[str, ...]
    key_fingerprint: str  # of the key behind patient, site and scan_id
    fingerprint: str  # over preprocessing, cohort table and pixels in record order
    inputs: str  # keyed digest of everything the dataset was built from, so that a second build can be skipped
    n_scans: int

    def __post_init__(self):
        for name, possible in (("modality", MODALITIES), ("axis0", AXES), ("dtype", DTYPES)):
            if getattr(self, name) not in possible:
                raise ValueError(f"{name} is {getattr(self, name)!r}; possible: {', '.join(possible)}")

    @property
    def scan_bytes(self) -> int:
        """Bytes of the pixels of one scan."""
        return math.prod(self.scan_shape) * np.dtype(self.dtype).itemsize

    def write(self, folder: Path) -> None:
        """Write ``dataset.json`` into ``folder``."""
        text = json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True)
        (Path(folder) / META_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: epath.PathLike) -> "DatasetMeta":
        """Read ``dataset.json`` of a built dataset, which may be in a bucket.

        Raises:
          InputError: the file is absent, damaged, or written by another version of this software.
        """
        path = epath.Path(folder) / META_FILE
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read ({error}); build the dataset again with --overwrite") from error
        fields = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(values, dict) or set(values) != fields:
            differing = sorted(fields ^ set(values)) if isinstance(values, dict) else ["everything"]
            raise InputError(
                f"{path} was written by another version of tfds_builders (differs in: {', '.join(differing)}); "
                "build the dataset again with --overwrite"
            )
        lists = {name: tuple(values[name]) for name in ("scan_shape", "scores", "covariates")}
        return cls(**{**values, **lists})


def features(meta: DatasetMeta):
    """The TFDS features of one record.

    Returns:
      FeaturesDict: ``scan [t h w c]`` in the dataset's dtype, ``scale``, ``offset`` f32, ``spacing`` f32 ``[3]`` and
      ``scan_id`` text.
    """
    import tensorflow_datasets as tfds  # takes half a second, which readers of dataset.json need not wait for

    return tfds.features.FeaturesDict(
        {
            # The default encoding stores integers one by one: 20 times slower to write and 13 times to read (2026-11).
            "scan": tfds.features.Tensor(shape=meta.scan_shape, dtype=np.dtype(meta.dtype), encoding="bytes"),
            "scale": np.float32,
            "offset": np.float32,
            "spacing": tfds.features.Tensor(shape=(3,), dtype=np.float32),
            "scan_id": tfds.features.Text(),
        }
    )


def check_complete(folder: Path | str) -> None:
    """Refuse a folder that is not a finished dataset.

    Raises:
      InputError: it says whether the folder is absent, half-written or something else, and how to build a dataset.
    """
    folder = Path(folder)
    if (folder / MARKER).is_file():
        return
    if not folder.is_dir():
        what = f"there is no folder {folder}"
    elif (folder / META_FILE).exists() or (folder / "dataset_info.json").exists():
        what = f"{folder} is a half-written dataset: its marker file {MARKER} is missing"
    else:
        what = f"{folder} is not a dataset: it holds no marker file {MARKER}"
    raise InputError(
        f"{what}; build one with: python -m tfds_builders.build ultrasound_clips --cohort cohort.csv --scores NAME "
        f"--data_dir {folder} (other kinds: python -m tfds_builders.build --help)"
    )
