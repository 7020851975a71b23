"""Long field recordings: the files, and the tables that judge their windows of 5 s."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from core.config import require
from core.data.audio_files import AudioFiles, as_text, search_audio
from core.data.remote import AudioSource, is_remote, place_of, search_remote
from core.data.tables import read_table
from core.wording import counted

WINDOW_SECONDS = 5
"""Length of the stretches of a soundscape that are judged, a row each."""


@dataclass(frozen=True)
class Soundscapes:
    """What is to be predicted, and what else was met.

    Attributes
    ----------
    files
        Id -> file, sorted: the path relative to the folder that was given, without suffix.
    left_out
        Path and reason of what is no soundscape.
    """

    files: dict[str, AudioSource]
    left_out: tuple[tuple[str, str], ...]


def find_soundscapes(paths: Sequence[str]) -> dict[str, Path]:
    """Return the files of `search_soundscapes`, all of this machine.

    Raises
    ------
    ValueError
        As there, and for an address of files elsewhere.
    """
    remote = next(filter(is_remote, paths), None)
    message = (
        f"soundscapes: {remote}: only predicting reads what lies elsewhere; fetch it, and name its folder"
    )
    require(remote is None, message)
    files = search_soundscapes(paths).files
    return {name: file for name, file in files.items() if isinstance(file, Path)}


def search_soundscapes(paths: Sequence[str]) -> Soundscapes:
    """Return the soundscapes among files and in folders, each under an id of its own.

    Of several folders, ids are relative to the one that holds them all. Files that differ only in their
    suffix keep it.

    Parameters
    ----------
    paths
        Files, or folders that are searched; of this machine, or addresses such as s3://bucket/folder.

    Raises
    ------
    ValueError
        If a path does not exist, or nothing is found.
    """
    for text in paths:
        require(is_remote(text) or Path(text).expanduser().exists(), f"soundscapes: {text} does not exist")
    looked = [_look(text) for text in paths]
    folders = [folder for folder, _, _ in looked if folder is not None]
    base = Path(os.path.commonpath(folders)) if len(folders) > 1 else None
    relative: dict[AudioSource, PurePath] = {}
    left_out: list[tuple[str, str]] = []
    for folder, files, others in looked:
        for file in files:
            place = place_of(file)
            named = PurePath(place.name) if folder is None else place.relative_to(base or folder)
            relative.setdefault(file, named)
        left_out += others
    require(len(relative) > 0, f"soundscapes: no audio file in {', '.join(paths)}")
    return Soundscapes(dict(sorted(_named(relative).items())), tuple(left_out))


def _look(text: str) -> tuple[PurePath | None, Sequence[AudioSource], list[tuple[str, str]]]:
    """Return the folder, None for a file; the audio; and path and reason of what is none."""
    if is_remote(text):
        place, remote, others = search_remote(text)
        return place, remote, _left_out(text, others)
    path = Path(text).expanduser()
    if not path.is_dir():
        return None, [path], []
    found = search_audio(path)
    return path.absolute(), found.files, _left_out(path, found)


def _named(relative: Mapping[AudioSource, PurePath]) -> dict[str, AudioSource]:
    """Return id -> file, from file -> its path as it was found."""
    places = {file: place_of(file) for file in relative}
    top = Path(os.path.commonpath([place.parent for place in places.values()]))
    times = Counter(relative.values())
    names = {f: n if times[n] == 1 else places[f].relative_to(top) for f, n in relative.items()}
    stems = Counter(name.with_suffix("") for name in names.values())
    return {
        as_text((n if stems[n.with_suffix("")] > 1 else n.with_suffix("")).as_posix()): f
        for f, n in names.items()
    }


def _left_out(folder: Path | str, found: AudioFiles) -> list[tuple[str, str]]:
    """Return path and reason of what a search met beside audio."""
    lines = [(as_text(path), reason) for path, reason in sorted(found.unread.items())]
    for suffix, number in sorted(found.others.items()):
        lines.append(
            (as_text(folder), f"not read: {counted(number, 'files')} ending in {suffix or 'nothing'}")
        )
    if found.num_hidden:
        lines.append((as_text(folder), f"not read: hidden files and folders, {found.num_hidden}"))
    return lines


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
