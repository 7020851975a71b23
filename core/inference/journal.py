"""Results on disk as they come, so that a killed run goes on where it stopped and memory stays small.

A journal is a folder of Parquet files, each the windows of some soundscapes, written under another name and
then renamed; what is there is whole. `plan.json` says for which checkpoints and settings it is: another run's
results are refused, never mixed in. A soundscape whose file has another size or time since then is not done.

A part has a row group a soundscape: `file_id`, `probability` (member by species, as one list), `bird`, and
`segments` (segment by species) where they were asked for. What else is known of its soundscapes is JSON in
the metadata of its schema.
"""

import hashlib
import json
import shutil
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from core.data.remote import AudioSource, RemoteFile
from core.files import replacing, write_atomically

FLUSH_SECONDS = 10.0
FLUSH_FILES = 50
FLUSH_BYTES = CHUNK_BYTES = 8_000_000
"""Of results that are kept before they are written, and that are read at a time."""
MOST_OPEN = 16
_FILES = b"files"
_SHAPE = b"shape"


@dataclass(frozen=True)
class FileFacts:
    """What is known of one soundscape beside its predictions.

    Attributes
    ----------
    reason
        Why the file cannot be used; "" for a good one.
    seconds
        Its length.
    damage
        How much of the file could be decoded, and why not all; "" if all of it was.
    notes
        Other things to know about its audio.
    took_seconds
        Time from the file before it until it was predicted.
    windows
        That were predicted.
    site, start_time
        Where and when it was recorded by its header, see `core.data.recorders.Origin`.
    """

    reason: str = ""
    seconds: float = 0.0
    damage: str = ""
    notes: str = ""
    took_seconds: float = 0.0
    windows: int = 0
    site: str = ""
    start_time: str = ""


@dataclass(frozen=True)
class FileResult:
    """What was predicted of one soundscape.

    Attributes
    ----------
    probability
        (1, window, species) float32 of the ensemble, or (member, window, species) where it ranks them; no
        window where the file cannot be used.
    bird
        (window,) float32 p(bird), or of length 0 without a no-call model.
    facts
        What else is known.
    segments
        (window, segment, species) float32 within windows; no window unless asked for.
    """

    probability: np.ndarray
    bird: np.ndarray
    facts: FileFacts
    segments: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))

    @property
    def num_bytes(self) -> int:
        """Of the predictions."""
        return self.probability.nbytes + self.bird.nbytes + self.segments.nbytes


class _Place(NamedTuple):
    """Where the result of a soundscape is: its part, and the row group there, -1 for one without windows."""

    part: int
    group: int
    facts: FileFacts


class Journal:
    """Results of files, kept until the run is complete.

    Parameters
    ----------
    folder
        Where; made if missing.
    plan
        What determines the results: checkpoints, settings.
    files
        Soundscape -> its file.

    Raises
    ------
    ValueError
        If the folder holds the journal of another plan.
    """

    def __init__(self, folder: Path, plan: Mapping[str, Any], files: Mapping[str, AudioSource]) -> None:
        self.folder = folder
        self.stamps = {name: _stamp(path) for name, path in files.items()}
        self.pending: dict[str, FileResult] = {}
        self.flushed = time.monotonic()
        self.parts: list[Path] = []
        self.places: dict[str, _Place] = {}
        self.open_parts: OrderedDict[int, parquet.ParquetFile] = OrderedDict()
        text = json.dumps(plan, sort_keys=True, default=str)
        self.identity = hashlib.sha256(text.encode()).hexdigest()
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "plan.json"
        try:
            found = json.loads(file.read_text())["identity"] if file.is_file() else self.identity
        except (json.JSONDecodeError, KeyError, TypeError):
            found = None
        if found != self.identity and any(folder.glob("part-*")):
            message = (
                f"{folder}: the journal of another run (other checkpoints or settings); finish that run, "
                "delete the folder, or write to another --out"
            )
            raise ValueError(message)
        self.next_part = len(list(folder.glob("part-*.parquet")))
        write_atomically(file, json.dumps({"identity": self.identity, "plan": plan}, indent=2, default=str))

    def done(self) -> set[str]:
        """Return the names of the soundscapes that are done; those whose file has changed are not."""
        for path in sorted(set(self.folder.glob("part-*.parquet")) - set(self.parts)):
            self.parts.append(path)
            group = -1
            for entry in json.loads(parquet.read_schema(path).metadata[_FILES]):
                facts = FileFacts(**entry["facts"])
                group += facts.windows > 0
                if self.stamps.get(entry["name"]) == entry["stamp"]:
                    place = _Place(len(self.parts) - 1, group if facts.windows else -1, facts)
                    self.places[entry["name"]] = place
        return set(self.places)

    def add(self, name: str, result: FileResult) -> None:
        """Keep the result of a soundscape; it is written with others after some files, bytes or seconds."""
        self.pending[name] = result
        is_full = sum(one.num_bytes for one in self.pending.values()) >= FLUSH_BYTES
        is_late = time.monotonic() - self.flushed > FLUSH_SECONDS
        if is_full or is_late or len(self.pending) >= FLUSH_FILES:
            self.flush()

    def flush(self) -> None:
        """Write the results that are kept in memory."""
        if not self.pending:
            return
        entries = [
            {"name": name, "stamp": self.stamps.get(name, ""), "facts": asdict(result.facts)}
            for name, result in self.pending.items()
        ]
        first = next(iter(self.pending.values()))
        members, _, species = first.probability.shape
        num_segments = max((one.segments.shape[1] for one in self.pending.values()), default=0)
        shape = [members, species, num_segments]
        schema = _schema(*shape).with_metadata({_FILES: json.dumps(entries), _SHAPE: json.dumps(shape)})
        with replacing(self.folder / f"part-{self.next_part:06d}.parquet") as new:
            dictionary = ["file_id"]
            with parquet.ParquetWriter(
                new, schema, compression="none", use_dictionary=dictionary, write_statistics=dictionary
            ) as writer:
                for name, result in self.pending.items():
                    if result.facts.windows:
                        writer.write_table(_to_arrow(name, result, schema))
        self.pending, self.flushed, self.next_part = {}, time.monotonic(), self.next_part + 1

    @property
    def facts(self) -> dict[str, FileFacts]:
        """What is known of every soundscape that is done."""
        return {name: place.facts for name, place in self.places.items()}

    def read(self, names: Iterable[str]) -> Iterator[dict[str, FileResult]]:
        """Yield the results of soundscapes that are done and have windows, in this order, some at a time."""
        chunk: dict[str, FileResult] = {}
        size = 0
        for part, group in groupby(names, lambda name: self.places[name].part):
            for name, result in self._read_part(part, list(group)):
                chunk[name] = result
                size += result.num_bytes
                if size >= CHUNK_BYTES:
                    yield chunk
                    chunk, size = {}, 0
        if chunk:
            yield chunk

    def _read_part(self, part: int, names: Sequence[str]) -> Iterator[tuple[str, FileResult]]:
        """Yield the results of some soundscapes of one part."""
        file = self._open(part)
        places = [self.places[name] for name in names]
        table = file.read_row_groups([place.group for place in places])
        members, species, num_segments = json.loads(file.schema_arrow.metadata[_SHAPE])
        shapes = {"probability": (members, species), "bird": (), "segments": (num_segments, species)}
        arrays = {
            column: _to_numpy(table[column], shape)
            for column, shape in shapes.items()
            if column in table.column_names
        }
        start = 0
        for name, place in zip(names, places, strict=True):
            rows = slice(start, start := start + place.facts.windows)
            probability = np.ascontiguousarray(arrays["probability"][rows].transpose(1, 0, 2))
            bird = arrays.get("bird", np.zeros(0, np.float32))[rows]
            bird = bird[:0] if np.isnan(bird).any() else bird
            segments = arrays.get("segments", np.zeros((0, 0, species), np.float32))[rows]
            yield name, FileResult(probability, bird, place.facts, segments)

    def _open(self, part: int) -> parquet.ParquetFile:
        """Return a part; the ones that were read last stay open."""
        file = self.open_parts.pop(part, None) or parquet.ParquetFile(self.parts[part], pre_buffer=False)
        self.open_parts[part] = file
        if len(self.open_parts) > MOST_OPEN:
            self.open_parts.popitem(last=False)[1].close()
        return file

    def remove(self) -> None:
        """Delete the journal of a complete run."""
        while self.open_parts:
            self.open_parts.popitem()[1].close()
        shutil.rmtree(self.folder)


def _schema(members: int, species: int, num_segments: int) -> pa.Schema:
    """Return the columns of a part."""
    columns = {
        "file_id": pa.dictionary(pa.int32(), pa.string()),
        "probability": pa.list_(pa.float32(), members * species),
        "bird": pa.float32(),
    }
    if num_segments:
        columns["segments"] = pa.list_(pa.float32(), num_segments * species)
    return pa.schema(columns)


def _to_arrow(name: str, result: FileResult, schema: pa.Schema) -> pa.Table:
    """Return the windows of a soundscape as rows."""
    number = result.facts.windows
    bird = result.bird if len(result.bird) else np.full(number, np.nan, np.float32)
    arrays = {
        "file_id": pa.array([name] * number).dictionary_encode(),
        "probability": _lists(result.probability.transpose(1, 0, 2)),
        "bird": pa.array(bird, from_pandas=False),
    }
    if "segments" in schema.names:
        arrays["segments"] = _lists(result.segments)
    columns = [arrays[field.name].cast(field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _lists(values: np.ndarray) -> pa.FixedSizeListArray:
    """Return (window, ...) as a list of numbers a window."""
    flat = np.ascontiguousarray(values, np.float32).reshape(len(values), -1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1])


def _to_numpy(column: pa.ChunkedArray, shape: tuple[int, ...]) -> np.ndarray:
    """Return a column as (window, *shape) float32."""
    chunks = [chunk.flatten() if shape else chunk for chunk in column.chunks]
    values = [chunk.to_numpy(zero_copy_only=False) for chunk in chunks]
    return np.concatenate(values).reshape(len(column), *shape).astype(np.float32, copy=False)


def _stamp(path: AudioSource) -> str:
    """Return what changes when a file does."""
    if isinstance(path, RemoteFile):
        return f"{path.size} {path.stamp}"
    try:
        status = path.stat()
    except OSError as error:
        return str(error.errno)
    return f"{status.st_size} {status.st_mtime_ns}"
