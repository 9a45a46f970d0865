"""Small files of the kinds that users bring, written where a test wants them."""

import csv
from pathlib import Path

import av
import nibabel as nib
import numpy as np
import pytest

from tfds_builders import cohort_csv


def moving_bar(frames: int = 20, height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    """uint8 ``[t h w]``: a bright bar that moves over a background, so that frames can be told apart."""
    rng = np.random.default_rng(seed)
    clip = np.full((frames, height, width), 60, np.uint8) + rng.integers(0, 40, (height, width), dtype=np.uint8)
    for t in range(frames):
        left = int((width - 8) * t / max(frames - 1, 1))
        clip[t, :, left : left + 8] = 230
    return clip


def write_video(
    path: Path, grey: np.ndarray, codec: str = "mpeg4", pixels: str = "yuv420p", rate=10, **options
) -> Path:
    """Encode uint8 ``[t h w]`` at ``rate`` frames/s, in the container ``format=…`` or, without it, of the suffix."""
    with av.open(str(path), "w", **options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt = *grey.shape[1:], pixels
        if codec == "mpeg4":
            stream.options = {"qscale": "1"}
        for frame in grey:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray").reformat(format=pixels)))
        container.mux(stream.encode())
    return path


def write_volume(path: Path, codes: str = "RAS", zooms=(1.0, 1.0, 2.0), shape=(20, 24, 16), seed: int = 0) -> Path:
    """A volume with a gradient along each axis, stored with its axes in the order and direction of ``codes``."""
    x, y, z = np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing="ij")
    noise = np.random.default_rng(seed).random(shape)
    image = nib.Nifti1Image((300 * x + 600 * y + 900 * z + 50 * noise).astype(np.int16), np.diag([*zooms, 1.0]))
    image.header.set_xyzt_units("mm")
    stored, wanted = nib.orientations.io_orientation(image.affine), nib.orientations.axcodes2ornt(codes)
    nib.save(image.as_reoriented(nib.orientations.ornt_transform(stored, wanted)), path)
    return path


def write_cohort(path: Path, rows: list[dict]) -> Path:
    """A CSV of the rows; their keys are its columns."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def clip_rows(patients: int = 4, visits: int = 3) -> list[dict]:
    """Rows of a clip cohort, without its files: ``patient_a`` … with a score that moves."""
    return [
        {
            "scan": f"clips/{chr(97 + p)}_{v}.mp4",
            "patient": f"patient_{chr(97 + p)}",
            "visit": v,
            "time_days": 10 * p + 3 * v,
            "view": "L1",
            "severity": (p + v) % 4,
            "age": 50 + p,
            "name": f"Secret Name {p}",
        }
        for p in range(patients)
        for v in range(visits)
    ]


@pytest.fixture
def make():
    """The writers of this file, as ``make.video(…)``, for tests that want other files."""

    class Make:
        bar = staticmethod(moving_bar)
        video = staticmethod(write_video)
        volume = staticmethod(write_volume)
        cohort = staticmethod(write_cohort)
        rows = staticmethod(clip_rows)

    return Make


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A cohort CSV of 12 clips of 4 patients at 3 visits, beside its files."""
    folder = tmp_path / "source"
    (folder / "clips").mkdir(parents=True)
    rows = clip_rows()
    for i, row in enumerate(rows):
        write_video(folder / row["scan"], moving_bar(seed=i))
    return write_cohort(folder / "cohort.csv", rows)


@pytest.fixture
def table(tmp_path: Path, make):
    """Writes rows as a CSV, with an empty file for each scan, and reads it."""

    def read(rows, scores=("severity",), covariates=(), files=True, **options):
        for row in rows if files else []:
            (tmp_path / row["scan"]).parent.mkdir(exist_ok=True, parents=True)
            (tmp_path / row["scan"]).touch()
        return cohort_csv.read(make.cohort(tmp_path / "cohort.csv", rows), scores, covariates, **options)

    return read


@pytest.fixture(autouse=True)
def _own_key(identity_key: Path) -> None:
    """No test makes or reads the key of whoever runs it."""
