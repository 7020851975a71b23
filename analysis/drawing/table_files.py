"""Tables with intervals: as Markdown for people and the log, as columns for files."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from core.config import require
from core.files import write_table
from core.scoring.intervals import Interval


def markdown(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a table in Markdown; numbers with three decimals, intervals as they print.

    Parameters
    ----------
    rows
        Column -> value, all with the same columns.
    """
    rows = list(rows)
    if not rows:
        return []
    lines = [
        list(rows[0]),
        ["---"] * len(rows[0]),
        *([cell_text(value) for value in row.values()] for row in rows),
    ]
    return [f"| {' | '.join(line)} |" for line in lines]


def cell_text(value: Any) -> str:
    """Return a cell's text."""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def write_rows(rows: Iterable[Mapping[str, Any]], file: Path) -> Path:
    """Write a table as csv, each interval as three columns; return `file`."""
    flat = [
        {name: number for column, value in row.items() for name, number in csv_columns(column, value).items()}
        for row in rows
    ]
    return write_table(pd.DataFrame(flat), file)


def csv_columns(column: str, value: Any) -> dict[str, Any]:
    """Return what a cell is in a file."""
    if isinstance(value, Interval):
        return {column: value.value, f"{column} low": value.low, f"{column} high": value.high}
    return {column: value}


def require_endings(table: str | Path | None, figure: str | Path | None) -> None:
    """Raise a `ValueError` before anything is computed if a file that is wanted cannot be written."""
    for file, endings in ((table, (".csv", ".json")), (figure, (".png", ".svg", ".pdf"))):
        if file is not None:
            kind, known = (
                ("table" if table is file else "figure"),
                f"{', '.join(endings[:-1])} or {endings[-1]}",
            )
            require(Path(file).suffix in endings, f"{file}: a {kind} ends in {known}")


def slug(name: str) -> str:
    """Return a name as that of a file or folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)
