"""Results on disk, so that a killed run goes on where it stopped.

A journal is a folder of small files, each the windows of some soundscapes, written under another name and
then renamed; what is there is whole. `plan.json` says for which checkpoints and settings it is: another run's
results are refused, never mixed in. A soundscape whose file has another size or time since then is not done.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from core.files import replacing, write_atomically

FLUSH_SECONDS = 10.0
FLUSH_FILES = 50


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
    reason
        Why the file cannot be used; "" for a good one.
    seconds
        Its length.
    segments
        (window, segment, species) float32 within windows; no window unless asked for.
    damage
        How much of the file could be decoded, and why not all; "" if all of it was.
    notes
        Other things to know about its audio.
    took_seconds
        Time from the file before it until it was predicted.
    """

    probability: np.ndarray
    bird: np.ndarray
    reason: str
    seconds: float
    segments: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))
    damage: str = ""
    notes: str = ""
    took_seconds: float = 0.0


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
    rank
        This process; each writes files of its own.

    Raises
    ------
    ValueError
        If the folder holds the journal of another plan.
    """

    def __init__(
        self, folder: Path, plan: Mapping[str, Any], files: Mapping[str, Path], rank: int = 0
    ) -> None:
        self.folder, self.rank = folder, rank
        self.stamps = {name: _stamp(path) for name, path in files.items()}
        self.pending: dict[str, FileResult] = {}
        self.flushed = time.monotonic()
        text = json.dumps(plan, sort_keys=True, default=str)
        self.identity = hashlib.sha256(text.encode()).hexdigest()
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "plan.json"
        try:
            found = json.loads(file.read_text())["identity"] if file.is_file() else self.identity
        except (json.JSONDecodeError, KeyError, TypeError):
            found = None
        if found != self.identity and self._parts():
            message = (
                f"{folder}: the journal of another run (other checkpoints or settings); finish that run, "
                "delete the folder, or write to another --out"
            )
            raise ValueError(message)
        self.outdated = self._find_outdated()
        write_atomically(file, json.dumps({"identity": self.identity, "plan": plan}, indent=2, default=str))

    def done(self) -> set[str]:
        """Return the names of the soundscapes that are done."""
        return {name for path in self._parts() for _, name in self._entries(path)}

    def _parts(self) -> list[Path]:
        """Return the files of results, in the order of their names."""
        return sorted(self.folder.glob("part-*.npz"))

    def _entries(self, path: Path) -> list[tuple[int, str]]:
        """Return place and name of the results of a part, without those of files that had changed."""
        names = enumerate(name for name, _ in _names_of(path))
        return [(i, name) for i, name in names if (path.name, i) not in self.outdated]

    def _find_outdated(self) -> set[tuple[str, int]]:
        """Return part and place of the results of files that have changed."""
        return {
            (path.name, i)
            for path in self._parts()
            for i, (name, stamp) in enumerate(_names_of(path))
            if self.stamps.get(name) != stamp
        }

    def add(self, name: str, result: FileResult) -> None:
        """Keep the result of a soundscape; it is written with others after some files or seconds."""
        self.pending[name] = result
        if len(self.pending) >= FLUSH_FILES or time.monotonic() - self.flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the results that are kept in memory."""
        if not self.pending:
            return
        arrays: dict[str, Any] = {
            "names": json.dumps([(name, self.stamps.get(name, "")) for name in self.pending])
        }
        for i, result in enumerate(self.pending.values()):
            arrays |= {f"{name}{i}": value for name, value in vars(result).items()}
        number = len(list(self.folder.glob(f"part-{self.rank}-*.npz")))
        target = self.folder / f"part-{self.rank}-{number:06d}.npz"
        with replacing(target) as new:
            np.savez(new, **arrays)
        self.pending, self.flushed = {}, time.monotonic()

    def results(self) -> dict[str, FileResult]:
        """Return the result of every soundscape that is done."""
        found = {}
        for path in self._parts():
            with np.load(path) as arrays:
                for i, soundscape in self._entries(path):
                    values: dict[str, Any] = {f.name: arrays[f"{f.name}{i}"] for f in fields(FileResult)}
                    plain = {name: value.item() for name, value in values.items() if value.ndim == 0}
                    found[soundscape] = FileResult(**values | plain)
        return found

    def remove(self) -> None:
        """Delete the journal of a complete run."""
        shutil.rmtree(self.folder)


def _names_of(part: Path) -> list[tuple[str, str]]:
    """Return the soundscapes of a part, and how their files were."""
    with np.load(part) as arrays:
        return [(name, stamp) for name, stamp in json.loads(str(arrays["names"]))]


def _stamp(path: Path) -> str:
    """Return what changes when a file does."""
    try:
        status = path.stat()
    except OSError as error:
        return str(error.errno)
    return f"{status.st_size} {status.st_mtime_ns}"
