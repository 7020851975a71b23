"""What a run trains and judges, kept in its folder, so that a resumed run goes on with the same.

`items.parquet` holds a row for each recording, labelled window and background file: its fold, labels and
length; the order of species and the number of processes are in its attributes. Names are relative, so that
data may move.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from core.data.loaders import RunData
from core.run_folder import RunFolder

ITEMS = "items.parquet"
KEY = ["kind", "name", "begin", "copy"]
_SHOWN = 3


def describe_items(data: RunData, num_processes: int) -> pd.DataFrame:
    """Return what a run trains and judges.

    Parameters
    ----------
    data
        Of the run.
    num_processes
        That train: what is drawn for dropout and mixup depends on their number.

    Returns
    -------
    DataFrame
        `kind` (recording, window, background), `name`, `begin` (seconds of a window), `copy` (number among
        those of one name), `fold`, `labels`, `unknown` (species of a window that nobody told), `samples` (0:
        unusable).
    """
    competition, windows, items = data.competition, data.soundscapes.windows, data.soundscapes
    species = competition.species
    recordings = {
        "kind": "recording",
        "name": competition.recordings["recording"].to_numpy(str),
        "begin": 0.0,
        "fold": data.folds,
        "labels": _codes(data.labels.held, species),
        "unknown": "",
        "samples": data.store.lengths,
    }
    labelled = {
        "kind": "window",
        "name": windows.soundscape.astype(str),
        "begin": windows.begin,
        "fold": items.folds,
        "labels": _codes(windows.positive, windows.species),
        "unknown": _codes(~windows.known, windows.species),
        "samples": items.store.lengths[items.entry],
    }
    noise = {
        "kind": "background",
        "name": [path.name for store in data.noise for path in store.paths],
        "begin": 0.0,
        "fold": -1,
        "labels": "",
        "unknown": "",
        "samples": np.concatenate([store.lengths for store in data.noise] or [np.zeros(0, np.int64)]),
    }
    table = pd.concat([pd.DataFrame(part) for part in (recordings, labelled, noise)], ignore_index=True)
    table.insert(3, "copy", table.groupby(KEY[:3]).cumcount())
    table.attrs = {
        "species": list(species),
        "scored species": list(competition.scored),
        "number of processes": num_processes,
    }
    return table


def refuse_changed_items(folder: RunFolder, now: pd.DataFrame) -> None:
    """Refuse to continue a run, or the folds of its group, on other items than those it began with.

    Parameters
    ----------
    folder
        Of the run.
    now
        From `describe_items`.

    Raises
    ------
    ValueError
        Names what changed.
    """
    group = sorted(folder.path.parent.glob(f"{folder.stamp}-*fold*/{ITEMS}"))
    own = folder.path / ITEMS
    for file in [own] if own.is_file() else group[:1]:
        before = pd.read_parquet(file)
        if change := _first_change(before, now):
            message = (
                f"--resume continues {file.parent}, but {change}; "
                "restore that, or start a new run without --resume"
            )
            raise ValueError(message)


def _codes(matrix: np.ndarray | csr_array, species: Sequence[str]) -> list[str]:
    """Return the codes that each row of a (row, species) bool matrix holds, joined by blanks."""
    names, held = np.array(species, dtype=object), csr_array(matrix)
    held.sort_indices()
    codes = names[held.indices]
    return [" ".join(codes[start:stop]) for start, stop in itertools.pairwise(held.indptr)]


def _difference(before: object, now: object) -> str:
    """Return what two attributes do not share."""
    if not isinstance(before, list) or not isinstance(now, list):
        return f"{before} before and {now} now"
    gone = [code for code in before if code not in now]
    new = [code for code in now if code not in before]
    parts = [
        f"{word}: {', '.join(codes[:_SHOWN])}" for word, codes in (("gone", gone), ("new", new)) if codes
    ]
    return "; ".join(parts) or "their order"


def _first_change(before: pd.DataFrame, now: pd.DataFrame) -> str:
    """Return what differs between two tables of items, "" for nothing."""
    for name, value in before.attrs.items():
        if now.attrs[name] != value:
            return f"the {name} changed, {_difference(value, now.attrs[name])}"
    old, new = before.set_index(KEY), now.set_index(KEY)
    for what, names in (
        ("new", new.index.difference(old.index)),
        ("gone", old.index.difference(new.index)),
    ):
        if len(names):
            return f"{len(names)} items are {what}, such as {names[0][0]} {names[0][1]}"
    new = new.loc[old.index]
    for column in old.columns:
        differs = np.flatnonzero(old[column].to_numpy() != new[column].to_numpy())
        if len(differs):
            kind, name, *_ = old.index[differs[0]]
            change = f"{old[column].iloc[differs[0]]!r} before and {new[column].iloc[differs[0]]!r} now"
            return f"{column} of {len(differs)} items changed, such as {kind} {name}: {change}"
    if not old.index.equals(now.set_index(KEY).index):
        return "the order of the items changed"
    return ""
