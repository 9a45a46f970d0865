"""Tables as archives provide them (.csv and .tsv in any dialect, .xls, .xlsx), and the numbers and dates in them."""

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
_ROOM = 16 << 30  # bytes of address space, most of it never used, for the process that reads a workbook
_MISSING = {"", ".", "-", "na", "n/a", "nan", "nd", "none", "null", "unknown"}
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_DAY = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T _].*)?")
_US_DAY = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})(?: .*)?")


class Grouped(str):
    """A cell such as 1,095 of a table with commas between its columns: 1095 to some, 1.095 to others."""

    where: str  # file, row and column

    @property
    def told(self) -> str:
        """The cell and what to write instead."""
        return f"{str(self)!r}; write {self.replace(',', '')}, or a point in place of a decimal comma"


def read(path: Path, columns: tuple[str, ...] = (), flag: str = "") -> Table:
    """Read the rows of a table as stripped text by column; of a workbook, the sheet that has ``columns``, or the first.

    Args:
      columns: that the table must have, in upper or lower case.
      flag: with which the user names the table, for error messages.

    Returns:
      One dict per row; the names in ``columns`` are spelled as given, whatever their case in the file. Cells that may
      be two numbers are :class:`Grouped`.

    Raises:
      InputError: the file cannot be read as a table, lacks a column or has it twice, has a row with more cells than the
        header, or has the columns in several sheets.
    """
    try:
        if not path.is_file():
            raise InputError(f"there is no table {path}{_see(flag)}")
        if _unpacked(path) > _LARGEST:
            raise InputError(f"{path} is larger than {_LARGEST >> 20} MiB; it is no table of this archive{_see(flag)}")
        workbook = path.suffix.lower() in (".xls", ".xlsx", ".ods")
        # In a process of its own: for a single cell in the last corner of a sheet, calamine asks for 400 GB and aborts
        # (2026-11).
        sheets, separator = (apart.call(path, LIMITS, _sheets, path), "") if workbook else _text(path)
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
        if any(row[len(header) :]):  # an unquoted comma in a text shifts the cells after it
            raise InputError(f"{path}: row {i} has {len(row)} cells, but the header names {len(header)} columns")
    rows = [{name: row[i] if i < len(row) else "" for i, name in enumerate(header)} for row in filled]
    for i, row in enumerate(rows if separator == "," else [], 1):
        for name, text in row.items():
            if "," in text and _GROUPED.fullmatch(text):
                row[name] = Grouped(text)
                row[name].where = f"{path}: row {i}: {name}"
    return rows


def _see(flag: str) -> str:
    return f". See {flag}" if flag else ""


def _text(path: Path) -> tuple[dict[str, list[list[str]]], str]:
    """The cells, as those of a sheet without a name, and what separates them."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    head = text.split("\n", 1)[0]
    separator = max("\t;,", key=head.count)
    return {"": list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))}, separator


def _unpacked(path: Path) -> int:
    """Size of a file in bytes; of a zip archive, the size that it says it unpacks to."""
    if not zipfile.is_zipfile(path):
        return path.stat().st_size
    with zipfile.ZipFile(path) as packed:
        return sum(part.file_size for part in packed.infolist())


def _sheets(path: Path) -> dict[str, list[list[str]]]:
    """The cells of each sheet; runs in another process."""
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
    """Whether a cell is one of the ways in which archives write that a value is unknown."""
    return text.strip().lower() in _MISSING


def number(text: str, missing: tuple[float, ...] = ()) -> float | None:
    """Parse a number, also with a decimal comma; None for anything else and for the codes in ``missing``.

    Raises:
      InputError: the cell is :class:`Grouped`.
    """
    if isinstance(text, Grouped):
        raise InputError(f"{text.where} is {text.told}")
    text = text.strip().replace(",", ".")
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    return value if math.isfinite(value) and value not in missing else None


def day(text: str) -> datetime.date | None:
    """Parse a date written as 2005-09-08 or, as in American tables, 9/8/2005; None for anything else.

    Two-digit years above 30 are in the 1900s.
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
    """The table named by the user, or else the only file below ``root`` whose name matches ``pattern``.

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
