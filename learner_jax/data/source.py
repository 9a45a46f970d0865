"""Records of a built dataset, by row."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np


class Records:
    """Random access to the records of a dataset folder; record index = cohort row."""

    def __init__(self, folder: Path | str):
        import tensorflow_datasets as tfds  # half a second, and only those who read records need it

        self._source = tfds.builder_from_directory(str(folder)).as_data_source("scans")

    def __len__(self) -> int:
        return len(self._source)

    def read(self, rows: Sequence[int]) -> list[dict[str, np.ndarray]]:
        """Records of the given rows, in that order: ``scan [t h w c]``, ``scale``, ``offset``, ``spacing``, ``scan_id``."""
        return self._source.__getitems__([int(row) for row in rows])
