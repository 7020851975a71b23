"""Predictions of soundscapes that `core.inference --probabilities` wrote, and their truth where known."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pyarrow import ArrowException

from core.config import require
from core.data.competition import WINDOW_SECONDS
from core.scoring.predictions import Predictions

ROW = ("file_id", "end_time")


def read_soundscapes(
    probabilities: Path, truth: Path | None = None, counts: Sequence[dict[str, int]] = ()
) -> Predictions:
    """Return the windows of soundscapes, sorted by file and time.

    Parameters
    ----------
    probabilities
        Table, .parquet or .csv: file_id, end_time in seconds, a column per species.
    truth
        Table of `row_id,target`; windows without a row are unknown. None: all are.
    counts
        Species -> recordings that trained, of each network; their mean counts.

    Raises
    ------
    ValueError
        If a file is missing, has other columns or no row about these windows.
    """
    table = read_table("probabilities", probabilities)
    message = f"probabilities={probabilities}: needs file_id, end_time and a column per species"
    require(set(ROW) <= set(table.columns) and len(table.columns) > len(ROW), message)
    species = [str(name) for name in table.columns if name not in ROW]
    table = table.sort_values(list(ROW), ignore_index=True)
    recording, end = table["file_id"].to_numpy(str), table["end_time"].to_numpy(float)
    shape = (len(table), len(species))
    target, known = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    if truth is not None:
        target, known = read_targets("truth", truth, recording, end, species)
    trained = np.mean([[one.get(code, 0) for code in species] for one in counts], axis=0) if counts else 0.0
    return Predictions.of(
        species,
        table[species].to_numpy(float),
        target,
        recording,
        start_seconds=end - WINDOW_SECONDS,
        known=known,
        counts=np.broadcast_to(trained, shape).astype(float),
        name=probabilities.stem,
    )


def read_table(field: str, path: Path) -> pd.DataFrame:
    """Return a table, .parquet or .csv, whose texts stay as they are: a file may be called "nan".

    Raises
    ------
    ValueError
        If it is missing, has another ending or cannot be read; the message names `field`.
    """
    require(path.is_file(), f"{field}={path}: no such file")
    require(path.suffix in {".parquet", ".csv"}, f"{field}={path}: the name must end in .parquet or .csv")
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, dtype={"file_id": str, "row_id": str}, keep_default_na=False)
    except (ArrowException, OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        message = f"{field}={path}: not readable as a table: {error}"
        raise ValueError(message) from error


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
    table = read_table(field, path)
    require({"row_id", "target"} <= set(table.columns), f"{field}={path}: needs columns row_id and target")
    positive = table["target"].astype(str).str.lower().eq("true")
    judgements = dict(zip(table["row_id"], positive, strict=True))
    rows = [
        [judgements.get(f"{name}_{code}_{last:g}") for code in species]
        for name, last in zip(recording, end, strict=True)
    ]
    known = np.array([[one is not None for one in row] for row in rows], dtype=bool)
    require(bool(known.any()), f"{field}={path}: no row about the windows of these probabilities")
    return np.array([[bool(one) for one in row] for row in rows], dtype=bool), known
