"""The submission that a competition asks for: its rows, its columns, and what is wrong with one.

The years ask for three forms, which differ in one table, `FORMS`. Which windows are meant follows from the
host's tables, test.csv and sample_submission.csv, or else from the files.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.config import require
from core.data.layouts import Layout, SubmissionForm
from core.data.soundscapes import WINDOW_SECONDS
from core.data.tables import line_of, numbers, read_table
from core.files import streaming_table
from core.inference.post_processing import DecidedSoundscapes
from core.inference.tables import Decisions, Sink

HOST_TABLES = ("test.csv", "sample_submission.csv")
_ROW_COLUMNS = ("file_id", "bird", "end_time")
_NOCALL = "nocall"
_LATEST_SECONDS = 1e9
ROWS_AT_A_TIME = 20_000
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
        (window + 1, species), of the windows that rows ask for; the last row is 0 and False.
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


def choose_form(asked: SubmissionForm | None, test: str | None, layout: Layout) -> SubmissionForm:
    """Return the form of a submission.

    Parameters
    ----------
    asked
        By the user, which wins.
    test
        Table of the host that the user names, which wins over the layout.
    layout
        Of the folder that trained.
    """
    named = form_of(read_table("test", Path(test))) if test is not None and asked is None else None
    return asked or named or layout.submission


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
    ends = numbers(rows, "end_time", path)
    for row in ends.index[~np.isfinite(ends)][:1]:
        message = f"{line_of(path, row)}: end_time of row_id {ids[row]!r} is no number of seconds"
        raise ValueError(message)
    return rows.assign(end_time=ends).reset_index(drop=True)


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
    return rows.drop(columns="name").assign(row_id=row_id)


def require_distinct_rows(form: SubmissionForm, windows: Mapping[str, int], codes: Sequence[str]) -> None:
    """Raise `ValueError` if the windows of two soundscapes would have the same row_id.

    Parameters
    ----------
    form, windows, codes
        See `rows_of_files`.
    """
    names = pd.Series({name: _name_in_rows(form, name) for name in windows if windows[name]}, dtype=object)
    twice = names[names.duplicated(keep=False)]
    if len(twice):
        same = twice[twice == twice.iloc[0]].index
        row_id = rows_of_files(form, {same[0]: 1}, codes[:1])["row_id"].iloc[0]
        message = f"{' and '.join(same)}: both have row_id {row_id}; rename one"
        raise ValueError(message)


@contextmanager
def writing_submission(path: Path, wanted: Wanted, species: Sequence[str]) -> Iterator[Sink]:
    """Yield what writes the rows of every window of soundscapes, for a `wanted` without rows of its own.

    Parameters
    ----------
    path
        The file; it appears whole.
    wanted
        Form and columns.
    species
        Codes of the decisions' columns.
    """
    with streaming_table(path) as append:

        def add(decisions: Mapping[str, Decisions]) -> None:
            windows = {name: len(one.target) for name, one in decisions.items()}
            rows = rows_of_files(wanted.form, windows, wanted.codes)
            probability = np.concatenate([one.probability for one in decisions.values()])
            target = np.concatenate([one.target for one in decisions.values()])
            starts = dict(zip(windows, np.cumsum([0, *windows.values()]).tolist(), strict=False))
            place = rows["file_id"].map(starts).to_numpy(int) + _window_of(rows)
            append(_answer(_Placed(rows, place, probability, target, species), wanted))

        yield add


def write_wanted_rows(path: Path, wanted: Wanted, decided: DecidedSoundscapes) -> int:
    """Write the rows that a table of the host asks for; return how many have no prediction.

    Parameters
    ----------
    path
        The file; it appears whole.
    wanted
        Rows and columns.
    decided
        The decisions about all soundscapes.
    """
    rows, species, num_absent = wanted.rows, decided.post.species.tolist(), 0
    assert rows is not None
    with streaming_table(path) as append:
        for start in range(0, len(rows), ROWS_AT_A_TIME):
            block = rows.iloc[start : start + ROWS_AT_A_TIME].reset_index(drop=True)
            place = np.full(len(block), -1)
            probability = np.zeros((len(block) + 1, len(species)))
            target = np.zeros((len(block) + 1, len(species)), dtype=bool)
            window = _window_of(block)
            of_file = block.groupby("file_id", sort=False).indices
            for chunk in decided.read([name for name in of_file if name in decided.windows]):
                for name, one in chunk.items():
                    chosen = of_file[name]
                    chosen = chosen[(window[chosen] >= 0) & (window[chosen] < len(one.target))]
                    probability[chosen] = one.probability[window[chosen]]
                    target[chosen] = one.target[window[chosen]]
                    place[chosen] = chosen
            append(_answer(_Placed(block, place, probability, target, species), wanted))
            num_absent += int((place < 0).sum())
    return num_absent


def _window_of(rows: pd.DataFrame) -> np.ndarray:
    """Return the window that ends where each row says, (row,); -1 where none does."""
    window, rest = np.divmod(rows["end_time"].to_numpy(float).clip(0, _LATEST_SECONDS), WINDOW_SECONDS)
    return np.where(rest == 0, window, 0).astype(int) - 1


def _answer(placed: _Placed, wanted: Wanted) -> pd.DataFrame:
    """Return `row_id` and answers of placed rows."""
    answers = FORMS[wanted.form].answers(placed, wanted.codes)
    return pd.concat([placed.rows[["row_id"]], answers], axis=1)


def ledger_of(submission: Path) -> Path:
    """Return the table of what became of each file, beside a submission."""
    return submission.with_name(f"{submission.stem}_ledger.csv")
