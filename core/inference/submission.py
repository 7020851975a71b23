"""The submission that a competition asks for: its rows, its columns, and what is wrong with one.

The years ask for three forms, which differ in one table, `FORMS`. Which windows are meant follows from the
host's tables, test.csv and sample_submission.csv, or else from the files.
"""

import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.config import require
from core.data.audio import duration_seconds
from core.data.layouts import SubmissionForm, recognise
from core.data.soundscapes import WINDOW_SECONDS, find_soundscapes
from core.data.tables import line_of, numbers, read_table
from core.files import write_table
from core.inference.config import CheckConfig
from core.inference.tables import Decisions
from core.inference.windows import count_windows

HOST_TABLES = ("test.csv", "sample_submission.csv")
_ROW_COLUMNS = ("file_id", "bird", "end_time")
_NOCALL = "nocall"
_DATE_DIGITS = 8


@dataclass(frozen=True)
class _Placed:
    """Rows of a submission, and where the window of each is.

    Attributes
    ----------
    rows
        See `Wanted`.
    place
        (row,) position in the arrays; -1, their last row, where nothing was predicted.
    probability, target
        (window + 1, species), of all soundscapes; the last row is 0 and False.
    species
        Codes of the columns.
    """

    rows: pd.DataFrame
    place: np.ndarray
    probability: np.ndarray
    target: np.ndarray
    species: Sequence[str]

    def columns_of(self, codes: Iterable[str]) -> list[int]:
        """Return the columns of codes."""
        position = {code: i for i, code in enumerate(self.species)}
        return [position[code] for code in codes]


def _name_birds(placed: _Placed, codes: Sequence[str]) -> pd.DataFrame:
    """Return what is heard in each row's window, as text."""
    chosen = placed.columns_of(codes)
    heard = [np.array(codes)[row] for row in placed.target[:, chosen]]
    texts = np.array([" ".join(found) or _NOCALL for found in heard], dtype=object)
    return pd.DataFrame({"birds": texts[placed.place]})


def _say_target(placed: _Placed, codes: Sequence[str]) -> pd.DataFrame:
    """Return whether each row's bird is heard; `codes` are not needed, as every row names its own."""
    columns = placed.columns_of(placed.rows["bird"])
    return pd.DataFrame({"target": placed.target[placed.place, columns]})


def _show_probabilities(placed: _Placed, codes: Sequence[str]) -> pd.DataFrame:
    """Return a float32 column a class."""
    values = placed.probability[:, placed.columns_of(codes)].astype(np.float32)
    return pd.DataFrame(values[placed.place], columns=list(codes))


def _are_birds(cells: pd.Series) -> pd.Series:
    """Return which cells are codes, none twice, or nocall alone."""

    def is_right(text: str) -> bool:
        words = text.split(" ")
        return len(set(words)) == len(words) and all(words) and (_NOCALL not in words or len(words) == 1)

    return cells.map(is_right)


@dataclass(frozen=True)
class Form:
    """How a submission looks.

    Attributes
    ----------
    column
        That of the answers; None: one a class.
    signs
        Columns that show that a table of the host is of this form; none: every table that shows no other.
    row_id
        What a row_id holds behind the soundscape, separated by `_`.
    absent
        Answer about a window that was not predicted.
    expected
        What an answer is.
    is_right
        Which cells, as text, are answers.
    answers
        Returns the columns of answers from placed rows and the wanted classes.
    """

    column: str | None
    signs: frozenset[str]
    row_id: tuple[str, ...]
    absent: object
    expected: str
    is_right: Callable[[pd.Series], pd.Series]
    answers: Callable[[_Placed, Sequence[str]], pd.DataFrame]


FORMS: dict[SubmissionForm, Form] = {
    "birds": Form(
        "birds", frozenset({"birds", "audio_id"}), ("end_time",), _NOCALL,
        f"codes with a blank between them, none twice, or {_NOCALL}", _are_birds, _name_birds,
    ),
    "targets": Form(
        "target", frozenset({"target", "file_id"}), ("bird", "end_time"), False,
        "True or False", lambda cells: cells.isin(["True", "False"]), _say_target,
    ),
    "wide": Form(
        None, frozenset(), ("end_time",), 0.0,
        "a probability from 0 to 1", lambda cells: pd.to_numeric(cells, errors="coerce").between(0, 1),
        _show_probabilities,
    ),
}  # fmt: skip
"""Of 2021, of 2022, and of 2023 to 2026."""


@dataclass(frozen=True)
class Wanted:
    """What a submission must hold.

    Attributes
    ----------
    form
        How it looks.
    codes
        Classes in the order of its columns; those that rows ask for in the form of 2022.
    rows
        `row_id`, `file_id` (the soundscape's id), `end_time` in seconds, in the form of 2022 `bird`; None:
        a row for each window of each file.
    source
        The table that names the rows.
    """

    form: SubmissionForm
    codes: tuple[str, ...]
    rows: pd.DataFrame | None = None
    source: Path | None = None


def form_of(table: pd.DataFrame) -> SubmissionForm | None:
    """Return the form that a table of the host is of; None if it names no rows."""
    if "row_id" not in table:
        return None
    signed = (name for name, form in FORMS.items() if form.signs & set(table.columns))
    return next(signed, "wide")


def host_tables(soundscapes: Sequence[str]) -> list[Path]:
    """Return the tables of rows beside a folder of soundscapes."""
    folder = Path(soundscapes[0])
    beside = [] if folder.is_file() else [folder.parent / name for name in HOST_TABLES]
    return [path for path in beside if path.is_file()]


def find_wanted(
    form: SubmissionForm,
    tables: Sequence[Path],
    soundscapes: Collection[str],
    codes: Sequence[str],
    *,
    is_named: bool = False,
) -> Wanted:
    """Return the rows and columns that the host's tables ask for.

    A table counts if it names a soundscape that is there; in the wide form, whose sample is often but the
    beginning of the rows, if it names all of them.

    Parameters
    ----------
    form
        Tables of another one are passed over.
    tables
        The first that counts names the rows.
    soundscapes
        Ids of those that are there; without any, every table counts.
    codes
        Classes that are predicted, which are the columns where no table is of the wide form.
    is_named
        Somebody named the tables: each must be of the form, and counts.

    Raises
    ------
    ValueError
        If a table names a row twice, or a row_id cannot be read.
    """
    wanted = Wanted(form, tuple(codes))
    ids = {_name_in_rows(form, one): one for one in soundscapes}
    for path in tables:
        table = read_table("", path)
        other = form_of(table)
        if other != form:
            found = "without row_id" if other is None else f"of the form {other}"
            require(
                not is_named, f"{path}: a table {found}; the submission is of the form {form}, see --form"
            )
            continue
        rows = _read_rows(path, table, FORMS[form])
        rows["file_id"] = rows["file_id"].map(lambda name: ids.get(name, name))
        named, there = set(rows["file_id"]), set(soundscapes)
        counts = there <= named if form == "wide" else bool(there & named)
        counts = wanted.rows is None and (counts or is_named or not there)
        if form == "wide":
            wanted = replace(wanted, codes=tuple(name for name in table if name != "row_id"))
        elif form == "targets" and (counts or not wanted.codes):
            wanted = replace(wanted, codes=tuple(sorted(set(rows["bird"]))))
        if counts:
            wanted = replace(wanted, rows=rows, source=path)
    return wanted


def _read_rows(path: Path, table: pd.DataFrame, form: Form) -> pd.DataFrame:
    """Return `rows` of `Wanted` from a table of this form."""
    ids = table["row_id"]
    repeated = ids[ids.duplicated()]
    if len(repeated):
        message = f"{line_of(path, repeated.index[0])}: row_id {repeated.iloc[0]} is there more than once"
        raise ValueError(message)
    if {*_ROW_COLUMNS} <= {*table.columns} and "bird" in form.row_id:
        rows = table[["row_id", *_ROW_COLUMNS]].copy()
    else:
        parts = ids.str.rsplit("_", n=len(form.row_id))
        short = parts.index[parts.map(len) <= len(form.row_id)]
        if len(short):
            wanted = "_".join(("SOUNDSCAPE", *form.row_id))
            message = f"{line_of(path, short[0])}: row_id {ids[short[0]]!r} is not {wanted}"
            raise ValueError(message)
        rows = pd.DataFrame(parts.tolist(), columns=["file_id", *form.row_id], index=ids.index)
        rows.insert(0, "row_id", ids)
    return rows.assign(end_time=numbers(rows, "end_time", path)).reset_index(drop=True)


def _name_in_rows(form: SubmissionForm, soundscape: str) -> str:
    """Return how rows call a soundscape: in 2021 without the date at its end."""
    name, _, date = soundscape.rpartition("_")
    return name if form == "birds" and name and date.isdigit() and len(date) == _DATE_DIGITS else soundscape


def rows_of_files(form: SubmissionForm, windows: Mapping[str, int], codes: Sequence[str]) -> pd.DataFrame:
    """Return the rows of every window of every soundscape, see `Wanted`.

    Parameters
    ----------
    form
        How a row_id is made.
    windows
        Soundscape -> how many it has.
    codes
        Classes that get rows of their own in the form of 2022.
    """
    pieces = []
    for soundscape, number in windows.items():
        start = {"file_id": soundscape, "name": _name_in_rows(form, soundscape)}
        ends = (np.arange(number) + 1) * WINDOW_SECONDS
        birds: list[dict[str, Any]] = [{"bird": code} for code in codes] if form == "targets" else [{}]
        pieces += [pd.DataFrame({**start, **bird, "end_time": ends}) for bird in birds]
    rows = pd.concat(pieces, ignore_index=True)
    row_id = rows["name"].str.cat(rows[[*FORMS[form].row_id]].astype(str), sep="_")
    twice = row_id[row_id.duplicated()]
    if len(twice):
        names = rows["file_id"][row_id == twice.iloc[0]].unique()
        message = f"{' and '.join(names)}: both have row_id {twice.iloc[0]}; rename one"
        raise ValueError(message)
    return rows.drop(columns="name").assign(row_id=row_id)


def write_submission(
    path: Path, wanted: Wanted, decisions: Mapping[str, Decisions], species: Sequence[str]
) -> tuple[pd.DataFrame, int]:
    """Write the submission; return its rows, and how many are answered without a prediction.

    Parameters
    ----------
    path
        The file; it appears whole.
    wanted
        Rows and columns.
    decisions
        Soundscape -> what was decided.
    species
        Codes of the decisions' columns.
    """
    windows = {name: len(one.target) for name, one in decisions.items()}
    rows = wanted.rows
    if rows is None:
        rows = rows_of_files(wanted.form, windows, wanted.codes)
    number = rows["file_id"].map(windows).fillna(0).to_numpy(int)
    window = rows["end_time"].to_numpy(int) // WINDOW_SECONDS - 1
    starts = dict(zip(windows, np.cumsum([0, *windows.values()]).tolist(), strict=False))
    start = rows["file_id"].map(starts).fillna(0).to_numpy(int)
    place = np.where((window >= 0) & (window < number), start + window, -1)
    nothing = np.zeros((1, len(species)))
    probability = np.concatenate([*(one.probability for one in decisions.values()), nothing])
    target = np.concatenate([*(one.target for one in decisions.values()), nothing.astype(bool)])
    placed = _Placed(rows, place, probability, target, species)
    answers = FORMS[wanted.form].answers(placed, wanted.codes)
    write_table(pd.concat([rows[["row_id"]], answers], axis=1), path)
    return rows, int((place < 0).sum())


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
            faults.append(f"{submission}: {len(found)} {what} {kind}, the first is {found[0]}")
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


def ledger_of(submission: Path) -> Path:
    """Return the table of what became of each file, beside a submission."""
    return submission.with_name(f"{submission.stem}_ledger.csv")
