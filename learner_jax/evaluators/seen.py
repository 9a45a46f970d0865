"""Which patients a run was trained on, so that it is never tested on them, in whichever dataset they are."""

import shutil
import sys
from pathlib import Path

import numpy as np

from learner_jax.data.cohort import Cohort
from tfds_builders import splits

FILE = "split.json"  # in the run's folder: the split that it was trained with
_EARLIER = "split.earlier{}.json"  # the splits of runs that its weights come from


def write(workdir: Path, cohort: Cohort, init_from: str, goes_on: bool) -> None:
    """Keep the split of a run beside its config: when the run is scored, its dataset may have moved or be gone.

    Args:
      workdir: of the run.
      cohort: with the split.
      init_from: folder of the run that the weights come from, whose splits are copied too; empty without one.
      goes_on: the run resumes from a checkpoint. The earlier splits are then there, and the earlier run may be gone.
    """
    if not goes_on:
        for file in workdir.glob(_EARLIER.format("*")):  # of a start that never reached a checkpoint
            file.unlink()
        for number, file in enumerate(_files(Path(init_from)) if init_from else (), start=1):
            shutil.copyfile(file, workdir / _EARLIER.format(number))
    splits.write_file(workdir / FILE, cohort.split, cohort.meta.key_fingerprint)


def used_in(workdir: Path, cohort: Cohort) -> dict[str, str]:
    """Patients of ``cohort``, by their hashes, whom the run or one that it started from used in ``train`` or ``val``.

    Splits whose patients were hashed with another key than the cohort's are ignored: they cannot be compared.
    """
    read = [splits.read_file(file) for file in _files(workdir)]
    comparable = [split for key, split in read if key == cohort.meta.key_fingerprint]
    # a patient may be in val of one run and in train of another: train is last and wins
    used = {patient: part for part in ("val", "train") for split in comparable for patient in split.parts[part]}
    return {patient: used[patient] for patient in cohort.patients if patient in used}


def warn_unless_comparable(workdir: Path, cohort: Cohort, consequence: str = "") -> None:
    """Say on stderr if :func:`used_in` misses patients, because the run's were hashed with another key.

    Args:
      workdir: of the run.
      cohort: of any patients.
      consequence: what would follow if the run was trained on them, as a relative clause.
    """
    if any(splits.read_file(file)[0] != cohort.meta.key_fingerprint for file in _files(workdir)):
        print(
            f"WARNING: it CANNOT be checked whether {workdir} was trained on these patients{consequence}: they were "
            "hashed with another key (--key_file of the build)",
            file=sys.stderr,
        )


def _files(workdir: Path) -> list[Path]:
    """The run's own split, then those of earlier runs."""
    own = workdir / FILE
    return [own, *sorted(workdir.glob(_EARLIER.format("*")))] if own.exists() else []


def refuse_seen(workdir: Path, cohort: Cohort) -> splits.Split:
    """Refuse to score a run on test patients of ``cohort`` whom it or a run that it started from used in train or val.

    Patients who were hashed with another key cannot be compared: that is a warning on stderr, not an error.

    Returns:
      The run's own split.

    Raises:
      InputError: test patients were seen, with how many and which; or the run's split cannot be read.
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
                "of the two datasets again with the other's key (--key_file); until then, treat the scores as if "
                "patients had leaked",
                file=sys.stderr,
            )
    return found[0]
