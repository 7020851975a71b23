"""The windows of a species: file, site, day and score, one column of a table that may be long."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from analysis.soundscapes import ORIGIN, ROW, predictions_of_windows
from analysis.survey.config import VisitOptions
from core.config import require
from core.data.annotations.events import NEGATIVE, POSITIVE, AnnotationOptions
from core.data.annotations.places import EDGE_SECONDS
from core.data.annotations.readers import read_annotations
from core.data.audio import AUDIO_SUFFIXES
from core.data.soundscapes import WINDOW_SECONDS
from core.data.tables import numbers, read_table
from core.scoring.predictions import Predictions
from core.wording import counted

TEXTS = (ROW[0], *ORIGIN)
NO_VISIT = -1
_HOUR = 3600


@dataclass(frozen=True)
class ScoredWindows:
    """Windows of soundscapes in the order of their table, with the score of one species.

    Attributes
    ----------
    species
        Its code.
    score
        (window,) probability.
    begin
        (window,) float, seconds from the start of the soundscape.
    file, site, start
        (window,) int positions in `names`.
    names
        "file_id", "site", "start_time" -> the distinct texts.
    """

    species: str
    score: np.ndarray
    begin: np.ndarray
    file: np.ndarray
    site: np.ndarray
    start: np.ndarray
    names: dict[str, np.ndarray]

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.score)

    @property
    def sites(self) -> np.ndarray:
        """(site,) names; "" is that of windows whose site nobody told."""
        return self.names["site"]

    def visits(self, options: VisitOptions) -> tuple[np.ndarray, np.ndarray]:
        """Return the visit of each window, (window,) int, and the first day of each visit, (visit,).

        A window whose date nobody told has `NO_VISIT`. A day is that of the clock in `start_time`; a
        soundscape goes on into the next one.
        """
        starts = pd.Series(self.names["start_time"]).str.slice(0, 19)
        is_date = starts.str.len().eq(10).to_numpy()
        moments = pd.to_datetime(starts, errors="coerce", format="ISO8601").to_numpy("datetime64[s]")
        shift = np.where(is_date, 0, round(options.day_starts * _HOUR)).astype("timedelta64[s]")
        day = ((moments - shift)[self.start] + self.begin.astype("timedelta64[s]")).astype("datetime64[D]")
        known = ~np.isnat(day)
        if not known.any():
            return np.full(len(day), NO_VISIT), np.zeros(0, dtype="datetime64[D]")
        first = day[known].min()
        visit = np.where(known, (day - first).astype(int) // options.visit_days, NO_VISIT)
        number = int(visit.max()) + 1
        return visit, first + options.visit_days * np.arange(number)

    def find(self, wanted: pd.DataFrame) -> np.ndarray:
        """Return the rows of windows by their `file_id` and `begin`, (wanted,) int; -1: none."""
        code_of = {name: code for code, name in enumerate(self.names["file_id"])}
        codes = wanted["file_id"].map(code_of).fillna(-1).astype(int)
        near = np.flatnonzero(np.isin(self.file, codes))
        places = zip(self.file[near].tolist(), self.begin[near].round().tolist(), strict=True)
        row_of = dict(zip(places, near.tolist(), strict=True))
        keys = zip(codes.tolist(), wanted["begin"].round().tolist(), strict=True)
        return np.array([row_of.get(key, -1) for key in keys], dtype=int)

    def verdicts(self, tables: Sequence[str]) -> pd.DataFrame:
        """Return what was answered about whole windows and this species; see `read_verdicts`."""
        found = read_verdicts(tables, self.names["file_id"])
        return found[found["species"].eq(self.species)]


def read_scores(file: str | Path, species: str) -> ScoredWindows:
    """Return the windows of one species; of a .parquet no other column of scores is read.

    Raises
    ------
    ValueError
        If the table cannot be read, lacks the species, or holds no window or one without a probability.
    """
    path = Path(file)
    read = _read_parquet if path.suffix == ".parquet" else _read_text
    end, score, texts = read(path, species)
    require(len(score) > 0, f"{path}: no row")
    wrong = ~((score >= 0) & (score <= 1))
    require(not wrong.any(), f"{path}: column {species}, row {wrong.argmax()}: no probability from 0 to 1")
    codes = {name: code for name, (code, _) in texts.items()}
    names = {name: text for name, (_, text) in texts.items()}
    return ScoredWindows(
        species, score, end - WINDOW_SECONDS, codes["file_id"], codes["site"], codes["start_time"], names
    )


_Columns = tuple[np.ndarray, np.ndarray, dict[str, tuple[np.ndarray, np.ndarray]]]


def _require_columns(path: Path, found: Sequence[str], species: str) -> None:
    """Raise `ValueError` unless a table has windows and the species."""
    lacking = [name for name in ROW if name not in found]
    message = f"{path}: no column {', '.join(lacking)}; name what core.inference --probabilities wrote"
    require(not lacking, message)
    codes = [name for name in found if name not in ROW + ORIGIN]
    message = f"species={species}: {path} has no such column; it has {', '.join(codes[:20])}"
    require(species in codes, message)


def _read_parquet(path: Path, species: str) -> _Columns:
    """Return end, score, and codes and names of the texts; the texts stay codes all the way."""
    require(path.is_file(), f"predictions={path}: no such file")
    try:
        found = parquet.read_schema(path).names
        _require_columns(path, found, species)
        texts = [name for name in TEXTS if name in found]
        table = parquet.read_table(path, columns=[*texts, ROW[1], species], read_dictionary=texts)
    except (pa.ArrowException, OSError) as error:
        message = f"{path}: not readable as parquet: {error}"
        raise ValueError(message) from error
    end, score = (table[name].to_numpy() for name in (ROW[1], species))
    table = table.select(texts).unify_dictionaries()
    coded = {name: _absent(len(score)) for name in TEXTS}
    for name in texts:
        column: Any = table[name].combine_chunks()
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        words = [*map(str, column.dictionary.to_pylist()), *([""] if column.null_count else [])]
        indices = column.indices.fill_null(len(words) - 1)
        coded[name] = (indices.to_numpy(zero_copy_only=False), np.array(words, dtype=object))
    return end.astype(np.float32), score, coded


def _read_text(path: Path, species: str) -> _Columns:
    """Return the same of a .csv, which is read whole."""
    table = read_table("predictions", path)
    _require_columns(path, list(table.columns), species)
    coded = {
        name: pd.factorize(table[name].to_numpy(object)) if name in table else _absent(len(table))
        for name in TEXTS
    }
    end, score = (numbers(table, name, path).to_numpy() for name in (ROW[1], species))
    return end.astype(np.float32), score, coded


def _absent(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes and names of a column that is not there."""
    return np.zeros(number, dtype=np.int32), np.array([""], dtype=object)


def read_predictions_at(file: str | Path, rows: np.ndarray) -> Predictions:
    """Return every species' probabilities in some windows, in this order; other row groups are not read.

    Parameters
    ----------
    file
        The table of `read_scores`.
    rows
        (wanted,) positions.
    """
    path = Path(file)
    order = np.unique(rows)
    if path.suffix != ".parquet":
        table = read_table("predictions", path).iloc[order]
    else:
        with parquet.ParquetFile(path) as opened:
            sizes = [opened.metadata.row_group(i).num_rows for i in range(opened.num_row_groups)]
            ends = np.cumsum(sizes)
            group = np.searchsorted(ends, order, side="right")
            pieces = [
                opened.read_row_group(one).take(order[group == one] - (ends[one] - sizes[one]))
                for one in np.unique(group)
            ]
        table = pa.concat_tables(pieces).to_pandas()
    table = table.reset_index(drop=True)
    return predictions_of_windows(table, path).rows(np.searchsorted(order, rows))


def read_verdicts(tables: Sequence[str], files: np.ndarray) -> pd.DataFrame:
    """Return what was answered about whole windows: `file_id`, `begin`, `species`, `positive`, once each.

    Parameters
    ----------
    tables
        Verdicts of a page, or other annotations; those of less or more than a window are passed over.
    files
        (file,) the soundscapes that are known.

    Raises
    ------
    ValueError
        If a table cannot be read, or holds nothing about these soundscapes.
    """
    events = read_annotations(tables, AnnotationOptions()).events
    events = events[events["kind"].isin([POSITIVE, NEGATIVE])]
    known = set(files.tolist())
    name_of = {name: _file_of(name, known) for name in events["soundscape"].unique()}
    begin = (events["begin"] / WINDOW_SECONDS).round() * WINDOW_SECONDS
    is_window = (events["begin"] - begin).abs().le(EDGE_SECONDS) & (
        events["end"] - begin - WINDOW_SECONDS
    ).abs().le(EDGE_SECONDS)
    found = pd.DataFrame(
        {
            "file_id": events["soundscape"].map(name_of), "begin": begin, "species": events["label"],
            "positive": events["kind"].eq(POSITIVE),
        }
    )  # fmt: skip
    here = found["file_id"].notna()
    named = next(iter(events["soundscape"]), "nothing")
    message = (
        f"{', '.join(tables)}: no verdict about these soundscapes; it names {named}, they are as {files[0]}"
    )
    require(bool(here.any()), message)
    found = found[here & is_window].drop_duplicates()
    twice = found.duplicated(["file_id", "begin", "species"], keep=False)
    if twice.any():
        print(f"{counted(twice.sum() // 2, 'verdicts')} passed over: others contradict")
    return found[~twice].reset_index(drop=True)


def _file_of(name: str, known: set[str]) -> str | None:
    """Return the soundscape that a verdict names, with its suffix or without; None: none of these."""
    stem = name.rsplit(".", 1)[0] if name.lower().endswith(AUDIO_SUFFIXES) else name
    return next((one for one in (name, stem) if one in known), None)
