"""COVID-BLUES: lung ultrasound of 63 patients, each on one day, at six sites of the chest."""

import dataclasses
from pathlib import Path
from typing import ClassVar

from tfds_builders.archives import tables
from tfds_builders.archives.api import Found, Row, files, some

_MISSING = (-99.0,)
ROOM_AIR, PER_LITRE, MOST = 0.21, 0.04, 0.60
_SATURATION, _UNDER_OXYGEN, _LITRES = "oxygen_saturation_without_ox", "oxygen_saturation_with_ox", "oxygen_liter"


@dataclasses.dataclass
class CovidBlues:
    """Videos patient_ID_SITE.mp4. Scores: severity of each video (0 to 3) and its patient's approximate SpO2/FiO2.

    All clips of a patient are from one day, so fine pairs are of scans within a visit (--config.eval.pairs=scans).
    """

    dataset: ClassVar[str] = "ultrasound_clips"

    severity: str = ""  # table of the severity of each video; found where its name is like blues_severity.csv
    clinical: str = ""  # table of the patients; found where its name holds "clinical_variables"

    def find(self, root: Path) -> Found:
        """See :class:`~tfds_builders.archives.api.Archive`."""
        severity = tables.find(root, self.severity, r"(?:.*blues_)?severity.*\.csv", "--severity")
        clinical = tables.find(root, self.clinical, r".*clinical_variables.*\.csv", "--clinical")
        graded = {
            row["video_file"]: tables.number(row["Severity Score"], _MISSING)
            for row in tables.read(severity, ("video_file", "Severity Score"), "--severity")
        }
        columns = ("patient_id", "pat_age", _SATURATION, _UNDER_OXYGEN, _LITRES)
        patients = {row["patient_id"]: row for row in tables.read(clinical, columns, "--clinical")}
        found = Found([])
        videos = some(list(files(root, r"patient_(\d+)_([LR][1-3])(?:_\d+)?\.mp4")), root, "patient_*_L1.mp4 …")
        for path, match in videos:
            patient, view = match.groups()
            if path.stem not in graded:
                found.notes["videos without a row in the table of severity are unlabeled"] += 1
            if patient not in patients:
                found.notes["videos of patients without a row in the clinical table have no S/F and no age"] += 1
            of_patient = patients.get(patient, {})
            found.rows.append(
                Row(
                    path,
                    patient,
                    time_days=0.0,
                    view=view,
                    source="covid_blues",
                    scores={"severity": graded.pop(path.stem, None), "sf": sf_ratio(of_patient)},
                    covariates={"age": _positive(of_patient.get("pat_age", ""))},
                )
            )
        found.notes["rows of the table of severity have no video here"] += len(graded)
        return found


def sf_ratio(patient: dict[str, str]) -> float | None:
    """Approximate SpO2/FiO2 in percent; None where no saturation is known.

    SpO2 is measured with a pulse oximeter. FiO2 is not recorded; it is taken as 0.21 in room air and, by a bedside
    rule, as 0.21 + 0.04 for each litre of oxygen per minute, at most 0.60. Where saturation under oxygen and litres are
    both known they are used, otherwise the saturation in room air. Negative entries are codes for missing values.
    """
    litres = _positive(patient.get(_LITRES, ""))
    under, without = _positive(patient.get(_UNDER_OXYGEN, "")), _positive(patient.get(_SATURATION, ""))
    if under and litres:
        return under / min(ROOM_AIR + PER_LITRE * litres, MOST)
    return without / ROOM_AIR if without else None


def _positive(text: str) -> float | None:
    value = tables.number(text)
    return value if value is not None and value > 0 else None
