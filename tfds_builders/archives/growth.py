"""Yeast colonies photographed over several days: a longitudinal dataset whose fine change was measured."""

import dataclasses
import hashlib
import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from tfds_builders.archives.api import Found, Row, files, some
from tfds_builders.errors import InputError


@dataclasses.dataclass
class Growth:
    """An .npz of images [spot visit h w], hours [visit] and growth [spot visit]. Score: growth, as measured.

    The pictures are written as PNG files; the cohort's paths are relative to their folder.
    """

    dataset: ClassVar[str] = "stills"

    pictures: str = "stills"  # folder to write the pictures to

    def find(self, root: Path) -> Found:
        """See :class:`~tfds_builders.archives.api.Archive`."""
        folder = Path(self.pictures)
        found = Found([], root=folder)
        plates = [_arrays(path) for path, _ in some(list(files(root, r".*\.npz")), root, "*.npz")]
        folder.mkdir(parents=True, exist_ok=True)
        for images, hours, growth in plates:
            plate = hashlib.sha256(images.tobytes()).hexdigest()[:8]  # tells several plates apart
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
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            images, hours, growth = file["images"], file["hours"], file["growth"]
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} does not hold images, hours and growth ({error})") from error
    shaped = images.ndim == 4 and growth.shape == images.shape[:2] and hours.shape == images.shape[1:2] and images.size
    if not shaped or images.dtype != np.uint8 or hours.dtype.kind not in "fiu" or growth.dtype.kind not in "fiu":
        raise InputError(
            f"{path} holds images of {images.shape} {images.dtype}, hours of {hours.shape} and growth of "
            f"{growth.shape}; they are [spot visit h w] uint8, [visit] and [spot visit]"
        )
    return images, hours, growth
