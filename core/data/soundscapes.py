"""Long field recordings: the files, and the tables that judge their windows of 5 s."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.config import require
from core.data.audio import AUDIO_SUFFIXES
from core.data.tables import read_table

WINDOW_SECONDS = 5
"""Length of the stretches of a soundscape that are judged, a row each."""


def find_soundscapes(paths: tuple[str, ...]) -> dict[str, Path]:
    """Return file id (name without suffix) -> path, sorted.

    Raises
    ------
    ValueError
        If a path does not exist, nothing is found, or two files share an id.
    """
    found: dict[str, Path] = {}
    for text in paths:
        path = Path(text)
        if not path.exists():
            message = f"soundscapes: {path} does not exist"
            raise ValueError(message)
        inside = path.rglob("*") if path.is_dir() else [path]
        files = [f for f in inside if f.is_file() and (f == path or f.suffix.lower() in AUDIO_SUFFIXES)]
        for file in files:
            if found.setdefault(file.stem, file) != file:
                message = f"soundscapes: {found[file.stem]} and {file} share the id {file.stem}"
                raise ValueError(message)
    if not found:
        message = f"soundscapes: no audio file in {', '.join(paths)}"
        raise ValueError(message)
    return dict(sorted(found.items()))


def read_targets(
    field: str, path: Path, recording: np.ndarray, end: np.ndarray, species: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return what a table of `row_id,target` says of windows: target and whether it is known.

    Parameters
    ----------
    field, path
        The table, and what messages call it.
    recording, end
        (window,) file id, and end in seconds.
    species
        Codes.

    Returns
    -------
    target, known
        (window, species) bool.

    Raises
    ------
    ValueError
        If the table is missing or lacks a column, or has no row of these windows.
    """
    table = read_table(field, path, ("row_id", "target"))
    positive = table["target"].astype(str).str.lower().eq("true")
    judgements = dict(zip(table["row_id"], positive, strict=True))
    rows = [
        [judgements.get(f"{name}_{code}_{last:g}") for code in species]
        for name, last in zip(recording, end, strict=True)
    ]
    known = np.array([[one is not None for one in row] for row in rows], dtype=bool)
    require(bool(known.any()), f"{field}={path}: no row about these windows")
    return np.array([[bool(one) for one in row] for row in rows], dtype=bool), known
