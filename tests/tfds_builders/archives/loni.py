"""ADNI as LONI names it, in small: paths of images, columns of tables, and a whole made-up download."""

import datetime
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.tfds_builders.archives.conftest import write_csv, write_nifti
from tfds_builders.synthetic_mri import simulate

MERGE = "RID,PTID,VISCODE,SITE,EXAMDATE,AGE,CDRSB,MMSE,FLDSTRENG,Years_bl"
COLLECTION = '"Image Data ID","Subject","Group","Sex","Age","Visit","Modality","Description","Type","Acq Date"'
RAW, PROCESSED = "MP-RAGE", "MPR__GradWarp__B1_Correction__N3__Scaled"
_FIRST = datetime.date(2006, 4, 18)


def nifti_name(patient: str, description: str, moment: str, series: str, image: int) -> str:
    """Of an image's file; ``moment`` has 17 digits, with ``_1`` behind them where LONI numbers the files of a scan."""
    return f"ADNI_{patient}_MR_{description}_{moment}_{series}_I{image}.nii"


def write_download(folder: Path, visits: Sequence[int]) -> None:
    """``ADNI``, ``mri.csv`` and ``ADNIMERGE.csv``: simulated heads of patients with so many visits each.

    Every scan lies there raw and processed. The MMSE was measured 20 days before each scan, but for the last scan of
    the last patient, whose examination was 120 days before.
    """
    knobs = simulate.Knobs(n_patients=len(visits), visits=max(visits), size=24)
    mm = simulate.spacing(knobs)
    merged, listed = [], []
    for at, row in enumerate(row for row in simulate.cohort_rows(knobs) if row.visit < visits[row.patient]):
        rid, mmse = 100 + row.patient, row.scores["mmse"]
        patient, day = f"{2 + row.patient % 3:03d}_S_{rid:04d}", _FIRST + datetime.timedelta(days=row.time_days)
        last = (row.patient, row.visit) == (len(visits) - 1, visits[-1] - 1)
        examined = day - datetime.timedelta(days=120 if last else 20)
        code = f"m{round(row.time_days / 30.4375):02d}" if row.visit else "bl"
        merged.append(
            f"{rid},{patient},{code},{2 + row.patient % 3},{examined},{60 + row.patient},{(30 - mmse) / 4:.1f},"
            f"{mmse:.0f},1.5 Tesla MRI,{row.time_days / 365.25:.4f}"
        )
        grey = simulate.render(row, knobs)[..., 0].T.astype(np.int16)  # first from left to right, then back, then up
        for image, description, ending in ((10000 + at, RAW, "__br_raw"), (40000 + at, PROCESSED, "_Br")):
            place = folder / "ADNI" / patient / description / f"{day}_08_20_30.0" / f"I{image}"
            name = nifti_name(patient, f"{description}{ending}", f"{day:%Y%m%d}193713091_1", f"S{20000 + at}", image)
            write_nifti(place / name, grey, (mm, -mm, mm))
            kind = "Original" if description == RAW else "Processed"
            listed.append(f'"I{image}","{patient}","MCI","F","70","1","MRI","{description}","{kind}","{day:%m/%d/%Y}"')
    write_csv(folder / "ADNIMERGE.csv", MERGE, *merged)
    write_csv(folder / "mri.csv", COLLECTION, *listed)
