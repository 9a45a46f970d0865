"""Counts of what a cohort holds, for reports, which open no data."""

from typing import Any

import numpy as np

from learner_jax.data.cohort import Cohort


def census(cohort: Cohort, patients: str) -> dict[str, Any]:
    """Kind and shape of the stored scans, and counts of what each part of the split holds.

    Args:
      cohort: with its split.
      patients: who is scored, ``test`` or ``val``; with ``val`` nothing is told about test patients.

    Returns:
      JSON values. ``train`` is what training may see: with ``visits_per_patient=one``, one visit of each patient.
    """
    rows = {"train": cohort.train, "val": cohort.val} | ({"test": cohort.test} if patients == "test" else {})
    return {
        "modality": cohort.meta.modality,
        "axis0": cohort.meta.axis0,
        "scan_shape": list(cohort.meta.scan_shape),
        "parts": {name: _part(cohort, own) for name, own in rows.items()},
    }


def _part(cohort: Cohort, rows: np.ndarray) -> dict[str, Any]:
    patient, visit = cohort.patient[rows], cohort.visit[rows]
    views, scans = np.unique(cohort.view[rows], return_counts=True)
    return {
        "patients": len(np.unique(patient)),
        "visits": len(np.unique(np.stack([patient, visit]), axis=1).T),
        "scans": len(rows),
        "labeled scans": int(np.isfinite(cohort.score[rows]).sum()),
        "sites": len(np.unique(cohort.site[rows])),
        "views": {cohort.views[view]: int(n) for view, n in zip(views, scans, strict=True)},
    }
