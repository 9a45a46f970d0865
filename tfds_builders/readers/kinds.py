"""What kind of file a scan is, told from its content, since suffixes lie; and the reader for it."""

from pathlib import Path

import numpy as np

from tfds_builders.readers import dicom, dicom_series, image, mgh, nifti, video
from tfds_builders.readers.api import Reading, UnreadableScan, UnsupportedScan, Volume
from tfds_builders.readers.limits import is_folder, read_head

_HEAD = 540
_WORDS = {
    "video": "a video",
    "image": "a picture",
    "dicom": "one DICOM file",
    "dicom_series": "a folder",
    "nifti": "a NIfTI volume",
    "mgh": "a FreeSurfer volume",
}


def kind(path: Path | str) -> str:
    """``image``, ``dicom``, ``dicom_series`` (a folder), ``nifti``, ``mgh`` or, for anything else, ``video``.

    Raises:
      UnreadableScan: the file cannot be opened, or is empty.
    """
    path = Path(path)
    if is_folder(path):
        return "dicom_series"
    head = read_head(path, _HEAD)
    if not head:
        raise UnreadableScan(path, "is empty")
    if head[128:132] == b"DICM":
        return "dicom"
    if nifti.is_nifti(head) or nifti.is_pair(path):
        return "nifti"
    if mgh.is_mgh(head):
        return "mgh"
    if image.is_image(head):
        return "image"
    return "video"  # FFmpeg knows more containers than have a signature


def read_clip(path: Path | str, frames: int, allow_burned_in: bool = False) -> Reading:
    """Read ``frames`` grey frames of a video, of an ultrasound DICOM file, or of a picture, which is repeated.

    Raises:
      ScanError: as the reader of its kind; a volume is unsupported, and so are frames of one even grey.
    """
    what = kind(path)
    if what == "video":
        reading = video.read(path, frames)
    elif what == "image":
        still = image.read(path)
        reading = Reading(np.repeat(still.pixels, frames, axis=0), still.spacing)
    elif what == "dicom":
        reading = dicom.read(path, frames, allow_burned_in)
    else:
        raise UnsupportedScan(
            path, f"is {_WORDS[what]}; a clip is a video, a picture or an ultrasound DICOM file. See brain_volumes"
        )
    if reading.pixels.min() == reading.pixels.max():  # or all patients with black clips would share identical pixels
        raise UnsupportedScan(path, "is one even grey")
    return reading


def probe_clip(path: Path | str, allow_burned_in: bool = False) -> None:
    """Find out early and cheaply what :func:`read_clip` would refuse."""
    what = kind(path)
    if what == "video":
        video.probe(path)
    elif what == "image":
        image.probe(path)
    elif what == "dicom":
        dicom.probe(path, allow_burned_in)
    else:
        read_clip(path, 1, allow_burned_in)


def read_volume(path: Path | str, orientation: str | None = None) -> Volume:
    """Read the volume in a NIfTI, Analyze or FreeSurfer file, or in a folder with one DICOM series.

    Raises:
      ScanError: as the reader of its kind; a clip is unsupported.
    """
    what = kind(path)
    if what == "nifti":
        return nifti.read(path, orientation)
    if what == "mgh":
        return mgh.read(path, orientation)
    if what == "dicom_series":
        return dicom_series.read(path)
    if what == "dicom":
        raise UnsupportedScan(path, "is one DICOM file; a volume is the folder of its series")
    raise UnsupportedScan(
        path, f"is {_WORDS[what]} or unknown; a volume is NIfTI, FreeSurfer, or the folder of a DICOM series"
    )


def probe_volume(path: Path | str) -> None:
    """Find out early and cheaply what :func:`read_volume` would refuse."""
    what = kind(path)
    if what == "nifti":
        nifti.probe(path)
    elif what == "mgh":
        mgh.probe(path)
    elif what == "dicom_series":
        dicom_series.probe(path)
    else:
        read_volume(path)
