"""What is wrong with a submission, beside the host's tables and the soundscapes."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.audio import duration_seconds
from core.data.layouts import recognise
from core.data.soundscapes import find_soundscapes
from core.data.tables import line_of, numbers, read_table
from core.inference.config import CheckConfig
from core.inference.submission import (
    FORMS,
    find_wanted,
    form_of,
    ledger_of,
    require_distinct_rows,
    rows_of_files,
)
from core.inference.windows import count_windows
from core.wording import counted


def submission_faults(submission: Path, *tables: Path, soundscapes: Sequence[str] = ()) -> list[str]:
    """Return the faults of a submission, a sentence each; none when it is right.

    Parameters
    ----------
    submission
        One that cannot be read is a fault, too.
    tables
        The host's test.csv or sample_submission.csv, or both; the form is that of the first.
    soundscapes
        Files or folders: where no table counts for them (see `find_wanted`) the rows are their windows.

    Raises
    ------
    ValueError
        If a table of the host is none.
    """
    form = form_of(read_table("", tables[0], ("row_id",)))
    assert form is not None
    files = find_soundscapes(soundscapes) if soundscapes else {}
    wanted = find_wanted(form, tables, files, (), is_named=not files)
    rows = wanted.rows
    if rows is None:
        lengths = {name: round(1000 * duration_seconds(path)) for name, path in files.items()}
        windows = {name: count_windows(length, 1000) for name, length in lengths.items()}
        require_distinct_rows(wanted.form, windows, wanted.codes)
        rows = rows_of_files(form, windows, wanted.codes)
    try:
        given = read_table("", submission)
    except ValueError as error:
        return [str(error)]
    answers = [FORMS[form].column] if FORMS[form].column is not None else [*wanted.codes]
    columns = ["row_id", *map(str, answers)]
    faults = _differences(submission, "columns", given.columns.tolist(), columns)
    if faults:
        return faults
    faults = _differences(submission, "rows", given["row_id"].tolist(), rows["row_id"].tolist())
    cells = given[columns[1:]]
    wrong = ~cells.astype(str).apply(FORMS[form].is_right)
    if wrong.to_numpy().any():
        row, column = (
            names[i] for names, i in zip(wrong.axes, np.argwhere(wrong.to_numpy())[0], strict=True)
        )
        faults.append(
            f"{line_of(submission, row)}: {column} {cells[column][row]!r} is not {FORMS[form].expected}; "
            f"{wrong.to_numpy().sum()} are not"
        )
    return faults


def _differences(submission: Path, what: str, given: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Return how names of rows or columns differ from those that are wanted, a sentence each."""
    faults = []
    for kind, found in (
        ("missing", sorted(set(wanted) - set(given))),
        ("unknown", sorted(set(given) - set(wanted))),
        ("repeated", sorted(pd.Series(given)[pd.Series(given).duplicated()].unique())),
    ):
        if found:
            faults.append(f"{submission}: {counted(len(found), what)} {kind}, the first is {found[0]}")
    if not faults and list(given) != list(wanted):
        first = next(one for one, other in zip(given, wanted, strict=True) if one != other)
        faults.append(f"{submission}: all {what} are there, but not in their order; the first is {first}")
    return faults


def check(config: CheckConfig) -> None:
    """Print the faults of a submission and what predicting took; exit with status 1 if there are faults."""
    submission = Path(config.submission)
    tables = [Path(name) for name in (config.test, config.sample) if name is not None]
    faults = submission_faults(submission, *tables, soundscapes=config.soundscapes)
    print("\n".join(faults) or f"{submission}: right")
    layout, ledger, took = recognise(tables[0].parent), ledger_of(submission), "not known here"
    table = read_table("", ledger) if ledger.is_file() else pd.DataFrame()
    if "took_seconds" in table:
        audio, spent = (numbers(table, name, ledger).sum() for name in ("seconds", "took_seconds"))
        took = f"{spent / 60:.2g} min for {audio / 3600:.2g} h of audio here"
    if layout.year is not None:
        print(f"Time: {took}; {layout.name} grants {layout.budget_minutes:g} min")
    sys.exit(1 if faults else 0)
