"""Predictions of soundscapes that `core.inference --probabilities` wrote, and their truth where known."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from core.config import require
from core.data.soundscapes import WINDOW_SECONDS, read_targets
from core.data.tables import numbers, read_table
from core.scoring.predictions import Predictions

ROW = ("file_id", "end_time")
ORIGIN = ("site", "start_time")


def read_soundscapes(
    probabilities: Path, truth: Path | None = None, counts: Sequence[dict[str, int]] = ()
) -> Predictions:
    """Return the windows of soundscapes, sorted by file and time.

    Parameters
    ----------
    probabilities
        Table, .parquet or .csv: file_id, end_time in seconds, a column per species; site and start_time may
        be there.
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
    require(set(ROW) <= set(table.columns) and len(_species_of(table)) > 0, message)
    table = table.assign(end_time=numbers(table, "end_time", probabilities))
    table = table.sort_values(list(ROW), ignore_index=True)
    return predictions_of_windows(table, probabilities, truth, counts)


def predictions_of_windows(
    table: pd.DataFrame, file: Path, truth: Path | None = None, counts: Sequence[dict[str, int]] = ()
) -> Predictions:
    """Return the windows of a table in its order; see `read_soundscapes`, whose `file` holds it."""
    species = _species_of(table)
    table = table.assign(**{name: numbers(table, name, file) for name in ("end_time", *species)})
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
        name=file.stem,
        **{name: table[name].to_numpy(str) for name in ORIGIN if name in table},
    )


def _species_of(table: pd.DataFrame) -> list[str]:
    """Return the columns that are species."""
    return [str(name) for name in table.columns if name not in ROW + ORIGIN]
