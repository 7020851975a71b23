"""Audio sets of Hugging Face, parquet files that hold the audio itself -> a folder of files in the cache.

Read are BirdSet's columns (`audio`, `ebird_code`, `ebird_code_multilabel`, `start_time`, `end_time`,
`filepath`, `quality`, `recordist`, `lat`, `long`), and any set with `audio` and `label`. Split `train` holds
recordings, `test_5s` labelled windows, `test` songs in soundscapes. The recordings become a folder like any
lab's, with `train_metadata.csv`. Parts of files are unpacked one after the other, so that what was
interrupted goes on.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from core.config import DataConfig, require
from core.data.annotations.events import COMPLETE, AnnotationOptions, Annotations, make_events
from core.data.annotations.windows import to_windows
from core.data.hub import configuration_of, fetch, is_hub
from core.data.labelled_windows import LabelledWindows
from core.data.layouts import AUDIO_FOLDERS, METADATA, find_first
from core.data.parquet_rows import (
    FURTHER_COLUMNS,
    PRIMARY_COLUMNS,
    SOUNDSCAPES,
    TIMES,
    ParquetSource,
    open_source,
    read_rows,
)
from core.files import alone_in, write_atomically, write_table

_UNPACKED, _WINDOWS, _PARTS, _VERSION = "parquet_set.json", "windows.parquet", "parts", 1
_SPLIT = re.compile(r"train|valid|test")


def folder_of(root: Path | str, cache: str | None) -> Path:
    """Return a folder of recordings: `root`, or where the audio set that it names is unpacked.

    Raises
    ------
    ValueError
        If there is no such folder or set, or it lacks what is needed.
    """
    store = Path(cache or str(DataConfig.cache))
    folder = fetch(root, store) if is_hub(root) else Path(root)
    require(folder.is_dir(), f"{root}: no such folder")
    files = [] if find_first(folder, (*METADATA, *AUDIO_FOLDERS)) else _parquet_in(folder)
    sources = [open_source(file) for file in files]
    sounding = [source for source in sources if "audio" in source.columns]
    if not sounding:
        for source in sources:
            found = ", ".join(sorted(source.columns))
            require(not _SPLIT.match(source.split), f"{source.path}: no column audio; found {found}")
        return folder
    configs = sorted({configuration_of(file.relative_to(folder)) for file in files})
    require(len(configs) == 1, f"{root}: holds several sets, name the folder of one: {', '.join(configs)}")
    state = [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    key = hashlib.sha256(json.dumps([_VERSION, state]).encode()).hexdigest()[:12]
    target = store / "parquet" / f"{folder.resolve().name}-{key}"
    target.mkdir(parents=True, exist_ok=True)
    with alone_in(target):
        if not is_unpacked(target):
            silent = [
                f"{one.path.name} is not read: no column audio" for one in sources if one not in sounding
            ]
            _unpack(sounding, target, [f"unpacked from {root}", *silent])
    return target


def _parquet_in(folder: Path) -> list[Path]:
    """Return the parquet files in a folder, its splits and its configurations."""
    found = {file for depth in ("", "*/", "*/*/", "*/*/*/") for file in folder.glob(f"{depth}*.parquet")}
    return sorted(f for f in found if not any(p.startswith(".") for p in f.relative_to(folder).parts))


def is_unpacked(root: Path) -> bool:
    """Return whether a folder is one that `folder_of` filled."""
    return (root / _UNPACKED).is_file()


def _unpack(sources: Sequence[ParquetSource], target: Path, notes: list[str]) -> None:
    """Write the audio, the table of recordings and that of windows."""
    recordings, windows = _choose_splits(sources, notes)
    chosen = [source for source in sources if source.split in {*recordings, *windows}]
    needed, free = sum(source.path.stat().st_size for source in chosen), shutil.disk_usage(target).free
    require(
        needed < free or (target / _PARTS).is_dir(),
        f"{target}: {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB free; --data.cache=FOLDER moves it",
    )
    for source in chosen:
        found = ", ".join(sorted(source.columns))
        labelled = source.columns & {*PRIMARY_COLUMNS, *FURTHER_COLUMNS}
        require(bool(labelled), f"{source.path}: no column {' or '.join(PRIMARY_COLUMNS)}; found {found}")
    tasks = [
        (number, source, group) for number, source in enumerate(chosen) for group in range(source.groups)
    ]
    tables: dict[bool, list[pd.DataFrame]] = {True: [], False: []}
    for number, source, group in tqdm(tasks, desc="unpacking", unit="part", delay=2.0):
        part, about = target / _PARTS / f"{number}-{group}.parquet", source.split in windows
        if not part.is_file():
            rows = pd.DataFrame(read_rows(source, group, target, about_soundscapes=about))
            write_table(rows.assign(is_window=_is_windowed(source.split)) if about else rows, part)
        tables[about].append(pd.read_parquet(part))
    require(any(map(len, tables[False])), f"{chosen[0].path}: no rows")
    table = pd.concat(tables[False], ignore_index=True)
    unlabelled = table["primary_label"].eq("")
    if unlabelled.any():
        notes.append(f"recordings without a label are left out: {unlabelled.sum()}")
    write_table(table[~unlabelled], target / METADATA[0])
    if any(map(len, tables[True])):
        write_table(pd.concat(tables[True], ignore_index=True), target / _WINDOWS)
    if any(source.path.parent.name.startswith("partial-") for source in chosen):
        notes.append("the hub converted a part of this set only; its other rows are not here")
    classes = sorted({name for source in chosen for names in source.names.values() for name in names})
    write_atomically(target / _UNPACKED, json.dumps({"classes": classes, "notes": notes}, indent=2))
    shutil.rmtree(target / _PARTS)


def _choose_splits(sources: Sequence[ParquetSource], notes: list[str]) -> tuple[list[str], list[str]]:
    """Return the splits of recordings and of soundscapes; note those that are left out."""
    timed = {source.split: source.is_timed for source in sources}
    recordings = [split for split in timed if split.startswith("train")]
    recordings = recordings or [split for split in timed if not timed[split]]
    require(len(recordings) > 0, f"{sources[0].path.parent}: no split train; found {', '.join(timed)}")
    others = [split for split in timed if split not in recordings and timed[split]]
    windows = [split for split in others if _is_windowed(split)] or others
    for split in timed:
        if split in others and split not in windows:
            notes.append(f"split {split} is not read: {', '.join(windows)} is about the same soundscapes")
        elif split not in {*recordings, *windows}:
            notes.append(f"split {split} is not read: it is held out, and has no {' and '.join(TIMES)}")
    return recordings, windows


def _is_windowed(split: str) -> bool:
    """Return whether the rows of a split are whole windows, not single songs."""
    return re.search(r"_\d+s$", split) is not None


def read_unpacked(root: Path) -> tuple[LabelledWindows, tuple[str, ...]]:
    """Return what was heard in the soundscapes of an unpacked set, and what was noted on the way."""
    said = json.loads((root / _UNPACKED).read_text())
    if not (root / _WINDOWS).is_file():
        return LabelledWindows.none(said["classes"]), tuple(said["notes"])
    table = pd.read_parquet(root / _WINDOWS)
    species = tuple(sorted({*said["classes"], *table["codes"].explode().dropna()}))
    shared = table.groupby("soundscape")["file"].transform("nunique") > 1  # but for the suffix
    table = table.assign(soundscape=table["soundscape"].mask(shared, table["file"]))
    direct = table["is_window"] | table["is_stretch"]
    pieces = [
        _direct_windows(table[direct], species, root),
        _windows_of_events(table[~direct], species, root),
    ]
    return LabelledWindows.joined(pieces), tuple(said["notes"])


def _direct_windows(table: pd.DataFrame, species: tuple[str, ...], root: Path) -> LabelledWindows:
    """Return a window for each stretch that rows are about, and what any of them says is heard."""
    keys = ["soundscape", "begin", "end"]
    group = table.groupby(keys, sort=False).ngroup().to_numpy()
    first = table.drop_duplicates(keys)
    column = {code: i for i, code in enumerate(species)}
    positive = np.zeros((len(first), len(species)), dtype=bool)
    for window, codes in zip(group, table["codes"], strict=True):
        positive[window, [column[code] for code in codes]] = True
    arrays: dict[str, Any] = {name: first[name].to_numpy() for name in (*keys, "site", "start_time")}
    known = positive | first["is_window"].to_numpy(bool)[:, None]
    paths = _paths(first, root)
    return LabelledWindows(species=species, positive=positive, known=known, paths=paths, **arrays)


def _windows_of_events(table: pd.DataFrame, species: tuple[str, ...], root: Path) -> LabelledWindows:
    """Return the windows of soundscapes in which every song has a row."""
    files = table.drop_duplicates("soundscape")
    seconds = dict(zip(files["soundscape"], files["seconds"], strict=True))
    heard = table.explode("codes", ignore_index=True).dropna(subset="codes")
    events = make_events({**heard[["soundscape", "begin", "end"]], "code": heard["codes"]})
    whole = make_events({"soundscape": files["soundscape"], "end": files["seconds"], "kind": COMPLETE})
    found = Annotations(pd.concat([events, whole], ignore_index=True))
    return to_windows(found, seconds, _paths(files, root), species, AnnotationOptions())[0]


def _paths(table: pd.DataFrame, root: Path) -> dict[str, Path]:
    """Return id -> file."""
    files = zip(table["soundscape"], table["file"], strict=True)
    return {str(name): root / SOUNDSCAPES / file for name, file in files}
