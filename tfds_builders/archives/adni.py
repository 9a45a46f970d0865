"""ADNI as downloaded from LONI: a tree of images, the table of a collection, and tables of examinations."""

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from tfds_builders.archives import adni_exams, tables
from tfds_builders.archives.api import Found, Row, files, number_visits, some, word
from tfds_builders.errors import InputError
from tfds_builders.wording import suggest

_NIFTI = r"ADNI_(\d{3}_S_\d{4,5})_MR_(.+)_\d{17}(?:_\d+)?_(S\d+)_(I\d+)\.nii(?:\.gz)?"
_SLICE = r"ADNI_(\d{3}_S_\d{4,5})_MR_(.+)_\d{17}(?:_\d+)?_(S\d+)_(I\d+)\.dcm|.*\.dcm"
_PATIENT, _IMAGE = re.compile(r"\d{3}_S_\d{4,5}"), re.compile(r"I\d+")
_MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2})_\d{2}_\d{2}_\d{2}\.\d+")
_ARCHIVED = re.compile(r"__?[Bb]r(_raw)?$")  # what LONI appends to the description in a file name
_FIELD = re.compile(r"Field Strength=([\d.]+)")
_VIEWS = (
    *(("FLAIR", "FLAIR"), ("STAR", "T2star"), ("MPR", "T1"), ("RAGE", "T1"), ("SPGR", "T1")),
    *(("T1", "T1"), ("T2", "T2")),
)
_WHICH = ("processed", "raw", "all")


@dataclasses.dataclass
class _Image:
    """One copy of one image."""

    path: Path
    patient: str
    description: str
    moment: str  # of acquisition, from the folder's name; empty where no folder has one
    series: str  # S12345, empty for a folder of slices
    image: str  # 12345, without the leading I

    @property
    def steps(self) -> list[str]:
        """Processing steps: MPR__GradWarp__B1_Correction__N3 has three, MPR____N3__Scaled_2 two, a raw image none."""
        steps = (re.sub(r"_Correction$|_\d+$", "", step.strip("_")) for step in self.description.split("__")[1:])
        return [step for step in steps if step]


@dataclasses.dataclass
class Adni:
    """The tree ADNI/PATIENT/DESCRIPTION/MOMENT/IMAGE of DICOM slices or NIfTI. Scores: mmse, cdrsb.

    A scan takes each score from the examination nearest in time, at most --within_days away. Age is AGE + Years_bl of
    that examination in ADNIMERGE. Acquisitions up to --visit_days after the first one of a visit belong to that visit;
    acquisition tells repeats and field strengths apart. Of several copies of an image, one is kept (--prefer).
    """

    dataset: ClassVar[str] = "brain_volumes"

    collection: str = ""  # the CSV that LONI writes for an image collection
    adnimerge: str = ""  # ADNIMERGE.csv
    mmse: str = ""  # MMSE.csv, instead of ADNIMERGE
    cdr: str = ""  # CDR.csv, instead of ADNIMERGE
    within_days: int = 90  # most days between a scan and the examination that its scores come from
    visit_days: int = 45  # days after the first scan of a visit in which further scans belong to it
    prefer: str = "processed"  # which copy of an image to keep: processed (most steps), raw, all, or a step such as N3

    def find(self, root: Path) -> Found:
        """See :class:`~tfds_builders.archives.api.Archive`."""
        found = Found([])
        what = "ADNI images (…/002_S_0295/MP-RAGE/2006-04-18_08_20_30.0/I13722/…)"
        images = some(list(_images(root, found.notes)), root, what)
        listed = _collection(self.collection) if self.collection else {}
        found.notes["images of the collection are not here"] += len(listed.keys() - {i.image for i in images})
        images = self._one_copy(images, found)
        exams = adni_exams.read(self.adnimerge, self.mmse, self.cdr, found.notes)
        days = []
        for image in images:
            row = listed.get(image.image, {})
            if self.collection and not row:
                found.notes["images are not in the table of the collection"] += 1
            day = tables.day(image.moment) or tables.day(row.get("Acq Date", ""))
            near = exams.near(image.patient, day, self.within_days)
            for name, value in near.scores.items():
                found.notes[f"images have no {name} within {self.within_days} days"] += value is None
            found.rows.append(_row(image, row, near))
            found.notes[f"images kept are {found.rows[-1].processing}"] += 1
            days.append(day and day.toordinal())
        found.notes["images have no date of acquisition"] += sum(day is None for day in days)
        number_visits(found.rows, days, self.visit_days)
        return found

    def _one_copy(self, images: list[_Image], found: Found) -> list[_Image]:
        steps = {step for image in images for step in image.steps}
        if self.prefer not in _WHICH and self.prefer not in steps:
            raise InputError(
                f"--prefer is {self.prefer!r}, a step that no image has; {suggest(self.prefer, (*_WHICH, *steps))}"
            )
        if self.prefer == "all":
            return images
        copies = _copies(images)
        found.notes[f"copies of an image are left out (--prefer {self.prefer})"] += len(images) - len(copies)
        return [max(several, key=self._rank) for several in copies]

    def _rank(self, image: _Image) -> tuple[bool, int, int]:
        """Sort key by which the preferred copy comes last, and the newest of several such copies."""
        n = len(image.steps)
        return self.prefer in image.steps, -n if self.prefer == "raw" else n, int(image.image)


def _copies(images: list[_Image]) -> list[list[_Image]]:
    """Group copies of one image: those of one series or, where a copy does not name its series, of one moment."""
    series: dict[tuple[str, str], set[str]] = defaultdict(set)
    for image in images:
        if image.series:
            series[image.patient, image.moment].add(image.series)
    together: dict[tuple[str, str], list[_Image]] = defaultdict(list)
    for image in images:
        alone = series[image.patient, image.moment] if image.moment else set()
        of_moment = next(iter(alone)) if len(alone) == 1 else image.moment
        together[image.patient, image.series or of_moment or image.image].append(image)
    return list(together.values())


def _images(root: Path, notes: Counter) -> Iterator[_Image]:
    """Every NIfTI file and every folder of slices."""
    for path, _ in files(root, r".*\.nii(?:\.gz)?"):
        match = re.fullmatch(_NIFTI, path.name)
        if not match:
            notes["NIfTI files are left out: their names are not as LONI gives them"] += 1
            continue
        patient, description, series, image = match.groups()
        yield _Image(path, patient, _described(description), _part(path, _MOMENT), series, image[1:])
    seen = set()
    for path, match in files(root, _SLICE):
        folder = path.parent
        patient, image = _part(folder, _PATIENT) or match[1] or "", _part(folder, _IMAGE) or match[4] or ""
        if folder in seen:
            continue
        seen.add(folder)
        if not patient or not image:
            notes["folders of DICOM slices are left out: no folder above names their patient and image"] += 1
            continue
        description = _described(match[2] or _after(folder, patient))
        yield _Image(folder, patient, description, _part(folder, _MOMENT), match[3] or "", image[1:])


def _described(text: str) -> str:
    """The description without what LONI appends. Two underscores precede a processing step; a raw image has none."""
    archived = _ARCHIVED.search(text)
    description = _ARCHIVED.sub("", text)
    return re.sub("_+", "_", description) if archived and archived[1] else description


def _part(path: Path, pattern: re.Pattern[str]) -> str:
    """The last part of a path that matches, or an empty string."""
    return next((part for part in reversed(path.parts) if pattern.fullmatch(part)), "")


def _after(folder: Path, patient: str) -> str:
    parts = folder.parts
    at = parts.index(patient) + 1 if patient in parts else len(parts)
    return parts[at] if at < len(parts) else ""


def _collection(path: str) -> dict[str, dict[str, str]]:
    columns = ("Image Data ID", "Acq Date", "Description")
    return {row["Image Data ID"].removeprefix("I"): row for row in tables.read(Path(path), columns, "--collection")}


def _row(image: _Image, listed: dict[str, str], near: adni_exams.Near) -> Row:
    base, description = image.description.split("__")[0], image.description.upper()
    field = _FIELD.search(listed.get("Imaging Protocol", ""))
    strength = f"{float(field[1]):g}T" if field else near.field_strength
    age = near.age if near.age is not None else tables.number(listed.get("Age", ""))
    return Row(
        image.path,
        image.patient,
        view=next((view for part, view in _VIEWS if part in description), word(base)) or "unknown",
        source="adni",
        site=image.patient[:3],
        acquisition=word("_".join(filter(None, (base, strength)))),
        processing=word("+".join(image.steps)) if image.steps else "raw",
        scores=near.scores,
        covariates={"age": None if age is None else round(age, 2)},
    )
