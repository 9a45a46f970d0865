"""Archives in small: trees with the real names, and what the command makes of them."""

import csv
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tfds_builders.archives import command


def write_csv(path: Path, header: str, *rows: str, separator: str = ",") -> Path:
    """A table of text; ``header`` and ``rows`` have their cells between commas, which become ``separator``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\r\n".join(line.replace(",", separator) for line in (header, *rows)) + "\r\n", "utf-8-sig")
    return path


def write_nifti(path: Path, values: np.ndarray | None = None, steps: Sequence[float] = (2, 2, 2)) -> Path:
    """A volume, of noise where no ``values`` are given; ``steps`` between voxels are in mm to right, front, top."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if values is None:
        values = np.random.default_rng(0).integers(0, 500, (12, 12, 12)).astype(np.int16)
    nib.save(nib.Nifti1Image(values, np.diag([*map(float, steps), 1.0])), path)
    return path


class Archive:
    """Writers, and the command."""

    csv, nifti = staticmethod(write_csv), staticmethod(write_nifti)

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture):
        self.root, self.out, self._capsys = folder / "root", folder / "cohort.csv", capsys
        self.root.mkdir()

    def cohort(self, name: str, *flags: str, code: int = 0) -> list[dict[str, str]]:
        """Rows of the CSV, in its order; what was printed is in ``said``."""
        assert command.main([name, str(self.root), "-o", str(self.out), "--overwrite", *flags]) == code
        printed = self._capsys.readouterr()
        self.said = printed.out + printed.err
        if code:
            assert not self.out.exists()
            return []
        with self.out.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def archive(tmp_path: Path, capsys: pytest.CaptureFixture) -> Archive:
    return Archive(tmp_path, capsys)


def column(rows: list[dict[str, str]], *names: str) -> list:
    """Of each row one cell, or a tuple of several."""
    return [row[names[0]] if len(names) == 1 else tuple(row[name] for name in names) for row in rows]
