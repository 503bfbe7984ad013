"""Rows of spreadsheet files: CSV in its usual encodings and separators, and Excel workbooks."""

import codecs
import csv
import os
import stat
import warnings
import zipfile
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import partial
from io import TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, Final

from bulkup.errors import UsageError
from bulkup.source.files import open_at_once
from bulkup.source.metadata import line

SEPARATORS: Final = ",;\t|"
LONGEST: Final = 1024 * 1024
"""Maximum characters of a line of CSV; more are read as another line."""

PIECE: Final = 1024 * 1024
ZIP: Final = b"PK\x03\x04"
OLE: Final = b"\xd0\xcf\x11\xe0"
UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

LARGEST_PART: Final = 1024**3
LARGEST_TEXTS: Final = 256 * 1024**2
"""Maximum unpacked bytes of a part of a workbook, and of the texts that all its cells share."""

MOST_ROWS: Final = 1024**2
"""Rows that a sheet of Excel can have."""

CELL_ERRORS: Final = frozenset(
    {"#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A"}
)
CSV_HINT: Final = "Save it as CSV in UTF-8."


@dataclass(frozen=True, slots=True)
class Row:
    """The texts of a row that begins in `line`, from 1; or `problem`, why it can't be read."""

    line: int
    cells: Sequence[str] = ()
    problem: str = ""


def read_rows(path: Path, *, is_column: Callable[[str], bool]) -> Generator[Row, None, None]:
    """Yield the rows of a file that are not empty; the first one has the names of the columns.

    `is_column` returns whether a column of this name is known: the separator of a CSV file is the
    one with which most are. Raises `UsageError` if the file can't be read.
    """
    try:
        with open(path, "rb", opener=open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UsageError(f"{path} is not a file", hint="Give a CSV or Excel file.")
            head = file.read(len(ZIP))
            if head == OLE:
                raise UsageError(
                    f"{path} is in Excel's old format", hint="Save it as .xlsx or as CSV."
                )
            with closing(
                _workbook_rows(file, path) if head == ZIP else _csv_rows(file, is_column)
            ) as rows:
                for row in rows:
                    if row.problem or any(map(str.strip, row.cells)):
                        yield row
    except OSError as error:
        raise UsageError(
            f"the table {path} can't be read: {error.strerror or error}",
            hint="Give a readable CSV or Excel file.",
        ) from None


def _csv_rows(file: BinaryIO, is_column: Callable[[str], bool]) -> Generator[Row, None, None]:
    encoding = _encoding(file)
    file.seek(0)
    with TextIOWrapper(file, encoding=encoding, errors="replace", newline="") as text:
        lines = iter(partial(text.readline, LONGEST), "")
        skipped, first = 0, ""
        for first in lines:
            declared = first.lower().startswith("sep=")  # Excel writes and reads such a line
            if first.strip() and not declared:
                break
            skipped += 1
        reader = csv.reader(chain([first], lines), delimiter=_separator(first, is_column))
        while True:
            number = skipped + reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(number, problem=f"it is not valid CSV: {error}")
            else:
                yield Row(number, cells)


def _encoding(file: BinaryIO) -> str:
    """Return the encoding of a text: by its byte order mark, or UTF-8 if it is valid."""
    file.seek(0)
    if file.read(2) in UTF16:
        return "utf-16"
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while piece := file.read(PIECE):
            decoder.decode(piece)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _separator(head: str, is_column: Callable[[str], bool]) -> str:
    """Return the separator with which the first line has the most known columns."""

    def known(separator: str) -> tuple[int, int]:
        try:
            names = next(csv.reader([head], delimiter=separator), [])
        except csv.Error:
            return 0, 0
        return sum(map(is_column, names)), len(names)

    return max(SEPARATORS, key=known)


def _workbook_rows(file: BinaryIO, path: Path) -> Generator[Row, None, None]:
    """Yield the rows of a workbook's active sheet."""
    try:
        from openpyxl import load_workbook  # noqa: PLC0415 (optional)
    except ImportError:
        raise UsageError(
            "--metadata with an Excel file needs a library that is not installed: openpyxl",
            hint="Install it with: pip install 'bulkup[xlsx]', or save the table as CSV.",
        ) from None
    warnings.filterwarnings("ignore", module="openpyxl")  # about styles that it does not know
    book: Any = None
    try:
        _check_parts(file)
        book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
        sheet = book.active or book.worksheets[0]
        sheet.reset_dimensions()  # some programs write wrong ones
        rows = islice(sheet.iter_rows(values_only=True), MOST_ROWS)
        for number, values in enumerate(rows, start=1):
            yield Row(number, [_text(value) for value in values])
    except (OSError, UsageError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 (openpyxl raises many kinds)
        raise UsageError(
            f"{path} is not an intact Excel file: {line(str(error))[:200]}", hint=CSV_HINT
        ) from None
    finally:
        if book is not None:
            book.close()


def _check_parts(file: BinaryIO) -> None:
    """Raise `ValueError` if a part of a workbook would take too much memory."""
    with zipfile.ZipFile(file) as parts:
        for part in parts.infolist():
            most = LARGEST_PART if "sheet" in part.filename.lower() else LARGEST_TEXTS
            if part.file_size > most:
                raise ValueError(f"{part.filename} in it unpacks to {part.file_size:,} bytes")


def _text(value: object) -> str:
    """Return the text of a cell: dates in ISO form, whole numbers without a decimal point."""
    match value:
        case None:
            return ""
        case str():
            return "" if value in CELL_ERRORS else value
        case bool():
            return "yes" if value else "no"
        case float() if value.is_integer():
            return str(int(value))
        case datetime():
            return f"{value.date() if value.time() == time() else value.replace(microsecond=0)}"
        case date():
            return value.isoformat()
    return str(value)
