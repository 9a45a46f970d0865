"""Records of a built dataset, by row."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int


class Records:
    """Random access to the records of a dataset folder; record index = cohort row."""

    def __init__(self, folder: Path | str):
        import tensorflow_datasets as tfds  # half a second, and only those who read records need it

        self._source = tfds.builder_from_directory(str(folder)).as_data_source("scans")

    def __len__(self) -> int:
        return len(self._source)

    def read(self, rows: Int[np.ndarray, " b"]) -> list[dict[str, Any]]:
        """Records of the given rows, in that order; see ``tfds_builders.record.features`` for what each holds."""
        return self._source.__getitems__(rows.tolist())
