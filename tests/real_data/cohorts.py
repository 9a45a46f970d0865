"""Cohort CSVs for the real scans: each function copies the few files it needs beside the CSV that it writes."""

import csv
import re
import shutil
from pathlib import Path

COLUMNS = ("scan", "patient", "visit", "time_days", "view")
BLUES_PATIENTS = ("1", "14", "17")


def blues(root: Path, out_csv: Path, patients: tuple[str, ...] = BLUES_PATIENTS, sites: int = 4) -> Path:
    """COVID-BLUES lung ultrasound: ``sites`` clips of each patient, all on one day; score ``severity`` (0 to 3)."""
    rows = []
    for entry in _table(root / "tables" / "blues_severity_SUBSET.csv"):
        name = entry["video_file"].strip()
        _, patient, site = name.split("_", 2)
        if patient in patients and sum(row["patient"] == patient for row in rows) < sites:
            scan = _copy(root / "lus" / "covid_blues" / f"{name}.mp4", out_csv)
            score = entry["Severity Score"]
            rows.append(_row(scan, patient, 0, 0, site.split("_")[0], severity=score, source="covid_blues"))
    return _write(out_csv, rows)


def pocus_days(root: Path, out_csv: Path) -> Path:
    """The one real longitudinal ultrasound patient: days 1 to 4; score ``severity`` (0, 1, 1, 3)."""
    folder = root / "lus" / "pocus" / "convex"
    severity = {
        entry["Filename"]: entry["Lung Severity Score"]
        for entry in _table(root / "tables" / "pocus_dataset_metadata_SUBSET.csv")
    }
    rows = []
    for day in range(1, 5):
        name = f"Cov-Atlas-Day+{day}"
        scan = _copy(folder / f"{name}.gif", out_csv)
        rows.append(_row(scan, "Cov-Atlas", day, day, "convex", severity=severity[name], source="2"))
    return _write(out_csv, rows)


def ixi(root: Path, out_csv: Path) -> Path:
    """Five T1 volumes of five people, one visit each; score ``age``."""
    age = {entry["MRID"]: entry["Age"] for entry in _table(root / "tables" / "ixi_demog_SUBSET.csv")}
    rows = []
    for path in sorted((root / "mri" / "ixi_2mm").glob("IXI*-T1_ds.nii*")):
        person = re.match(r"IXI\d+-[A-Za-z]+-\d+", path.name).group()
        site = person.split("-")[1]
        rows.append(_row(_copy(path, out_csv), person, 0, 0, "T1", age=age[person], source="ixi", site=site))
    return _write(out_csv, rows)


def open_ms(root: Path, out_csv: Path) -> Path:
    """Two people with real visits at two dates (patient01: T1W and FLAIR, patient03: FLAIR); score ``age``."""
    folder = root / "mri" / "open_ms_longitudinal"
    rows = []
    for entry in _table(root / "tables" / "open_ms_demographics_SUBSET.csv"):
        patient = f"patient{int(entry['patient_id']):02d}"
        days = int(entry["days_between_studies"])
        for path in sorted((folder / patient).glob("study?_*.nii.gz")):
            visit, view = re.match(r"study(\d)_(\w+)\.nii", path.name).groups()
            since = days if visit == "2" else 0
            age = float(entry["patient_age_at_first_study"]) + since / 365.25
            scan = _copy(path, out_csv, f"{patient}_{path.name}")
            rows.append(_row(scan, patient, visit, since, view, age=f"{age:.3f}", source="open_ms"))
    return _write(out_csv, rows)


def blues_then_days(root: Path, out_csv: Path) -> Path:
    """Train and validate on all COVID-BLUES patients, test on the longitudinal patient; score ``severity``."""
    everyone = tuple(sorted({path.name.split("_")[1] for path in (root / "lus" / "covid_blues").glob("*.mp4")}))
    coarse = _table(blues(root, out_csv, everyone, sites=99))
    held_out = everyone[::4]
    rows = [{**row, "split": "val" if row["patient"] in held_out else "train"} for row in coarse]
    return _write(out_csv, rows + [{**row, "split": "test"} for row in _table(pocus_days(root, out_csv))])


def ixi_then_open_ms(root: Path, out_csv: Path) -> Path:
    """Train and validate on the IXI people, test on the two with real visits at two dates; score ``age``."""
    coarse = [{name: value for name, value in row.items() if name != "site"} for row in _table(ixi(root, out_csv))]
    rows = [{**row, "split": "val" if i == 0 else "train"} for i, row in enumerate(coarse)]
    return _write(out_csv, rows + [{**row, "split": "test"} for row in _table(open_ms(root, out_csv))])


def _row(scan: str, patient: str, visit: int | str, days: float, view: str, **others: str) -> dict:
    return {**dict(zip(COLUMNS, (scan, patient, visit, days, view), strict=True)), **others}


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def _copy(path: Path, out_csv: Path, name: str | None = None) -> str:
    folder = out_csv.parent / "scans"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, folder / (name or path.name))
    return f"scans/{name or path.name}"


def _write(out_csv: Path, rows: list[dict]) -> Path:
    with out_csv.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return out_csv
