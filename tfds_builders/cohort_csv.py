"""The cohort as a user writes it: a CSV with one row per scan. All faults are reported at once, each with its line."""

import collections
import csv
import itertools
import math
import os
import re
import stat
import unicodedata
from pathlib import Path

import numpy as np
import polars as pl

from tfds_builders import dates, identity
from tfds_builders.cohort import SPLITS
from tfds_builders.errors import InputError
from tfds_builders.wording import first_few, plural, suggest

REQUIRED = ("scan", "patient", "visit", "time_days", "view")
OPTIONAL = ("source", "site", "acquisition", "processing", "split")
MAX_FAULTS = 20  # shown at most
_LAST_VISIT, _YEARS = 9999, range(1900, 2100)
_MOST_DAYS = 3e6  # more than any Julian day, less than a date such as 20060418
_COUNTED = 1000  # faults after which the remaining rows are not checked

_FREE = ("scan", "source", "patient", "site")  # free text
_WORD = re.compile(r"[A-Za-z0-9_+.-]{1,64}")  # DICOM's limit for the description of a series
_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_LARGEST = float(np.finfo(np.float32).max)  # numbers are stored as f32
_BLANK = {"", ".", "-", "na", "n/a", "nan", "none", "null"}


def read(
    path: Path | str,
    scores: tuple[str, ...],
    covariates: tuple[str, ...] = (),
    allow_outside: bool = False,
    root: Path | None = None,
) -> pl.DataFrame:
    """Read and check a cohort CSV. Of its further columns, only the named scores and covariates are kept.

    Paths are relative to ``root``, by default the CSV's folder, and may lead out of it only with ``allow_outside``.

    Returns:
      One row per scan in the order of the file: ``line`` (of the CSV), ``scan`` (as written), ``path`` (resolved),
      ``source``, ``patient``, ``site``, ``visit`` i32, ``time_days`` f64 (NaN unknown), ``view``, ``acquisition``,
      ``processing``, ``split`` (where the CSV has that column) and f32 ``score.<name>`` and ``covariate.<name>``
      (NaN: blank).

    Raises:
      InputError: the file has faults; the message lists up to 20 of them, each with its line.
    """
    path = Path(path)
    root = path.parent if root is None else Path(root)
    header, rows = _read_rows(path)
    _check_columns(path, header, scores, covariates)
    faults: list[str] = []
    parsed = []
    for line, cells in rows:
        if ragged := _ragged(line, cells, header):
            faults.append(ragged)
            continue
        row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        values, wrong = _parse_row(row, root, scores, covariates, allow_outside)
        parsed.append({"line": line, **values})
        faults += [f"line {line}: {fault}" for fault in wrong]
        if len(faults) >= _COUNTED:
            break
    faults += _faults_between_rows(parsed)
    if faults:
        raise InputError(_report(path, faults))
    schema = {"line": pl.Int64, "visit": pl.Int32, "time_days": pl.Float64}
    for name in parsed[0]:
        schema.setdefault(name, pl.Float32 if name.startswith(("score.", "covariate.")) else pl.String)
    return pl.DataFrame(parsed, schema=schema, orient="row")


def cells(path: Path) -> list[dict[str, str]]:
    """The rows of a cohort CSV as text by column, without looking at the scans.

    Raises:
      InputError: it cannot be read, lacks a required column, or has rows of another length than its header.
    """
    header, rows = _read_rows(path)
    _check_columns(path, header, (), ())
    if faults := [ragged for line, row in rows if (ragged := _ragged(line, row, header))]:
        raise InputError(_report(path, faults))
    return [dict(zip(header, (cell.strip() for cell in row), strict=True)) for _, row in rows]


def _read_rows(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    # The csv module, because it knows the physical line of a row even after line breaks inside quotes.
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would block
            raise InputError(f"the cohort {path} is not a file; name a CSV with --cohort")
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            rows, last = [], reader.line_num
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    rows.append((last + 1, cells))
                last = reader.line_num
    except OSError as error:
        raise InputError(f"the cohort {path} cannot be opened ({error.strerror}); name it with --cohort") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text ({error.reason}); save it as a CSV in UTF-8") from error
    except csv.Error as error:
        raise InputError(f"{path} is not a readable CSV: {error} near line {reader.line_num}") from error
    if header and not rows:
        raise InputError(f"{path} is empty: it has a header and no scan below it")
    return header, rows


def _ragged(line: int, cells: list[str], header: list[str]) -> str:
    if len(cells) == len(header):
        return ""
    return f"line {line}: {len(cells)} cells, but the header names {len(header)} columns"


def _check_columns(path: Path, header: list[str], scores: tuple[str, ...], covariates: tuple[str, ...]) -> None:
    if not header:
        raise InputError(f"{path} is empty; its first line names the columns {', '.join(REQUIRED)} and the scores")
    by = next((by for mark, by in ((";", "';'"), ("\t", "tabs")) if len(header) == 1 and mark in header[0]), None)
    if by:
        raise InputError(f"{path} separates its columns by {by}; save it with ',' between columns and '.' in numbers")
    # A spreadsheet leaves columns without a name where cells were emptied.
    twice = sorted(name for name, n in collections.Counter(header).items() if n > 1 and name)
    if twice:
        raise InputError(f"{path} names the column {twice[0]!r} twice; columns: {', '.join(header)}")
    for name in REQUIRED:
        if name not in header:
            raise InputError(f"{path} has no column {name!r}; {suggest(name, header)}. Required: {', '.join(REQUIRED)}")
    for name in header:
        if name.lower() in OPTIONAL and name.lower() not in header:
            raise InputError(f"{path} names a column {name!r}; write it {name.lower()!r}, or call it something else")
    for kind, names in (("score", scores), ("covariate", covariates)):
        for name in names:
            if name in REQUIRED or name in OPTIONAL:
                raise InputError(f"{name!r} cannot be a {kind}: it is one of the cohort's own columns. See --{kind}s")
            if name not in header:
                others = [c for c in header if c not in REQUIRED and c not in OPTIONAL]
                raise InputError(f"{path} has no column {name!r}; {suggest(name, others)}. See --{kind}s")
    both = set(scores) & set(covariates) or {n for n in scores + covariates if (scores + covariates).count(n) > 1}
    if both:
        raise InputError(f"{sorted(both)[0]!r} is named twice among --scores and --covariates; once is enough")


def _parse_row(row: dict[str, str], root: Path, scores, covariates, allow_outside: bool) -> tuple[dict, list[str]]:
    faults: list[str] = []
    values: dict = {"scan": row["scan"], "path": _resolve(row["scan"], root, allow_outside, faults)}
    for name in ("source", "patient", "site"):
        values[name] = identity.composed(row.get(name, ""))
    if row["patient"].lower() in _BLANK:
        faults.append(f"patient is {row['patient'] or 'empty'}; a scan must have a patient")
    faults += [f"{name} contains an invisible character" for name in _FREE if not row.get(name, "").isprintable()]
    values["visit"] = int(row["visit"]) if _INTEGER.fullmatch(row["visit"]) else None
    if values["visit"] is None:
        faults.append(f"visit is {row['visit']!r}; it must be an integer, the visit's place in time")
    elif abs(values["visit"]) > _LAST_VISIT or values["visit"] in _YEARS:  # stored as given, and dates must not be
        faults.append(
            f"visit is {row['visit']!r}, which may be a date; number the visits, up to {_LAST_VISIT} and not from "
            f"{_YEARS[0]} to {_YEARS[-1]}"
        )
        values["visit"] = None
    values["time_days"] = _number("time_days", row["time_days"], faults)
    if abs(values["time_days"]) > _MOST_DAYS:
        faults.append(f"time_days is {row['time_days']!r}, which is not a number of days; give days, not a date")
        values["time_days"] = math.nan
    for name in ("view", "acquisition", "processing"):
        values[name] = row.get(name, "")
        if not _WORD.fullmatch(values[name]) and (name == "view" or values[name]):
            faults.append(f"{name} is {values[name]!r}; it must be one word of 1 to 64 letters, digits and _ + . -")
        elif dates.is_in(values[name]):
            faults.append(
                f"{name} is {values[name]!r}, which may hold a date; it is stored as it is: leave the date out"
            )
    if "split" in row:
        values["split"] = row["split"]
        if row["split"] not in SPLITS:
            faults.append(f"split is {row['split']!r}; {suggest(row['split'], SPLITS)}")
    for kind, names in (("score", scores), ("covariate", covariates)):
        for name in names:
            values[f"{kind}.{name}"] = _number(f"{kind} {name}", row[name], faults)
            if dates.is_in(row[name].partition(".")[0]):  # 19500412 and 19500412.0
                faults.append(f"{kind} {name} is {row[name]!r}, which may be a date; give an age or a number of days")
    return values, faults


def _number(what: str, text: str, faults: list[str]) -> float:
    if text.lower() in _BLANK:
        return math.nan
    known = _NUMBER.fullmatch(text)
    if not known or not abs(float(text)) <= _LARGEST:
        comma = not known and _NUMBER.fullmatch(text.replace(",", ""))
        hint = " up to 3.4e38" if known else ", with a point for decimals and no comma" if comma else ""
        faults.append(f"{what} is {text!r}; it is a number{hint}, or blank when unknown")
        return math.nan
    return float(text)


def _resolve(scan: str, root: Path, allow_outside: bool, faults: list[str]) -> str:
    if not scan:
        faults.append("scan is empty; it is the path of a file or a DICOM series, relative to the CSV or to --root")
        return ""
    given = root / _as_on_disk(scan, root)
    try:
        path = given.resolve()
        given.stat()  # raises for a loop of links, which resolve() ignores from Python 3.13 on
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, RuntimeError, ValueError) as error:  # too long, a loop of links, a NUL
        faults.append(f"scan {scan!r} is not a path that can be followed ({error})")
        return ""
    if not allow_outside and not path.is_relative_to(root.resolve()):
        how = "is absolute" if Path(scan).is_absolute() else "leads out of it"
        faults.append(
            f"scan {scan!r} is outside {root} (it {how}); name the scans' folder with --root, or allow it with "
            "--allow_outside"
        )
    elif not path.is_file() and not path.is_dir():  # a folder may be a DICOM series
        faults.append(f"scan {scan!r} is {'neither file nor folder' if path.exists() else 'missing'}: {path}")
    elif not allow_outside and path.is_dir() and _links_out(path, root.resolve()):
        faults.append(f"scan {scan!r} is a folder with links that lead out of {root}; allow it with --allow_outside")
    return str(path)


def _as_on_disk(scan: str, root: Path) -> str:
    """The same path, with accents encoded as in the file's name: copies from a Mac have ü as two characters."""
    if scan.isascii():
        return scan
    forms = (scan, *(unicodedata.normalize(form, scan) for form in ("NFC", "NFD")))
    return next((form for form in forms if os.path.lexists(root / form)), scan)


def _links_out(folder: Path, root: Path) -> bool:
    try:
        return any(link.is_symlink() and not link.resolve().is_relative_to(root) for link in folder.iterdir())
    except OSError:  # not readable, or a loop of links: the reader will say so
        return False


def _faults_between_rows(rows: list[dict]) -> list[str]:
    faults: list[str] = []
    seen: dict[str, int] = {}
    assigned: dict[tuple[str, str], dict] = {}
    visits: dict[tuple[str, str], list[dict]] = {}
    spelled: dict[tuple[str, ...], dict] = {}
    sourced: dict[tuple[bool, str], dict] = {}
    for row in rows:
        who = (row["source"], row["patient"])
        source = "" if row["source"].lower() in _BLANK else _without_spelling(row["source"])
        patient = _without_spelling(row["patient"])
        for column, what, key in (("source", "source", (source,)), ("patient", "person", (source, patient))):
            alike = spelled.setdefault(key, row)
            if alike[column] != row[column]:
                faults.append(
                    f"line {row['line']}: {column} {row[column]!r} is {alike[column]!r} on line {alike['line']}; spell "
                    f"one {what} the same way, and two differently"
                )
        sourced.setdefault((bool(source), patient), row)
        if other := sourced.get((not source, patient)):
            faults.append(
                f"line {row['line']}: patient {row['patient']!r} is of source {row['source']!r} here and of "
                f"{other['source']!r} on line {other['line']}; give all rows a source, or none"
            )
        if row["path"] and seen.setdefault(row["path"], row["line"]) != row["line"]:
            faults.append(f"line {row['line']}: scan {row['scan']!r} is already on line {seen[row['path']]}")
        first = assigned.setdefault(who, row) if row.get("split") in SPLITS else row
        if first is not row and first["split"] != row["split"]:
            faults.append(
                f"line {row['line']}: patient {row['patient']!r} is in split {row['split']!r} here and in "
                f"{first['split']!r} on line {first['line']}; a patient belongs to one split"
            )
        if row["visit"] is not None and math.isfinite(row["time_days"]):
            visits.setdefault(who, []).append(row)
    for mine in visits.values():
        mine = sorted(mine, key=lambda row: (row["visit"], row["time_days"]))
        for before, after in itertools.pairwise(mine):
            if before["visit"] < after["visit"] and before["time_days"] > after["time_days"]:
                faults.append(
                    f"line {after['line']}: visit {after['visit']} of patient {after['patient']!r} is at day "
                    f"{after['time_days']:g}, before visit {before['visit']} at day {before['time_days']:g} on line "
                    f"{before['line']}"
                )
    return faults


def _without_spelling(patient: str) -> str:
    """The name without differences in capitals, blanks, and what spreadsheets do to numbers (007, 7, 7.0)."""
    folded = " ".join(patient.casefold().split())
    number = re.fullmatch(r"0*([0-9]+)(?:\.0)?", folded)
    return number[1] if number else folded


def _report(path: Path, faults: list[str]) -> str:
    least = "at least " if len(faults) >= _COUNTED else ""
    return "\n  ".join([f"{path} has {least}{plural(len(faults), 'fault')}:", *first_few(faults, MAX_FAULTS)])
