"""Tables as archives give them: .csv and .tsv in any of their dialects, .xls and .xlsx; numbers and dates in them."""

import csv
import datetime
import io
import math
import re
import resource
import zipfile
from pathlib import Path

import python_calamine

from tfds_builders.archives.api import files
from tfds_builders.errors import InputError
from tfds_builders.readers import apart
from tfds_builders.readers.limits import LIMITS
from tfds_builders.wording import suggest

Table = list[dict[str, str]]

YEAR, MONTH = 365.25, 365.25 / 12  # days

_LARGEST = 256 << 20  # bytes
_ROOM = 16 << 30  # bytes of addresses, most of them never used, for the process that reads a workbook
_MISSING = {"", ".", "-", "na", "n/a", "nan", "nd", "none", "null", "unknown"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_DAY = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T _].*)?")
_US_DAY = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})(?: .*)?")


def read(path: Path, columns: tuple[str, ...] = (), flag: str = "") -> Table:
    """Rows as text by column, stripped; of several sheets those of the one that has the columns, else of the first.

    Args:
      columns: that must be there, whatever their case is.
      flag: where the user names the table, for messages.

    Returns:
      One dict a row; the names of ``columns`` are as given, whatever their case in the file.

    Raises:
      InputError: the file cannot be read as a table, lacks a column or has it twice, or has cells behind its header;
        several sheets have the columns.
    """
    try:
        if not path.is_file():
            raise InputError(f"there is no table {path}{_see(flag)}")
        if _unpacked(path) > _LARGEST:
            raise InputError(f"{path} is larger than {_LARGEST >> 20} MiB; it is no table of this archive{_see(flag)}")
        workbook = path.suffix.lower() in (".xls", ".xlsx", ".ods")
        # Apart: one cell in the last corner of a sheet, and calamine asks for 400 GB and aborts (2026-11).
        sheets = apart.call(path, LIMITS, _sheets, path) if workbook else {"": _text(path)}
    except (OSError, csv.Error, UnicodeDecodeError, zipfile.BadZipFile, python_calamine.CalamineError) as error:
        raise InputError(f"{path} cannot be read as a table ({error}){_see(flag)}") from error
    headers = {sheet: _header(cells, columns) for sheet, cells in sheets.items()}
    fitting = [sheet for sheet, header in headers.items() if columns and set(columns) <= set(header)]
    if len(fitting) > 1:
        raise InputError(f"{path} has the columns in several sheets: {', '.join(fitting)}; put all rows into one")
    sheet = next(iter(fitting or sheets), "")
    cells, header = sheets.get(sheet, []), headers.get(sheet, [])
    for name in columns:
        if name not in header:
            raise InputError(f"{path} has no column {name!r}; {suggest(name, header)}{_see(flag)}")
        if header.count(name) > 1:
            raise InputError(f"{path} has {header.count(name)} columns {name!r}; rename all but one{_see(flag)}")
    filled = [[cell.strip() for cell in row] for row in cells[1:] if any(cell.strip() for cell in row)]
    for i, row in enumerate(filled, 1):
        if any(row[len(header) :]):  # a comma in a text has moved the cells behind it
            raise InputError(f"{path}: row {i} has {len(row)} cells, but the header names {len(header)} columns")
    return [{name: row[i] if i < len(row) else "" for i, name in enumerate(header)} for row in filled]


def _see(flag: str) -> str:
    return f". See {flag}" if flag else ""


def _text(path: Path) -> list[list[str]]:
    content = path.read_bytes()
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    head = text.split("\n", 1)[0]
    separator = max("\t;,", key=head.count)
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))


def _unpacked(path: Path) -> int:
    """Bytes of a file, and of what it says that it unpacks to."""
    if not zipfile.is_zipfile(path):
        return path.stat().st_size
    with zipfile.ZipFile(path) as packed:
        return sum(part.file_size for part in packed.infolist())


def _sheets(path: Path) -> dict[str, list[list[str]]]:
    """In another process: the cells of each sheet."""
    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (_ROOM if most == resource.RLIM_INFINITY else min(_ROOM, most), most))
    with python_calamine.CalamineWorkbook.from_path(path) as book:
        names = [s.name for s in book.sheets_metadata if s.typ == python_calamine.SheetTypeEnum.WorkSheet]
        return {
            name: [[_cell(value) for value in row] for row in book.get_sheet_by_name(name).to_python()]
            for name in names
        }


def _header(cells: list[list[str]], columns: tuple[str, ...]) -> list[str]:
    renamed = {name.lower(): name for name in columns}
    return [renamed.get(name.strip().lower(), name.strip()) for name in cells[0]] if cells else []


def _cell(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def is_blank(text: str) -> bool:
    """Whether it is what archives write where they know nothing."""
    return text.strip().lower() in _MISSING


def number(text: str, missing: tuple[float, ...] = ()) -> float | None:
    """A number, also with a decimal comma; None for anything else and for the codes that an archive has for missing."""
    text = text.strip().replace(",", ".")
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    return value if math.isfinite(value) and value not in missing else None


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
    found = [path for path, _ in files(root, pattern)]
    if len(found) != 1:
        what = f"{len(found)} tables" if found else "no table"
        these = f" ({', '.join(path.relative_to(root).as_posix() for path in found[:3])})" if found else ""
        raise InputError(f"{root} holds {what} whose name is like {pattern}{these}; name it with {flag}")
    return found[0]
