"""Tables as archives give them: .csv and .tsv in any of their dialects, .xls and .xlsx; numbers and dates in them."""

import csv
import datetime
import io
import math
import re
from pathlib import Path

import python_calamine

from tfds_builders.errors import InputError
from tfds_builders.wording import suggest

Table = list[dict[str, str]]

_LARGEST = 256 << 20  # bytes
_MISSING = {"", ".", "-", "na", "n/a", "nan", "nd", "none", "null", "unknown", "-1", "-4"}  # -1 and -4 are ADNI's
_DAY = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T _].*)?")
_US_DAY = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})(?: .*)?")


def read(path: Path, columns: tuple[str, ...] = (), flag: str = "") -> Table:
    """Rows as text by column, stripped.

    Args:
      columns: that must be there, whatever their case is.
      flag: where the user names the table, for messages.

    Returns:
      One dict a row; the names of ``columns`` are as given, whatever their case in the file.

    Raises:
      InputError: the file cannot be read as a table, or lacks a column.
    """
    try:
        if not path.is_file():
            raise InputError(f"there is no table {path}{_see(flag)}")
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path} is larger than {_LARGEST >> 20} MiB; it is no table of this archive{_see(flag)}")
        cells = _sheet(path) if path.suffix.lower() in (".xls", ".xlsx", ".ods") else _text(path)
    except (OSError, csv.Error, UnicodeDecodeError, python_calamine.CalamineError) as error:
        raise InputError(f"{path} cannot be read as a table ({error}){_see(flag)}") from error
    header = [name.strip() for name in cells[0]] if cells else []
    renamed = {name.lower(): name for name in columns}
    header = [renamed.get(name.lower(), name) for name in header]
    for name in columns:
        if name not in header:
            raise InputError(f"{path} has no column {name!r}; {suggest(name, header)}{_see(flag)}")
    filled = [row for row in cells[1:] if any(cell.strip() for cell in row)]
    return [{name: row[i].strip() if i < len(row) else "" for i, name in enumerate(header)} for row in filled]


def _see(flag: str) -> str:
    return f". See {flag}" if flag else ""


def _text(path: Path) -> list[list[str]]:
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    head = text.split("\n", 1)[0]
    separator = max("\t;,", key=head.count)
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))


def _sheet(path: Path) -> list[list[str]]:
    with python_calamine.CalamineWorkbook.from_path(path) as book:
        return [[_cell(value) for value in row] for row in book.get_sheet_by_index(0).to_python()]


def _cell(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def number(text: str) -> float | None:
    """A number, also with a decimal comma; None for what archives write where there is none."""
    text = text.strip().replace(",", ".")
    if text.lower() in _MISSING:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def day(text: str) -> datetime.date | None:
    """A date written 2005-09-08 or, as American tables have it, 9/8/2005; None for anything else.

    Two digits of a year above 30 are of the 1900s.
    """
    try:
        if match := _DAY.fullmatch(text.strip()):
            return datetime.date(*map(int, match.groups()))
        if match := _US_DAY.fullmatch(text.strip()):
            month, of_month, year = map(int, match.groups())
            return datetime.date(year + (0 if year > 99 else 2000 if year <= 30 else 1900), month, of_month)
    except ValueError:  # the 31st of February
        return None
    return None


def find(root: Path, given: str, pattern: str, flag: str) -> Path:
    """The table that a flag names, or else the only file below ``root`` whose name matches ``pattern``.

    Raises:
      InputError: there is none, or there are several.
    """
    if given:
        return Path(given)
    found = [path for path in sorted(root.rglob("*")) if re.fullmatch(pattern, path.name) and path.is_file()]
    if len(found) != 1:
        what = "no table" if not found else f"{len(found)} tables"
        raise InputError(f"{root} holds {what} whose name is like {pattern}; name it with {flag}")
    return found[0]
