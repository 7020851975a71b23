"""What each recording teaches and what it holds: training targets, loss masks, loss weights, the truth."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

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

    Attributes
    ----------
    target
        (recording, species) float32, what training aims at: 1 for the primary label, secondary labels as
        configured.
    mask
        (recording, species) float32: 0 where a label is left out of the loss, else 1.
    weight
        (recording,) float32 loss weight from the rating.
    truth
        (recording, species) bool, what validation is judged by: primary and secondary labels, whatever
        training makes of the latter.
    """

    target: np.ndarray
    mask: np.ndarray
    weight: np.ndarray
    truth: np.ndarray

    def taught(self, recording: int) -> Taught:
        """Return what the clips of a recording are taught."""
        return Taught(self.target[recording], self.mask[recording], self.weight[recording])


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
    primary = np.zeros((len(recordings), len(column)), dtype=bool)
    secondary = np.zeros_like(primary)
    for row, (code, others) in enumerate(zip(recordings["species"], recordings["secondary"], strict=True)):
        if code in column:
            primary[row, column[code]] = True
        secondary[row, [column[other] for other in others]] = True
    secondary &= ~primary
    target = primary.astype(np.float32)
    target[secondary] = {"positive": 1.0, "weight": config.secondary_weight, "mask": 0.0}[config.secondary]
    mask = np.ones_like(target)
    if config.secondary == "mask":
        mask[secondary] = 0.0
    return Labels(target, mask, rating_weights(recordings, config), primary | secondary)
