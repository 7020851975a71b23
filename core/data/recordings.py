"""The recordings of one folder: from a competition's table, a lab's own, or folders named by species."""

import ast
import os
import re
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from core.config import require
from core.config_data import ColumnConfig
from core.data.audio import AUDIO_SUFFIXES
from core.data.layouts import AUDIO_FOLDERS, METADATA, NO_SPECIES, find_first
from core.data.tables import line_of, read_table
from core.data.taxonomy import Taxonomy

UNKNOWN_AUTHOR = "unknown"
_REQUIRED = ("primary_label", "filename")
_OPTIONAL = ("secondary_labels", "rating", "author", "scientific_name", "common_name")
_NAMES = {"scientific": "scientific_name", "common": "common_name", "group": "class_name"}
_SHOWN = 5
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][\w -]*(\.[\w-]+)?", re.ASCII)
_PLAIN_LABELS = re.compile(r"\[('[\w -]*'(, '[\w -]*')*)?\]", re.ASCII)
_LONGEST_NAME = 255  # bytes that file systems take


@dataclass(frozen=True)
class Metadata:
    """What a folder says of its recordings.

    Attributes
    ----------
    table
        One row a recording: `recording`, `path`, `species`, `secondary` (codes as written), `rating` (0 where
        it has none), `author`, and the other columns of the folder's table.
    names
        Of the species, where the table has them.
    notes
        What was met on the way, a sentence each.
    """

    table: pd.DataFrame
    names: Taxonomy
    notes: tuple[str, ...] = ()


def read_metadata(root: Path, columns: ColumnConfig | None = None) -> Metadata:
    """Return the recordings of one folder.

    Parameters
    ----------
    root
        The folder.
    columns
        Names in a lab's own table; None: those of the competitions.

    Raises
    ------
    ValueError
        If no recordings are found, or a row cannot be read or leaves the folder.
    """
    columns = columns or ColumnConfig()
    tables = [root / name for name in METADATA if (root / name).is_file()]
    if columns.table is not None:
        tables = [root / columns.table]
    if not tables:
        return _read_folders(root)
    found = _read_table(root, tables[0], columns)
    unread = tuple(f"{other.name} is not read: {tables[0].name} is" for other in tables[1:])
    return Metadata(found.table, found.names, found.notes + unread)


def _read_table(root: Path, file: Path, columns: ColumnConfig) -> Metadata:
    """Return what a table of recordings says."""
    table = _with_usual_names(file, read_table("", file), columns)
    for column in _REQUIRED:
        blank = table.index[table[column].str.strip() == ""]
        require(
            not len(blank),
            f"{line_of(file, next(iter(blank), 0))}: column {getattr(columns, column)} is blank; fill it in, "
            "or remove the row",
        )
    rows = list(zip(table.index, table["primary_label"], table["filename"], strict=True))
    names = [_relative_name(line_of(file, row), species, name) for row, species, name in rows]
    texts = table["secondary_labels"] if "secondary_labels" in table else pd.Series("", index=table.index)
    rating, notes = _ratings(file, table)
    table = table.assign(
        recording=names,
        path=_paths(root, file, names, table["filename"]),
        species=table["primary_label"],
        secondary=[_labels(line_of(file, row), text) for row, text in texts.items()],
        rating=rating,
        author=table["author"].replace("", UNKNOWN_AUTHOR) if "author" in table else UNKNOWN_AUTHOR,
    )
    twice = table["path"].duplicated()
    first = table["species"].groupby(table["path"].astype(str)).transform("first")
    for row in table.index[table["species"] != first][:1]:
        message = (
            f"{line_of(file, row)}: {table['filename'][row]!r} is of {table['species'][row]!r}, but of "
            f"{first[row]!r} above; keep one row, and name the other species in {columns.secondary_labels}"
        )
        raise ValueError(message)
    if twice.any():
        where = line_of(file, table.index[twice][0])
        notes += (f"{where}: rows that repeat a recording are counted once: {twice.sum()}",)
    return Metadata(table[~twice].reset_index(drop=True), _names_in(table), notes)


def _with_usual_names(file: Path, table: pd.DataFrame, columns: ColumnConfig) -> pd.DataFrame:
    """Return the table with the competitions' names of columns; refuse one that lacks what is needed."""
    found = ", ".join(table.columns)
    missing = [getattr(columns, name) for name in _REQUIRED if getattr(columns, name) not in table]
    require(
        not missing,
        f"{file}: no column {', '.join(missing)}; found {found}. Name the columns of a table of your own: "
        "--data.columns.primary_label=COLUMN",
    )
    for name in _OPTIONAL:
        column = getattr(columns, name)
        known = column == name or column in table
        require(known, f"data.columns.{name}={column}: {file} has no such column; found {found}")
    require(not table.empty, f"{file}: no rows; found columns {found}")
    given = {getattr(columns, name): name for name in (*_REQUIRED, *_OPTIONAL)}
    renamed = {column: name for column, name in given.items() if column in table and column != name}
    kept = table.drop(columns=[name for name in renamed.values() if name in table and name not in renamed])
    return kept.rename(columns=renamed)


def _relative_name(where: str, species: str, name: str) -> str:
    """Return `<species>/<file>`; refuse a path that would leave the folder of audio."""
    folder, _, file = name.rpartition("/")
    folder = folder or species
    if len(name) + len(species) < _LONGEST_NAME and all(map(_PLAIN_NAME.fullmatch, (folder, file, species))):
        return f"{folder}/{file}"  # as nearly all are: tables of half a million rows open in seconds
    path = PurePosixPath(name.replace("\\", "/"))
    longest = max(len(os.fsencode(part)) for part in (*path.parts, species))
    require(longest <= _LONGEST_NAME, f"{where}: filename {reprlib.repr(name)} has a part of {longest} bytes")
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        message = f"{where}: filename {name!r} leaves the data folder; refused"
        raise ValueError(message)
    if len(path.parts) == 1:
        code = PurePosixPath(species)
        if len(code.parts) != 1 or ".." in code.parts or code.is_absolute():
            message = f"{where}: primary_label {species!r} is no folder name; refused"
            raise ValueError(message)
        path = code / path
    return str(path)


def _paths(root: Path, file: Path, names: Sequence[str], written: Sequence[str]) -> list[Path]:
    """Return the audio files: of a lab's table, where they are; else in the folder of audio."""
    audio = find_first(root, AUDIO_FOLDERS)
    if audio is not None and file.name in METADATA:
        return [audio / name for name in names]
    audio = audio or root / AUDIO_FOLDERS[0]
    found = []
    for name, text in zip(names, written, strict=True):
        places = (audio / name, root / name, root / text.replace("\\", "/"))
        found.append(next((place for place in places if place.is_file()), places[0]))
    return found


def _labels(where: str, text: str) -> tuple[str, ...]:
    """Return the codes in a cell such as `['houfin', 'skylar']` or `houfin;skylar`."""
    text = text.strip()
    labels: object = [label.strip() for label in text.split(";")]
    if _PLAIN_LABELS.fullmatch(text):
        labels = text[2:-2].split("', '")
    elif text.startswith("["):
        try:
            labels = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            labels = None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        message = f"{where}: secondary_labels {text!r} is no list such as ['houfin']"
        raise ValueError(message)
    return tuple(dict.fromkeys(label for label in labels if label))


def _ratings(file: Path, table: pd.DataFrame) -> tuple[pd.Series, tuple[str, ...]]:
    """Return the ratings, 0 where there is none, and a note about cells that are no numbers."""
    if "rating" not in table:
        return pd.Series(0.0, index=table.index), ()
    rating = pd.to_numeric(table["rating"], errors="coerce").astype(float)
    wrong = table.index[rating.isna() & (table["rating"].str.strip() != "")]
    note = f"{line_of(file, wrong[0])}: rating {table['rating'][wrong[0]]!r}" if len(wrong) else ""
    notes = (f"{note} is no number; such recordings count as unrated: {len(wrong)}",) if note else ()
    return rating.fillna(0.0), notes


def _names_in(table: pd.DataFrame) -> Taxonomy:
    """Return the names of species in a table of recordings: the first that is given for each."""
    columns = {field: name for field, name in _NAMES.items() if name in table}
    texts = table[["species", *columns.values()]]
    first = texts.where(texts != "").groupby("species", sort=True).first().fillna("")
    return Taxonomy.of(
        first.index.tolist(), **{field: first[name].tolist() for field, name in columns.items()}
    )


def _read_folders(root: Path) -> Metadata:
    """Return the audio in folders that are named by species, of a folder without a table."""
    audio = find_first(root, AUDIO_FOLDERS) or root
    folders = sorted(f for f in audio.iterdir() if f.is_dir() and f.name not in NO_SPECIES)
    files = [file for folder in folders for file in sorted(folder.rglob("*")) if not file.is_dir()]
    hidden = [f for f in files if any(part.startswith(".") for part in f.relative_to(audio).parts)]
    seen = set(hidden)
    heard = [file for file in files if file.suffix.lower() in AUDIO_SUFFIXES and file not in seen]
    if not heard:
        tables = ", ".join(sorted(file.name for file in root.glob("*.csv")))
        message = (
            f"{root / METADATA[0]}: missing, and so are {METADATA[1]} and folders of audio named by species; "
            f"name a table of your own with --data.columns.table=FILE (found: {tables or 'no .csv'})"
        )
        raise ValueError(message)
    other = [file for file in files if file.suffix.lower() not in AUDIO_SUFFIXES and file not in seen]
    loose = [f for f in sorted(audio.iterdir()) if f.is_file() and f.suffix.lower() in AUDIO_SUFFIXES]
    kinds = {
        "hidden": hidden,
        "no audio by their names": other,
        "audio outside the folders of species": loose,
    }
    notes = [f"no table of recordings: species are the folders of {audio}"]
    notes += [
        f"files left out, {kind}: {len(left)}, such as {left[0].relative_to(root)}"
        for kind, left in kinds.items()
        if left
    ]
    names = [file.relative_to(audio).as_posix() for file in heard]
    table = pd.DataFrame({"recording": names, "path": heard, "species": [n.split("/")[0] for n in names]})
    table = table.assign(secondary=[()] * len(table), rating=0.0, author=UNKNOWN_AUTHOR)
    return Metadata(table, Taxonomy.of(sorted(set(table["species"]))), tuple(notes))
