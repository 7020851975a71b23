"""Predictions of one run as thresholds are fitted to them, with what trained behind each row."""

import numpy as np
import pandas as pd

from analysis.runs import Run, align
from analysis.units import Unit, exchanged_units
from core.checkpoint import CheckpointError
from core.inference.tune import counts_of_rows
from core.scoring.cross_fit import Observations


def observations_of(run: Run, by: Unit = "recording") -> Observations:
    """Return a run's predictions with their truth.

    Parameters
    ----------
    run
        The run.
    by
        What is never divided between fitting and judging: a recording, or all of an author's.

    Raises
    ------
    ValueError
        If the run validated nothing.
    """
    aligned = align([run])
    return Observations(
        aligned.probability[0],
        aligned.truth,
        exchanged_units(aligned, by),
        aligned.primary,
        train_counts(run, aligned.species),
        aligned.species,
    )


def train_counts(run: Run, species: tuple[str, ...]) -> np.ndarray:
    """Return the recordings that trained the network which judged each row, (row, species).

    The checkpoints know. Without them the recordings of the run's other folds are counted, by primary
    species: those trained for certain. A single fold without its checkpoint has zeros: nothing is known.

    Parameters
    ----------
    run
        The run.
    species
        Codes.
    """
    folds = run.predictions["fold"].to_numpy()
    try:
        return counts_of_rows([str(run.folder)], [len(folds)], folds, species)
    except CheckpointError:
        table = run.predictions.drop_duplicates("recording")
        by_fold = pd.crosstab(table["fold"], table["species"]).reindex(columns=list(species), fill_value=0)
        others = by_fold.sum(axis=0) - by_fold
        return others.loc[folds].to_numpy(float)
