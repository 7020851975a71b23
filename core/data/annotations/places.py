"""Which soundscape an annotation is about: file names as tools write them, and the files that are there."""

import unicodedata
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from core.data.annotations.events import SHOWN_CAUSES, Annotations
from core.data.annotations.readers import name_of_table
from core.data.audio import AUDIO_SUFFIXES, duration_seconds
from core.wording import counted

EDGE_SECONDS = 0.05  # that a tool's rounding may lie beyond the end of a file


def place(annotations: Annotations, soundscapes: Mapping[str, Path]) -> tuple[Annotations, dict[str, float]]:
    """Return the annotations with ids as `soundscape`, and the seconds of each annotated soundscape.

    A written name belongs to a file when one ends with the other, folder by folder: `x.WAV` as well as
    `D:/cards/site A/x.WAV` belong to the id `site A/x`; the size of letters does not matter. What names no
    file (of `soundscapes`, id -> file) or begins beyond its end is left out with a note; what ends there is
    cut.

    Raises
    ------
    ValueError
        If a name belongs to several soundscapes, or no annotation to any.
    """
    ids_of, remarks = _find_all(annotations, soundscapes)
    ids = np.array([*ids_of.values(), ""], dtype=object)
    which = annotations.events.groupby(["soundscape", "source"], sort=False).ngroup()
    found = Annotations(annotations.events.assign(id=ids[which]), (*annotations.notes, *remarks))
    placed = found.without(found.events["id"].eq("").to_numpy(), "no soundscape has this name")
    if len(found.events) and placed.events.empty:
        name, source = found.events[["soundscape", "source"]].iloc[0]
        message = f"{source}: no annotation names one of the {len(soundscapes)} soundscapes; found {name!r}"
        raise ValueError(message)
    seconds = {name: duration_seconds(soundscapes[name]) for name in placed.events["id"].unique()}
    late = placed.events["begin"] >= placed.events["id"].map(seconds).astype(float).clip(lower=1e-9)
    placed = placed.without(late.to_numpy(), "they begin after the end of the file, or it cannot be read")
    events, notes = placed.events, placed.notes
    length = events["id"].map(seconds).astype(float)
    beyond = events[(events["end"] > length + EDGE_SECONDS) & np.isfinite(events["end"])]
    for name, group in beyond.groupby("soundscape"):
        line = f"{group['source'].iloc[0]}, line {group['line'].iloc[0]} ({name})"
        notes += (f"{line}: {counted(len(group), 'annotations')} cut at the end of the file",)
    events = events.assign(end=np.minimum(events["end"], length), soundscape=events["id"])
    return Annotations(events.drop(columns="id"), notes), seconds


def names_of_files(soundscapes: Mapping[str, Path]) -> dict[str, str]:
    """Return id -> the path of the file relative to the folder that was given, with its suffix."""
    return {name: name.removesuffix(path.suffix) + path.suffix for name, path in soundscapes.items()}


def _find_all(
    annotations: Annotations, soundscapes: Mapping[str, Path]
) -> tuple[dict[tuple[str, str], str], list[str]]:
    """Return (written name, table) -> id, "" where there is no such file, in order; and a note on doubts."""
    by_name: dict[str, list[str]] = {}
    for name, path in soundscapes.items():
        for key in {_key(path.name), _key(path.stem)}:
            by_name.setdefault(key, []).append(name)
    found: dict[tuple[str, str], str] = {}
    agreeing: dict[str, dict[str, int]] = {}  # id -> names -> parts that agree with the path
    for name, source in annotations.events[["soundscape", "source"]].drop_duplicates().to_numpy().tolist():
        chosen, agree = _find(name, source, soundscapes, by_name)
        if name == name_of_table(Path(source)):  # which may lie apart from the audio
            chosen = chosen or _find(name.rsplit("/", 1)[-1], source, soundscapes, by_name)[0]
        else:
            agreeing.setdefault(chosen, {})[name] = agree
        found[name, source] = chosen
    doubtful = []
    for chosen, names in agreeing.items():
        most = max(names.values())
        foreign = {name for name, agree in names.items() if agree < len(_parts(name))}
        best = [name for name in sorted(foreign) if chosen and names[name] == most]
        if len(best) > 1 and most == 1:
            message = f"annotations: both {best[0]} and {best[1]} may be the soundscape {chosen}: give the "
            raise ValueError(message + "folder that holds their folders")
        doubtful += [f"{name} for {soundscapes[chosen]}" for name in best if most == 1]
        found |= {key: "" for key in found if key[0] in foreign and key[0] not in best}
    number, shown = counted(len(doubtful), "names"), "; ".join(doubtful[:SHOWN_CAUSES])
    note = f"{number} taken for a file in another folder: {shown}"
    return found, [note] if doubtful else []


def _find(
    name: str, source: str, soundscapes: Mapping[str, Path], by_name: Mapping[str, list[str]]
) -> tuple[str, int]:
    """Return the id that a name belongs to, and how many parts of the paths agree from their ends."""
    parts, last = _parts(name), _key(name.rsplit("/", 1)[-1])
    if last.endswith("_*"):  # 2021's tables leave the date out
        candidates = sorted({i for stem, ids in by_name.items() if stem.startswith(last[:-1]) for i in ids})
        parts = parts[:-1]
    else:
        candidates = by_name.get(last) or by_name.get(parts[-1] if parts else "", [])
    agreeing: dict[str, int] = {}
    for one in candidates:
        path = _parts(soundscapes[one].as_posix())
        ends = zip(reversed(parts), reversed(path[:-1] if last.endswith("_*") else path), strict=False)
        number = [*(a == b for a, b in ends), False].index(False)
        if number == len(parts) or number >= len(_parts(one)):
            agreeing[one] = number
    best = [one for one, number in agreeing.items() if number == max(agreeing.values())]
    if len(best) > 1:
        message = (
            f"{source}: {name!r} may be {soundscapes[best[0]]} or {soundscapes[best[1]]}: write the folder "
            "into the name, or give a folder with one of them"
        )
        raise ValueError(message)
    return (best[0], agreeing[best[0]]) if best else ("", 0)


def _key(name: str) -> str:
    """Return a name in small letters, accents as one system writes them: macOS keeps them apart."""
    return unicodedata.normalize("NFC", name).lower()


def _parts(name: str) -> list[str]:
    """Return the folders and the stem of a file name, as `_key` gives them."""
    parts = [_key(part) for part in name.split("/") if part not in {"", "."}]
    if parts and parts[-1].endswith(AUDIO_SUFFIXES):
        parts[-1] = parts[-1].rsplit(".", 1)[0]
    return parts
