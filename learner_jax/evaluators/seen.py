"""Whom a run was trained on, so that it is never tested on them, whichever dataset they are tested in."""

import shutil
import sys
from pathlib import Path

import numpy as np

from learner_jax.data.cohort import Cohort
from tfds_builders import splits

FILE = "split.json"  # in the run's folder: the split file that it was trained with
_EARLIER = "split.earlier{}.json"  # those of the runs that its encoder was trained in before


def write(workdir: Path, cohort: Cohort, init_from: str, goes_on: bool) -> None:
    """Keep the split of a run beside its config: its dataset may be elsewhere, or gone, when the run is scored.

    Also those of the run that it starts from, and of those before, unless it goes on from a checkpoint: then they are
    there, and the earlier run may be gone.
    """
    if not goes_on:
        for file in workdir.glob(_EARLIER.format("*")):  # of a start that came to no checkpoint
            file.unlink()
        for number, file in enumerate(_files(Path(init_from)) if init_from else (), start=1):
            shutil.copyfile(file, workdir / _EARLIER.format(number))
    splits.write_file(workdir / FILE, cohort.split, cohort.meta.key_fingerprint)


def used_in(workdir: Path, cohort: Cohort) -> dict[str, str]:
    """Patients of ``cohort`` whom the run, or one that it started from, was trained (``train``) or validated (``val``)
    on, by their hashes; none of a cohort that was hashed with another key, for it cannot be told."""
    read = [splits.read_file(file) for file in _files(workdir)]
    comparable = [split for key, split in read if key == cohort.meta.key_fingerprint]
    # in one run a patient may have been validated on who was trained on in another: the last to be named counts
    used = {patient: part for part in ("val", "train") for split in comparable for patient in split.parts[part]}
    return {patient: part for patient, part in used.items() if patient in cohort.patients}


def is_comparable(workdir: Path, cohort: Cohort) -> bool:
    """Whether all patients whom :func:`used_in` looks for were hashed with the key of ``cohort``."""
    return all(splits.read_file(file)[0] == cohort.meta.key_fingerprint for file in _files(workdir))


def _files(workdir: Path) -> list[Path]:
    """The run's own split, then those of earlier runs."""
    own = workdir / FILE
    return [own, *sorted(workdir.glob(_EARLIER.format("*")))] if own.exists() else []


def refuse_seen(workdir: Path, cohort: Cohort) -> splits.Split:
    """Refuse to score a run on test patients of ``cohort`` who are in the train or val part of the run, or of a run
    that it started from.

    Patients whose hashes were made with another key cannot be compared: that is said on stderr, and is no error.

    Returns:
      The run's own split.

    Raises:
      InputError: how many test patients were seen and which; or the run's split cannot be read.
    """
    tested = {cohort.patients[i] for i in np.unique(cohort.patient[cohort.test])}
    found = []
    for file in _files(workdir) or [workdir / FILE]:
        key, trained = splits.read_file(file)
        found.append(trained)
        if key == cohort.meta.key_fingerprint:
            splits.check_unseen(trained, tested)
        else:
            print(
                f"WARNING: it CANNOT be checked whether {workdir} was trained on the patients it is now tested on: its "
                f"patients were hashed with the key {key}, these with the key {cohort.meta.key_fingerprint}. Build one "
                "of the two datasets again with the other's key (--key_file); until then read the scores as if "
                "patients had leaked",
                file=sys.stderr,
            )
    return found[0]
