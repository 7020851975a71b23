"""Recordings with and without birds -> a table with one species, "bird".

Read are, in this order: `binary.csv` in the layout of the second place's binary_ext1.csv (columns
primary_label "bird" or "nocall", filename, optionally rating and source) with the audio in
`<primary_label>/<filename>`; else the folders `bird/` and `nocall/`; else a BirdCLEF folder, whose
`train_audio/` holds birds and whose `background/` holds none.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from core.config import DataConfig
from core.data.audio_files import search_audio
from core.data.competition import Competition
from core.data.loaders import read_recordings
from core.data.recordings import UNKNOWN_AUTHOR
from core.data.tables import line_of, numbers, read_table

BIRD, NOCALL = "bird", "nocall"
TABLE = "binary.csv"
RATING = 5.0  # where none is given


def read_binary(data: DataConfig) -> Competition:
    """Return the recordings of `data.root`, and of `data.extra_roots`, which only train.

    Raises
    ------
    ValueError
        If a folder is in none of the layouts, or holds only one of the two kinds.
    """
    assert data.root is not None, "core.command_line settles data.root"
    table = pd.concat(
        [
            _read_folder(Path(root), data).assign(is_extra=position > 0)
            for position, root in enumerate((data.root, *data.extra_roots))
        ],
        ignore_index=True,
    )
    table = table.drop_duplicates("recording", ignore_index=True)
    missing = {BIRD, NOCALL} - set(table["species"])
    if missing:
        message = f"{data.root}: no recording of {', '.join(sorted(missing))}; needed are some of both"
        raise ValueError(message)
    return Competition(Path(data.root), (BIRD,), (BIRD,), table)


def _read_folder(root: Path, data: DataConfig) -> pd.DataFrame:
    """Return the table of one folder, with the columns of `Competition.recordings`."""
    if (root / TABLE).is_file():
        return _table_of(read_csv(root / TABLE))
    if (root / BIRD).is_dir() and (root / NOCALL).is_dir():
        folders = [(label, search_audio(root / label)) for label in (BIRD, NOCALL)]
        return _table_of([(label, file, RATING, "") for label, found in folders for file in found.files])
    if (root / "background").is_dir():
        birds = read_recordings(DataConfig(root=str(root), fold_seed=data.fold_seed)).recordings
        heard = [(BIRD, path, RATING, str(author)) for path, author in birds[["path", "author"]].to_numpy()]
        empty = [(NOCALL, file, RATING, "") for file in search_audio(root / "background").files]
        return _table_of([*heard, *empty])
    message = (
        f"{root}: holds neither {TABLE} nor the folders {BIRD}/ and {NOCALL}/ nor, beside train_audio/, "
        "background/ with call-free audio"
    )
    raise ValueError(message)


def read_csv(file: Path) -> Iterator[tuple[str, Path, float, str]]:
    """Yield label, path, rating and source of each row of a table.

    Raises
    ------
    ValueError
        If a column is missing, a label is neither "bird" nor "nocall", or a path leaves the folder.
    """
    table = read_table("", file, ("primary_label", "filename"))
    ratings = numbers(table, "rating", file).fillna(RATING) if "rating" in table else [RATING] * len(table)
    sources = table["source"] if "source" in table else [""] * len(table)
    rows = zip(table.index, table["primary_label"], table["filename"], ratings, sources, strict=True)
    for row, label, name, rating, source in rows:
        if label not in (BIRD, NOCALL):
            message = f"{line_of(file, row)}: primary_label {label!r} is neither {BIRD!r} nor {NOCALL!r}"
            raise ValueError(message)
        if Path(name).is_absolute() or ".." in Path(name).parts:
            message = f"{line_of(file, row)}: filename {name!r} leaves the data folder; refused"
            raise ValueError(message)
        yield label, file.parent / label / name, float(rating), source


def _table_of(rows: Iterable[tuple[str, Path, float, str]]) -> pd.DataFrame:
    """Return a table of recordings from label, path, rating and author (or source) of each."""
    table = pd.DataFrame(rows, columns=["species", "path", "rating", "author"])
    names = [f"{label}/{path.name}" for label, path in zip(table["species"], table["path"], strict=True)]
    author = table["author"].replace("", UNKNOWN_AUTHOR)
    return table.assign(recording=names, author=author, secondary=[()] * len(table))
