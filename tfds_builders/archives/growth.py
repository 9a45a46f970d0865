"""Yeast colonies photographed over days: a longitudinal set whose fine change can be measured."""

import dataclasses
import hashlib
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from tfds_builders.archives.api import Found, Row, files, some
from tfds_builders.errors import InputError


@dataclasses.dataclass
class Growth:
    """An .npz of images [spot visit h w], hours [visit] and growth [spot visit]. Score: growth, as measured.

    The pictures are written as PNG files; the cohort's paths start from their folder.
    """

    dataset: ClassVar[str] = "stills"

    pictures: str = "stills"  # folder that the pictures are written to

    def find(self, root: Path) -> Found:
        """See :class:`~tfds_builders.archives.api.Archive`."""
        folder = Path(self.pictures)
        folder.mkdir(parents=True, exist_ok=True)
        found = Found([], root=folder)
        for path, _ in some(list(files(root, r".*\.npz")), root, "*.npz"):
            images, hours, growth = _arrays(path)
            plate = hashlib.sha256(images.tobytes()).hexdigest()[:8]  # of which there may be several
            for spot in range(len(images)):
                for visit, hour in enumerate(hours):
                    picture = folder / f"{plate}_{spot:04d}_{visit:02d}.png"
                    Image.fromarray(images[spot, visit]).save(picture)
                    score = {"growth": float(growth[spot, visit])}
                    found.rows.append(
                        Row(picture, f"{spot:04d}", visit, float(hour) / 24, "spot", source=plate, scores=score)
                    )
        return found


def _arrays(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            images, hours, growth = file["images"], file["hours"], file["growth"]
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} does not hold images, hours and growth ({error})") from error
    if images.ndim != 4 or images.dtype != np.uint8 or growth.shape != images.shape[:2] or len(hours) != len(growth[0]):
        raise InputError(f"{path} holds images of {images.shape}, hours of {hours.shape} and growth of {growth.shape}")
    return images, hours, growth
