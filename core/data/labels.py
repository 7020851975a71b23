"""What each recording teaches and what it holds: training targets, loss masks, loss weights, the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import coo_array, csr_array

from core.config import DataConfig
from core.data.competition import Competition
from core.data.ratings import rating_weights


class Taught(NamedTuple):
    """What a clip is taught."""

    target: np.ndarray
    """(species,) float32."""
    mask: np.ndarray
    """(species,) float32: 0 where a species is left out of the loss."""
    weight: np.floating
    """Of its loss."""


@dataclass(frozen=True)
class Labels:
    """Labels of all recordings, by their position in the competition's table; built once a run.

    Only what a recording holds is kept, so that ten thousand species of half a million recordings take some
    megabytes.

    Attributes
    ----------
    held
        (recording, species) bool: primary and secondary labels, whatever training makes of the latter.
    target
        (recording, species) float32, what training aims at: 1 for the primary label, secondary labels as
        configured.
    left_out
        (recording, species) bool: labels that are left out of the loss.
    weight
        (recording,) float32 loss weight from the rating.
    """

    held: csr_array
    target: csr_array
    left_out: csr_array
    weight: np.ndarray

    def taught(self, recording: int) -> Taught:
        """Return what the clips of a recording are taught."""
        target, mask = np.zeros(self.held.shape[1], np.float32), np.ones(self.held.shape[1], np.float32)
        for one, row, value in ((self.target, target, None), (self.left_out, mask, 0.0)):
            part = slice(one.indptr[recording], one.indptr[recording + 1])
            row[one.indices[part]] = one.data[part] if value is None else value
        return Taught(target, mask, self.weight[recording])

    def truth(self, recordings: np.ndarray, columns: Sequence[int]) -> np.ndarray:
        """Return what validation is judged by, (recording, column) bool, of some recordings and species."""
        return np.asarray(self.held[recordings][:, columns].toarray())


def build_labels(competition: Competition, config: DataConfig) -> Labels:
    """Return the labels of all recordings.

    Parameters
    ----------
    competition
        Recordings, and the species in the order of the columns. A primary label that is no species
        (a call-free recording's) marks none.
    config
        `secondary`, `secondary_weight`, `use_ratings` and `unrated`.
    """
    column = {code: i for i, code in enumerate(competition.species)}
    recordings = competition.recordings
    shape = (len(recordings), len(column))
    primary = recordings["species"].map(column)
    others = recordings["secondary"].explode().dropna()
    row_of = np.flatnonzero(primary.notna())
    primary_pairs = (row_of, primary.dropna().to_numpy(np.int64))
    rows, columns = recordings.index.get_indexer(others.index), others.map(column).to_numpy(np.int64)
    is_new = primary.to_numpy()[rows] != columns
    pairs = pd.DataFrame({"row": rows[is_new], "column": columns[is_new]}).drop_duplicates()
    secondary_pairs = (pairs["row"].to_numpy(), pairs["column"].to_numpy())

    def table(kind: type, *parts: tuple[tuple[np.ndarray, np.ndarray], float]) -> csr_array:
        values: list[np.ndarray] = [
            np.zeros(0, kind),
            *(np.full(len(pair[0]), value, kind) for pair, value in parts),
        ]
        places = tuple(np.concatenate([row_of[:0], *(pair[axis] for pair, _ in parts)]) for axis in (0, 1))
        return coo_array((np.concatenate(values), places), shape=shape).tocsr()

    value = {"positive": 1.0, "weight": config.secondary_weight, "mask": 0.0}[config.secondary]
    return Labels(
        held=table(np.bool_, (primary_pairs, 1), (secondary_pairs, 1)),
        target=table(np.float32, (primary_pairs, 1.0), (secondary_pairs, value)),
        left_out=table(np.bool_, *([(secondary_pairs, 1)] if config.secondary == "mask" else [])),
        weight=rating_weights(recordings, config),
    )
