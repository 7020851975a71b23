"""Read the tables of Raven, Audacity, BirdNET, Kaleidoscope, Perch hoplite and the competitions.

The columns say which tool wrote a table, not its name. Numbers may have decimal commas, paths may be
those of Windows.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from core.config import require
from core.data.annotations.events import (
    COMPLETE,
    NEGATIVE,
    POSITIVE,
    AnnotationOptions,
    Annotations,
    make_events,
)
from core.data.tables import FIRST_LINE, line_of, read_table
from core.wording import counted

TABLE_SUFFIXES = (".txt", ".tsv", ".csv", ".parquet")
HOPLITE_SECONDS = 5.0  # of a window of Perch
WIDE_COLUMNS = ("file_id", "begin_time", "end_time", "site", "start_time")  # then a column a species
_ROW_SECONDS = 5.0  # of a row of 2021, which states its end
_RAVEN_LABELS = ("species", "label", "annotation", "species code", "common name", "scientific name", "tags")
_RAVEN_OWN = {"selection", "view", "channel", "begin file", "end file", "begin path", "score", "confidence"}
_KINDS = {
    **dict.fromkeys(("positive", "1", "1.0", "true", ""), POSITIVE),
    **dict.fromkeys(("negative", "0", "0.0", "false"), NEGATIVE),
}
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_ENDING = re.compile(
    r"(\.Table\.\d+|\.BirdNET|\.results|\.selections?(\.table)?|\.labels)*\.(txt|tsv|csv|parquet)$",
    re.IGNORECASE,
)


def read_annotations(files: Iterable[Path | str], options: AnnotationOptions) -> Annotations:
    """Return the events of annotation files, each in its own format, or of every table in a folder.

    Their codes are still unknown, see `match_names`.

    Raises
    ------
    ValueError
        If a file is missing, in no known format, or has a cell that is no number.
    """
    pieces, notes = [make_events({"line": []})], []
    for path in [table for file in files for table in _tables_of(Path(file))]:
        events, remarks = _read_file(path, options)
        pieces.append(events.assign(source=str(path)))
        notes += [f"{path}: {remark}" for remark in remarks]
    found = Annotations(pd.concat(pieces[1:] or pieces, ignore_index=True), tuple(notes))
    impossible = (found.events["end"] < found.events["begin"]) | (found.events["begin"] < 0)
    found = found.without(impossible.to_numpy(), "end before begin, or begin before 0")
    unsure = found.events["confidence"] < options.min_confidence
    return found.without(unsure.to_numpy(), f"confidence below {options.min_confidence:g}")


def name_of_table(path: Path) -> str:
    """Return the soundscape that a table's own name names: `site A/x` of `site A/x.selections.txt`."""
    return path.with_name(_ENDING.sub("", path.name) or path.name).as_posix()


def _tables_of(path: Path) -> list[Path]:
    """Return a file, or the tables within a folder, sorted, without hidden ones."""
    if not path.is_dir():
        return [path]
    inside = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in TABLE_SUFFIXES]
    found = [file for file in inside if file.is_file() and not file.name.startswith(".")]
    require(len(found) > 0, f"annotations={path}: no table ({', '.join(TABLE_SUFFIXES)}) in this folder")
    return found


def _read_file(path: Path, options: AnnotationOptions) -> tuple[pd.DataFrame, list[str]]:
    """Return the events of one file, and what was noticed, a sentence each."""
    notes: list[str] = []
    if _is_audacity(path):
        events = _read_audacity(path)
    else:
        cells = read_table("annotations", path)
        if path.suffix == ".parquet":
            cells = cells.map(lambda cell: "" if pd.isna(cell) else str(cell))
        names = {column.strip().lower() for column in cells}
        reader = next((read for needed, read in _READERS.values() if needed <= names), None)
        if reader is None:
            known = "; ".join(
                f"{tool}: {', '.join(sorted(needed))}" for tool, (needed, _) in _READERS.items()
            )
            message = f"{path}: columns {', '.join(cells)} are of no known format ({known})"
            raise ValueError(message)
        if reader is not _read_wide:  # codes may differ in the size of their letters alone
            cells = cells.rename(columns=lambda column: column.strip().lower().rstrip("*"))
            cells = cells.loc[:, ~cells.columns.duplicated()]
        events = reader(_Table(path, cells, options.label_column, notes))
    if options.complete:
        named = list(events["soundscape"].unique()) or [name_of_table(path)]
        whole = make_events({"soundscape": named, "end": np.inf, "kind": COMPLETE})
        events = pd.concat([events, whole], ignore_index=True) if len(events) else whole
    return events, notes


@dataclass(frozen=True)
class _Table:
    """A table of text, its columns in small letters, and what is noticed in it."""

    path: Path
    cells: pd.DataFrame
    label_column: str | None
    notes: list[str]

    def texts(self, *columns: str) -> pd.Series:
        """Return the first of these columns that is there; "" where none is."""
        blank = pd.Series("", index=self.cells.index)
        return next((self.cells[column].str.strip() for column in columns if column in self.cells), blank)

    def converted(self, column: str, convert: Callable[[str], float | str]) -> pd.Series:
        """Return a column as something else; a cell that cannot be raises `ValueError` with its line."""
        texts, values = self.texts(column), {}
        for row, text in texts.drop_duplicates().items():
            try:
                values[text] = convert(text)
            except (KeyError, ValueError) as error:
                message = f"{line_of(self.path, row)}: {column} is {text!r}, which is no {error}"
                raise ValueError(message) from error
        return texts.map(values)

    def numbers(self, column: str, blank: float | None = None) -> pd.Series:
        """Return a column as numbers; an empty cell is `blank`, or refused."""
        return self.converted(
            column, lambda text: blank if blank is not None and not text else _number(text)
        ).astype(float)

    def labels(self, *usual: str) -> pd.Series:
        """Return the labels: the column asked for, else the first usual one, else the only free one."""
        free = [name for name in self.cells if name not in _RAVEN_OWN and not name.endswith(")")]
        found = [name for name in usual if name in self.cells] or (free if len(free) == 1 else [])
        if self.label_column is not None:
            found = [name for name in [self.label_column.strip().lower()] if name in self.cells]
        columns = ", ".join(self.cells)
        require(len(found) > 0, f"{self.path}: which column is the label? --label_column=NAME, of {columns}")
        return self.texts(found[0])

    def joined_names(self, scientific: str, common: str) -> pd.Series:
        """Return "scientific_common" as BirdNET joins names, or the only one."""
        first, second = self.texts(scientific), self.texts(common)
        return (first + "_" + second).where(first.ne("") & second.ne(""), first + second)

    def once(self, what: str, columns: Iterable[str] | None = None) -> "_Table":
        """Return the table with rows that are equal in these columns once, and note how many were not."""
        doubled = self.cells.duplicated([name for name in columns or self.cells if name in self.cells])
        if doubled.any():
            self.notes.append(f"{counted(doubled.sum(), 'rows')} counted once: {what}")
        return replace(self, cells=self.cells[~doubled])

    def events(self, soundscape: pd.Series, begin: pd.Series, end: pd.Series, **more: object) -> pd.DataFrame:
        """Return an event a row; where no file is named, the table's own name names it."""
        names = soundscape.str.replace("\\", "/").str.replace(r"/(\.?/)+", "/", regex=True)
        names = names.str.removeprefix("./").mask(names.eq(""), name_of_table(self.path))
        own = {"soundscape": names, "begin": begin, "end": end, "line": self.cells.index + FIRST_LINE}
        return make_events({**own, **more})


def _number(text: str) -> float:
    """Return a number with a decimal point or comma."""
    if not _NUMBER.fullmatch(text):
        raise ValueError("number")
    return float(text.replace(",", "."))


def _kind(text: str) -> str:
    """Return what a cell says of a window and a species."""
    if text.lower() not in _KINDS:
        raise ValueError("positive or negative, 1 or 0")
    return _KINDS[text.lower()]


def _clock(text: str) -> float:
    """Return seconds of `HH:MM:SS`."""
    words = text.split(":")
    if not 2 <= len(words) <= 3:
        raise ValueError("time such as 00:00:05")
    return sum(_number(word) * 60**place for place, word in enumerate(reversed(words)))


def _is_audacity(path: Path) -> bool:
    """Return whether a file is a label track of Audacity: it has no header, and may be empty."""
    if path.suffix.lower() not in {".txt", ".tsv"} or not path.is_file():
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        first = next((line for line in lines if line.strip()), "0\t0").split("\t")
    return len(first) > 1 and _NUMBER.fullmatch(first[0].strip()) is not None


def _read_audacity(path: Path) -> pd.DataFrame:
    r"""Return labels; the frequencies of one stand in the line after it, which begins with `\`."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        message = f"{path}: not UTF-8 ({error}); save it as UTF-8"
        raise ValueError(message) from error
    rows: list[dict[str, object]] = []
    for line, text in enumerate(lines, start=1):
        first, *others = [word.strip() for word in text.split("\t")]
        try:
            if first == "\\":
                low, high = (_number(word) for word in others)
                if min(low, high) >= 0:  # -1 where no frequency was chosen
                    rows[-1] |= {"low_hz": low, "high_hz": high}
            elif first or others:
                label, confidence = [*others, "", ""][1:3]  # the latter of BirdNET
                row = {"begin": _number(first), "end": _number(others[0]), "label": label, "line": line}
                rows.append(row | {"confidence": _number(confidence) if confidence else np.nan})
        except (IndexError, ValueError) as error:
            message = f"{path}, line {line}: {text.strip()!r}; expected begin, end, label between tabs"
            raise ValueError(message) from error
    columns = pd.DataFrame(rows, columns=None if rows else ["line"]).to_dict("series")
    return make_events({**columns, "soundscape": name_of_table(path)})


def _read_raven(table: _Table) -> pd.DataFrame:
    """Return selections, each once however many views show it."""
    if "view" in table.cells:
        waveform = ~table.cells["view"].str.startswith("Spectrogram")
        cells = table.cells.copy()
        band = [column for column in cells if column.endswith("freq (hz)")]
        cells.loc[waveform, band] = ""  # the whole of it says nothing
        shown = replace(table, cells=cells.loc[waveform.sort_values(kind="stable").index])
        same = ("selection", "begin time (s)", "end time (s)", "begin file", "begin path")
        table = shown.once("a selection stands once a view", same)
        table = replace(table, cells=table.cells.sort_index())
    begin, end = table.numbers("begin time (s)"), table.numbers("end time (s)")
    soundscape = table.texts("begin path", "begin file")
    if "file offset (s)" in table.cells:
        offset = table.numbers("file offset (s)")
        begin, end = offset, end.where(offset == begin, offset + (end - begin))
    elif len(soundscape.unique()) > 1:
        message = (
            f"{table.path}: several files, and Begin Time (s) counts from the first of the list: save the "
            "table with the column File Offset (s)"
        )
        raise ValueError(message)
    low, high = (table.numbers(f"{edge} freq (hz)", np.nan) for edge in ("low", "high"))
    confidence = table.numbers("confidence" if "confidence" in table.cells else "score", np.nan)
    label = table.labels(*_RAVEN_LABELS)
    return table.events(soundscape, begin, end, label=label, confidence=confidence, low_hz=low, high_hz=high)


def _read_birdnet(table: _Table) -> pd.DataFrame:
    """Return the detections of a table of results."""
    label, confidence = (
        table.joined_names("scientific name", "common name"),
        table.numbers("confidence", np.nan),
    )
    begin, end = table.numbers("start (s)"), table.numbers("end (s)")
    return table.events(table.texts("file"), begin, end, label=label, confidence=confidence)


def _read_kaleidoscope(table: _Table) -> pd.DataFrame:
    """Return the rows that somebody named, or BirdNET did in this format."""
    if "scientific_name" in table.cells and table.label_column is None:
        label = table.joined_names("scientific_name", "common_name")
    else:
        label = table.labels("manual id")
    if label.eq("").any():
        table.notes.append(f"{counted(label.eq('').sum(), 'rows')} left out: without a name")
        table = replace(table, cells=table.cells[label.ne("")])
    names = table.texts("indir") + "/" + table.texts("folder") + "/" + table.texts("in file")
    begin, confidence = table.numbers("offset"), table.numbers("confidence", np.nan)
    end = begin + table.numbers("duration")
    return table.events(names, begin, end, label=label[label.ne("")], confidence=confidence)


def _read_hoplite(table: _Table) -> pd.DataFrame:
    """Return the windows of Perch that hold a species, or are known not to."""
    table = table.once("they stand twice")
    kind, begin = table.converted("label_type", _kind), table.numbers("window_offset_s")
    names = table.texts("filename")
    return table.events(names, begin, begin + HOPLITE_SECONDS, label=table.texts("label"), kind=kind)


def _read_2021(table: _Table) -> pd.DataFrame:
    """Return rows of 5 s, in files that are called `<audio_id>_<site>_<date>`."""
    table = table.once("they stand twice")
    names, end = table.texts("audio_id") + "_" + table.texts("site") + "_*", table.numbers("seconds")
    return _listened(table.events(names, end - _ROW_SECONDS, end, label=table.texts("birds").str.split()))


def _read_2026(table: _Table) -> pd.DataFrame:
    """Return rows with a time of the clock and labels between semicolons."""
    table = table.once("they stand twice")
    begin, end = (table.converted(column, _clock).astype(float) for column in ("start", "end"))
    label = table.texts("primary_label").str.split(";")
    return _listened(table.events(table.texts("filename"), begin, end, label=label))


def _listened(rows: pd.DataFrame) -> pd.DataFrame:
    """Return an event for each label of a row, and one for each row that says that these are all."""
    heard = rows.explode("label", ignore_index=True)
    heard = heard.assign(label=heard["label"].fillna("").str.strip())
    return pd.concat([rows.assign(label="", kind=COMPLETE), heard[heard["label"].ne("")]], ignore_index=True)


def _read_wide(table: _Table) -> pd.DataFrame:
    """Return the known cells of a table of windows by species."""
    keys = [column for column in WIDE_COLUMNS if column in table.cells]
    cells = table.cells.rename_axis(index="row").reset_index()
    cells = cells.melt(["row", *keys], var_name="label", value_name="its cell").set_index("row")
    table = replace(table, cells=cells[cells["its cell"].str.strip().ne("")])
    begin, end = table.numbers("begin_time"), table.numbers("end_time")
    kind, label = table.converted("its cell", _kind), table.texts("label")
    return table.events(table.texts("file_id"), begin, end, label=label, kind=kind)


_READERS: dict[str, tuple[set[str], Callable[[_Table], pd.DataFrame]]] = {
    "Raven": ({"begin time (s)", "end time (s)"}, _read_raven),
    "BirdNET": ({"start (s)", "end (s)"}, _read_birdnet),
    "Kaleidoscope": ({"in file", "offset", "duration"}, _read_kaleidoscope),
    "Perch hoplite": ({"filename", "window_offset_s", "label"}, _read_hoplite),
    "BirdCLEF 2021": ({"site", "audio_id", "seconds", "birds"}, _read_2021),
    "BirdCLEF 2026": ({"filename", "start", "end", "primary_label"}, _read_2026),
    "windows by species": ({"file_id", "begin_time", "end_time"}, _read_wide),
}
"""Tool -> the columns that its tables are recognised by, and the reader."""
