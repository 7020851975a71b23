"""What is known of the windows of soundscapes: probabilities, decisions, truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pyarrow import ArrowException

from core.config import require

QUANTILE = 0.85
"""Of all probabilities: the decision where no submission is given, as in `core.inference`."""


@dataclass(frozen=True)
class Predictions:
    """What is known of the windows of soundscapes.

    Attributes
    ----------
    species
        Codes.
    windows
        File id -> (window,) end times in seconds.
    probability, target, truth
        File id -> (window, species); target 1 where detected; truth nan where nobody judged.
    rule
        How it was decided, in words.
    """

    species: tuple[str, ...]
    windows: Mapping[str, np.ndarray]
    probability: Mapping[str, np.ndarray]
    target: Mapping[str, np.ndarray]
    truth: Mapping[str, np.ndarray]
    rule: str


def read_predictions(probabilities: Path, submission: Path | None, truth: Path | None) -> Predictions:
    """Return the predictions that `core.inference --probabilities` wrote, with decisions and truth.

    Raises
    ------
    ValueError
        If a file is missing or has other columns.
    """
    table = read_table("probabilities", probabilities)
    message = f"probabilities={probabilities}: needs file_id, end_time and a column per species"
    require({"file_id", "end_time"} <= set(table.columns) and len(table.columns) > 2, message)
    species = tuple(str(name) for name in table.columns if name not in {"file_id", "end_time"})
    table = table.sort_values(["file_id", "end_time"], ignore_index=True)
    by_file = {str(name): part for name, part in table.groupby("file_id", sort=True)}
    windows = {name: part["end_time"].to_numpy(float) for name, part in by_file.items()}
    values = {name: part[list(species)].to_numpy(float) for name, part in by_file.items()}
    if submission is not None:
        target = read_targets(submission, "submission", windows, species)
        rule = f"Detections are those of {submission.name}"
    else:
        limit = float(np.quantile(table[list(species)].to_numpy(float), QUANTILE))
        target = {name: (value >= limit).astype(float) for name, value in values.items()}
        rule = f"A species counts as detected where it reaches {limit:.3g}, the {QUANTILE:g} quantile of all"
    known = unknown(windows, species) if truth is None else read_targets(truth, "truth", windows, species)
    return Predictions(species, windows, values, target, known, rule)


def read_table(field: str, path: Path) -> pd.DataFrame:
    """Return a table, .parquet or .csv, whose texts stay as they are: a file may be called "nan".

    Raises
    ------
    ValueError
        If it is missing, has another ending or cannot be read.
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


def unknown(windows: Mapping[str, np.ndarray], species: Sequence[str]) -> dict[str, np.ndarray]:
    """Return a table of nan for every file."""
    return {name: np.full((len(ends), len(species)), np.nan) for name, ends in windows.items()}


def read_targets(
    path: Path, field: str, windows: Mapping[str, np.ndarray], species: Sequence[str]
) -> dict[str, np.ndarray]:
    """Return (window, species) of 1, 0, or nan where a table of `row_id,target` has no row.

    Raises
    ------
    ValueError
        If the table is missing or lacks a column, or has no row of these soundscapes.
    """
    table = read_table(field, path)
    require({"row_id", "target"} <= set(table.columns), f"{field}={path}: needs columns row_id and target")
    positive = table["target"].astype(str).str.lower().eq("true")
    judgements = dict(zip(table["row_id"], positive.astype(float), strict=True))
    found = {
        name: np.array(
            [[judgements.get(f"{name}_{code}_{end:g}", np.nan) for code in species] for end in ends]
        )
        for name, ends in windows.items()
    }
    judged = any(np.isfinite(values).any() for values in found.values())
    require(judged, f"{field}={path}: no row about the windows of these probabilities")
    return found
