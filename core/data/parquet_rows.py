"""The rows of a parquet file that holds audio: the audio -> files, the rest -> rows of a table."""

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import soundfile
from pyarrow import ArrowException, parquet

from core.config import require
from core.data.audio import AUDIO_SUFFIXES
from core.data.hub import split_of
from core.data.layouts import AUDIO_FOLDERS
from core.data.recorders import describe_origin
from core.files import replacing

PRIMARY_COLUMNS = ("ebird_code", "label")
FURTHER_COLUMNS = ("ebird_code_multilabel", "ebird_code_secondary", "labels")
TIMES = ("start_time", "end_time")
SOUNDSCAPES = "soundscapes"
"""The folder of their audio."""
_USUAL_NAMES = {"lat": "latitude", "long": "longitude", "recordist": "author", "quality": "rating"}
_RATINGS = {"A": "5", "B": "4", "C": "3", "D": "2", "E": "1"}  # of xeno-canto
_SLACK_SECONDS = 0.5  # by which audio may be longer than the stretch that its row is about
_BATCH_ROWS = 32


@dataclass(frozen=True)
class ParquetSource:
    """A parquet file: its split, its columns, and the names of classes that a column has numbers of."""

    path: Path
    split: str
    columns: frozenset[str]
    names: Mapping[str, Sequence[str]]
    groups: int

    @property
    def is_timed(self) -> bool:
        """Whether rows are about stretches of soundscapes."""
        return self.columns.issuperset(TIMES)


def open_source(path: Path) -> ParquetSource:
    """Read what a file says of itself."""
    try:
        file = parquet.ParquetFile(path)
    except (ArrowException, OSError) as error:
        message = f"{path}: not readable as parquet ({error}); fetch it again"
        raise ValueError(message) from error
    with file:
        said = json.loads((file.schema_arrow.metadata or {}).get(b"huggingface", b"{}"))
        features = said.get("info", {}).get("features", {})
        names = {name: _class_names(features.get(name)) for name in (*PRIMARY_COLUMNS, *FURTHER_COLUMNS)}
        return ParquetSource(
            path, split_of(path), frozenset(file.schema_arrow.names), names, file.num_row_groups
        )


def _class_names(feature: Any) -> list[str]:
    """Return the names of a ClassLabel, or of one in a list of them."""
    if isinstance(feature, list):
        return _class_names(feature[0])
    if not isinstance(feature, dict):
        return []
    return [*map(str, feature.get("names") or [])] or _class_names(feature.get("feature"))


def read_rows(
    source: ParquetSource, group: int, target: Path, *, about_soundscapes: bool
) -> Iterator[dict[str, Any]]:
    """Write the audio of one part of a file; yield what its rows say.

    Parameters
    ----------
    source, group
        The file, and the number of the part in it.
    target
        Folder of the unpacked set.
    about_soundscapes
        Whether rows are stretches of soundscapes; else they are recordings.

    Raises
    ------
    ValueError
        If the file is damaged, or the audio cannot be written.
    """
    try:
        with parquet.ParquetFile(source.path) as file:
            kinds = {field.name: field.type for field in file.schema_arrow}
            nested = [name for name, kind in kinds.items() if kind.num_fields]
            columns = [name for name in kinds if name not in nested or name in {"audio", *FURTHER_COLUMNS}]
            usual = source.names[PRIMARY_COLUMNS[0]]
            first = sum(file.metadata.row_group(i).num_rows for i in range(group))
            batches = file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=columns)
            rows = (row for batch in batches for row in batch.to_pylist())
            for number, row in enumerate(rows, start=first):
                audio = row.pop("audio")
                audio = audio if isinstance(audio, dict) else {"bytes": audio}
                where = f"{source.path}, row {number}"
                row |= {
                    one: _codes(where, row.get(one), names or usual) for one, names in source.names.items()
                }
                name = row.get("filepath") or audio.get("path") or f"{source.path.stem}-{number}"
                make = _stretch if about_soundscapes else _recording
                yield make(
                    row, _inside(where, str(name)), audio.get("bytes"), target, f"{source.split}-{number}"
                )
    except (ArrowException, OSError) as error:
        message = f"{source.path}: {error}; fetch it again, or make room in {target}"
        raise ValueError(message) from error


def _codes(where: str, value: Any, names: Sequence[str]) -> list[str]:
    """Return the classes in a cell: a text, a number of a class, or a list of these; -1 is none."""
    values = value if isinstance(value, list) else [value]
    values = [one for one in values if one not in {None, "", -1}]
    if not names:
        return [*map(str, values)]
    for one in values:
        known = isinstance(one, str) or 0 <= one < len(names)
        require(known, f"{where}: class {one}, but the file names {len(names)} classes")
    return [one if isinstance(one, str) else names[one] for one in values]


def _inside(where: str, name: str) -> PurePosixPath:
    """Return a relative path; of one that would leave the folder, its last part."""
    path = PurePosixPath(name.replace("\\", "/"))
    require(path.name not in {"", ".."}, f"{where}: {name!r} is no name of a file")
    leaves = path.is_absolute() or ".." in path.parts or ":" in path.parts[0]
    return PurePosixPath(path.name) if leaves else path


def _recording(
    row: dict[str, Any], name: PurePosixPath, audio: bytes | None, target: Path, number: str
) -> dict[str, Any]:
    """Write a recording; return its row of the table."""
    codes = [code for column in (*PRIMARY_COLUMNS, *FURTHER_COLUMNS) for code in row.pop(column)]
    species, *secondary = dict.fromkeys(codes or [""])
    folder = re.sub(r"^\.+|[/\\:]", "_", species)
    file = _write(target / AUDIO_FOLDERS[0], PurePosixPath(folder) / name, audio, number)
    kept = {_USUAL_NAMES.get(one, one): value for one, value in row.items() if one not in TIMES}
    rating = _RATINGS.get(str(kept.get("rating")), kept.get("rating"))
    own = {"primary_label": species, "secondary_labels": repr(secondary), "filename": str(file)}
    return kept | own | ({} if rating is None else {"rating": str(rating)})


def _stretch(
    row: dict[str, Any], name: PurePosixPath, audio: bytes | None, target: Path, number: str
) -> dict[str, Any]:
    """Write the audio of a row about a stretch; return where it is and what is heard."""
    begin, end = (row[time] for time in TIMES)
    try:
        seconds = soundfile.info(io.BytesIO(audio or b"")).duration
    except soundfile.SoundFileError:  # told where it is decoded
        seconds = 0.0
    begin, end = begin or 0.0, seconds if end is None else end
    is_stretch = seconds <= end - begin + _SLACK_SECONDS
    whole = name.stem if is_stretch and begin else ""
    if whole:
        name = name.with_stem(f"{whole}_{begin:g}")
    file = _write(target / SOUNDSCAPES, name, audio, number)
    identity = str(file.with_suffix("") if file.suffix.lower() in AUDIO_SUFFIXES else file)
    site, start = describe_origin(target / SOUNDSCAPES / file, identity)
    codes = dict.fromkeys(code for column in (*PRIMARY_COLUMNS, *FURTHER_COLUMNS) for code in row[column])
    if is_stretch:
        begin, end = 0.0, min(end - begin, seconds or end)
    return {
        "soundscape": identity, "file": str(file), "begin": float(begin), "end": float(end),
        "seconds": seconds, "codes": list(codes), "site": site or whole, "start_time": start,
        "is_stretch": is_stretch,
    }  # fmt: skip


def _write(folder: Path, name: PurePosixPath, audio: bytes | None, number: str) -> PurePosixPath:
    """Write a file unless it is there; other audio of the same name gets the row's number too."""
    file = folder / name
    if audio is not None and file.is_file() and file.read_bytes() != audio:
        name = name.with_stem(f"{name.stem}-{number}")
        file = folder / name
    if audio is not None and not file.is_file():
        with replacing(file) as new:
            new.write_bytes(audio)
    return name
