"""A dataset in a bucket: built on this machine, then uploaded, its marker file last.

Buckets cannot rename, so the marker file alone makes a dataset complete: while one is being replaced, there is none.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from etils import epath

from tfds_builders.dataset_dir import refuse_other
from tfds_builders.errors import InputError
from tfds_builders.progress import track
from tfds_builders.record import MARKER, META_FILE, DatasetMeta


def is_remote(data_dir: str) -> bool:
    """Whether a path is in a bucket, such as ``gs://lab/lus``, rather than a local folder."""
    return "://" in data_dir


def staging(data_dir: str) -> Path:
    """The local ``data_dir`` of a build for a bucket: the dataset's name, in the current folder.

    Raises:
      InputError: ``data_dir`` names no bucket.
    """
    if not data_dir.partition("://")[2].partition("/")[0]:
        raise InputError(f"--data_dir is {data_dir!r} and names no bucket; write gs://BUCKET/NAME")
    return Path.cwd() / data_dir.rstrip("/").rsplit("/", 1)[1]


def is_built(data_dir: str, meta: DatasetMeta, overwrite: bool, max_bad: int = 0) -> bool:
    """Whether the bucket holds this dataset already.

    Raises:
      InputError: it holds something else in that place, or lacks more than ``max_bad`` scans, or cannot be reached.
    """
    with _reachable(data_dir):
        place = epath.Path(data_dir)
        if not (place / MARKER).exists():
            if (place / META_FILE).exists() or not place.exists() or not any(place.iterdir()):
                return False  # nothing, or the remains of an upload that was stopped
            raise InputError(f"{data_dir} exists and is not a dataset; choose another --data_dir")
        if overwrite:
            return False
        refuse_other(data_dir, DatasetMeta.read(place), meta, max_bad)
    return True


def upload(built: Path, data_dir: str) -> None:
    """Upload a complete dataset, and delete files in its place that are not part of it.

    Raises:
      InputError: the bucket cannot be written, or a file has arrived with another size. There is then no marker, so
        nothing opens the dataset, and the same command tries again.
    """
    with _reachable(data_dir):
        place = epath.Path(data_dir)
        place.mkdir(parents=True, exist_ok=True)
        (place / MARKER).unlink(missing_ok=True)
        files = sorted(path.relative_to(built).as_posix() for path in built.rglob("*") if path.is_file())
        files.sort(
            key=lambda name: (name != META_FILE, name)
        )  # first: it marks a half-written dataset as ours, see is_built
        files.remove(MARKER)
        for name in list(_names(place)) if place.exists() else []:
            if name not in files:
                (place / name).unlink()
        for name in track(files, len(files), "uploading"):
            target = place / name
            target.parent.mkdir(parents=True, exist_ok=True)
            epath.Path(built / name).copy(target, overwrite=True)
            if target.stat().length != (built / name).stat().st_size:
                raise InputError(f"{target} has not arrived whole; run the same command again")
        epath.Path(built / MARKER).copy(place / MARKER, overwrite=True)


def _names(folder: epath.Path, before: str = "") -> Iterator[str]:
    for path in folder.iterdir():
        if path.is_dir():
            yield from _names(path, f"{before}{path.name}/")
        else:
            yield before + path.name


@contextlib.contextmanager
def _reachable(data_dir: str) -> Iterator[None]:
    try:
        yield
    except (InputError, KeyboardInterrupt):
        raise
    except ImportError as error:
        raise InputError(
            f"{data_dir} needs a package for its kind of bucket: pip install 'learner-jax[gcs]'"
        ) from error
    except Exception as error:  # each kind of bucket raises its own exceptions
        raise InputError(f"{data_dir} cannot be used ({type(error).__name__}: {error}); see --data_dir") from error
