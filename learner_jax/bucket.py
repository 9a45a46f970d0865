"""Folders on this machine or in buckets, ``gs://lab/run``: resolve a name, list what is there."""

from pathlib import Path
from typing import Any

from etils import epath

from tfds_builders.errors import InputError


def place(text: str) -> Path | epath.Path:
    """The folder that a ``--workdir`` names: on this machine, or in a bucket of Google Cloud Storage.

    Raises:
      InputError: it is in some other kind of place, its path holds a ``[``, or the package for buckets is not
        installed.
    """
    if "[" in str(Path(text).absolute()):  # Orbax 0.12.8 looks for files by patterns, and loses those of such a folder
        raise InputError(f"{text} cannot be a work folder, as its path holds a [. Change --workdir")
    if not is_remote(text):
        return Path(text)
    if not text.startswith("gs://") or len(text.rstrip("/").split("/")) < 4:
        raise InputError(
            f"{text} cannot be a work folder; possible are a folder, also one of a mounted bucket, and "
            "gs://BUCKET/FOLDER. Change --workdir"
        )
    try:
        files_of(text)
    except ImportError as fault:
        raise InputError(f"{text} needs a package: pip install '.[gcs]'") from fault
    return epath.Path(text.rstrip("/"))


def local(text: str) -> Path:
    """The folder or file that a text names, for commands that work on this machine only.

    Raises:
      InputError: it is in a bucket.
    """
    if is_remote(text):
        raise InputError(
            f"{text} is in a bucket, where only the trainer works. Copy from there first (gcloud storage cp -r {text} "
            ".) or to there afterwards, or mount the bucket (gcsfuse), and name a folder here"
        )
    return Path(text)


def is_remote(folder: Any) -> bool:
    """Whether a path has a scheme, as in ``gs://lab/run``."""
    return "://" in str(folder)


def files_of(folder: Any) -> Any:
    """The file system of a remote folder. Listings are not cached, since Tensorstore and others write there too."""
    import fsspec

    return fsspec.core.url_to_fs(str(folder), use_listings_cache=False)[0]


def names(folder: Any) -> list[str]:
    """Paths of all objects within a remote folder, sorted."""
    files = files_of(folder)
    root = files._strip_protocol(str(folder)).rstrip("/") + "/"
    return sorted(name.removeprefix(root) for name in files.find(root.rstrip("/")))
