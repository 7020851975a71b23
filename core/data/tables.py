"""The one reader of the tables that people bring: text stays text, and a fault has its file, line and column.

A code such as `22961`, `1e5`, `nan`, `true` or `001` is a name, not a number, so every cell is read as text;
`numbers` reads a column that holds quantities. Cells are split by the csv module in its strict mode, which
knows the line of a fault; pandas would join or drop rows after a stray quote.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd
from pyarrow import ArrowException

from core.config import require

FIRST_LINE = 2
"""A row's label in the index plus this is the line of the file where it begins."""
_TAB_SUFFIXES = (".txt", ".tsv")


def read_table(field: str, path: Path, required: Sequence[str] = ()) -> pd.DataFrame:
    """Return a table whose cells are text as written; `index + FIRST_LINE` is the line of each row.

    Parameters
    ----------
    field
        The option that names the file, for messages; "" where none does.
    path
        .parquet, read as it is; .txt or .tsv, separated by tabs and never quoted; anything else is
        separated by commas, or by `;` where its first line has `;` and no comma. The text is UTF-8.
    required
        Columns that must be there.

    Raises
    ------
    ValueError
        If the file is missing, is no such table, or lacks a column.
    """
    where = f"{field}={path}" if field else str(path)
    require(path.is_file(), f"{where}: no such file")
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            table = _parse(where, path.read_bytes(), tabs=path.suffix.lower() in _TAB_SUFFIXES)
    except (ArrowException, OSError) as error:
        message = f"{where}: not readable as a table: {error}"
        raise ValueError(message) from error
    missing = [column for column in required if column not in table]
    found = ", ".join(str(name) for name in table.columns)
    require(not missing, f"{where}: no column {', '.join(missing)}; found {found}")
    return table


def numbers(table: pd.DataFrame, column: str, where: object) -> pd.Series:
    """Return a column as float64, NaN where it is blank.

    Parameters
    ----------
    table
        Of `read_table`.
    column
        One of its columns.
    where
        The file, for messages.

    Raises
    ------
    ValueError
        If a cell is no number.
    """
    texts = table[column]
    found = pd.to_numeric(texts, errors="coerce").astype("float64")
    wrong = found.isna() & ~texts.astype(str).str.strip().str.lower().isin(["", "nan", "none", "<na>"])
    if wrong.any():
        row = wrong.idxmax()
        message = f"{line_of(where, row)}: column {column} is {texts[row]!r}; a number is needed"
        raise ValueError(message)
    return found


def line_of(where: object, row: object) -> str:
    """Return `FILE, line N` of a row by its label in the index of `read_table`."""
    return f"{where}, line {int(str(row)) + FIRST_LINE}"


def _parse(where: str, content: bytes, *, tabs: bool) -> pd.DataFrame:
    """Return the rows of a text file."""
    first = content.lstrip(b"\r\n").partition(b"\n")[0]
    separator = "\t" if tabs else ";" if b";" in first and b"," not in first else ","
    text = _decode(where, content, separator)
    rows = _rows(where, text, separator)
    _, header = next(rows, (0, []))
    header = [name.strip() for name in header]
    require(bool(header), f"{where}: empty; its first line must name the columns")
    twice = sorted({name for name in header if header.count(name) > 1})
    require(not twice, f"{where}, line 1: column {', '.join(twice)} is there more than once")
    lines, cells = [], []
    for line, row in rows:
        kept = row[: len(header)]
        if len(kept) < len(header) or any(row[len(header) :]):
            remedy = (
                "is the file whole?" if len(kept) < len(header) else f"quote text with {separator!r} in it"
            )
            message = f"{where}, line {line}: {len(row)} cells for {len(header)} columns; {remedy}"
            raise ValueError(message)
        lines.append(line - FIRST_LINE)
        cells.append(kept)
    return pd.DataFrame(cells, columns=header, index=pd.Index(lines, dtype="int64"), dtype=str)


def _decode(where: str, content: bytes, separator: str) -> str:
    r"""Return the text of a UTF-8 file with `\n` at the ends of its lines."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        lines = content[: error.start].decode("latin-1").split("\n")
        header, before = csv.reader((lines[0], lines[-1]), delimiter=separator)
        column = header[len(before) - 1] if 0 < len(before) <= len(header) else "1"
        message = (
            f"{where}, line {len(lines)}, column {column}: byte 0x{content[error.start]:02x} is not UTF-8; "
            "save the table as UTF-8"
        )
        raise ValueError(message) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _rows(where: str, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line where each row begins, and its cells; lines without any are passed over."""
    quoting: Literal[0, 3] = csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL
    reader = csv.reader(io.StringIO(text), delimiter=separator, quoting=quoting, strict=True)
    header: list[str] = []
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            number = _stray_quote(text.split("\n")[line - 1 :], separator)
            name = header[number] if number < len(header) else number + 1
            message = (
                f"{where}, line {line}, column {name}: a quote that is not closed or stands inside a text "
                f"({error}); remove it, or double it in a quoted text"
            )
            raise ValueError(message) from error
        if row is None:
            return
        if row:
            header = header or row
            yield line, row


def _stray_quote(lines: Sequence[str], separator: str) -> int:
    """Return the number, from 0, of the first cell of a row that is not well quoted."""
    cell = re.compile(rf'(?:"(?:[^"]|"")*"|[^"{separator}\n][^{separator}\n]*)?{separator}')
    text, position, number = "\n".join(lines), 0, 0
    while found := cell.match(text, position):
        position, number = found.end(), number + 1
    return number
