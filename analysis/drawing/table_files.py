"""Tables with intervals: as Markdown for people and the log, as columns for files."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from core.files import write_table
from core.scoring.intervals import Interval


def markdown(rows: Sequence[Mapping[str, Any]], nothing: str = "") -> list[str]:
    """Return a table in Markdown, or `nothing` for one without rows, and an empty line; three decimals."""
    if not rows:
        return [nothing, ""]
    cells = [[f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    lines = [list(rows[0]), ["---"] * len(rows[0]), *cells]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]


def write_rows(rows: Iterable[Mapping[str, Any]], file: Path) -> Path:
    """Write a table as csv, each interval as three columns; return `file`."""
    flat: list[dict[str, Any]] = []
    for row in rows:
        flat.append({})
        for column, value in row.items():
            if isinstance(value, Interval):
                flat[-1] |= {column: value.value, f"{column} low": value.low, f"{column} high": value.high}
            else:
                flat[-1][column] = value
    return write_table(pd.DataFrame(flat), file)


def slug(name: str) -> str:
    """Return a name as that of a file or folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)
