"""What clips of each species are taken for."""

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from core.scoring.predictions import Predictions


@dataclass(frozen=True)
class Confusion:
    """What clips of each species are taken for.

    Attributes
    ----------
    species
        Codes in an order that puts species which are confused beside each other.
    share
        (species that is there, species that is called): share of the clips of the first, as primary label, in
        which the second is called; off the diagonal only where the second is not there. nan without clips.
    num_clips
        (species,) clips whose primary label it is.
    """

    species: tuple[str, ...]
    share: np.ndarray
    num_clips: np.ndarray


def confusion_of(rows: Predictions, quantile: float) -> Confusion:
    """Return what clips of each species are taken for.

    Parameters
    ----------
    rows
        Validated clips.
    quantile
        Of all probabilities, at which a species is called.

    Examples
    --------
    One of two clips of the owl is taken for a lark:

    >>> probability = np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.7]])
    >>> truth = np.array([[True, False], [True, False], [False, True]])
    >>> primary = np.array(["owl", "owl", "lark"])
    >>> rows = Predictions.of(["owl", "lark"], probability, truth, np.array(list("abc")), primary=primary)
    >>> confusion_of(rows, 0.5).share
    array([[0.5, 0.5],
           [0. , 1. ]])
    """
    called, there = called_and_there(rows, quantile)
    num_clips = there.sum(axis=1)
    with np.errstate(invalid="ignore"):
        share = there.astype(float) @ called / num_clips[:, None]
    order = similarity_order(share)
    return Confusion(tuple(rows.species[i] for i in order), share[np.ix_(order, order)], num_clips[order])


def called_and_there(rows: Predictions, quantile: float) -> tuple[np.ndarray, np.ndarray]:
    """Return what is called and what is there.

    Returns
    -------
    called
        (row, species) bool: the species reaches the quantile of all probabilities. A call of a species that
        is in the clip beside its primary one is no confusion, and left out.
    there
        (species, row) bool: the species is the row's primary one.
    """
    there = np.array(rows.species)[:, None] == rows.primary[None]
    called = rows.probability >= np.quantile(rows.probability, quantile)
    return called & ~(rows.truth & ~there.T), there


def similarity_order(share: np.ndarray) -> np.ndarray:
    """Return an order (species,) of an unordered `Confusion.share` that puts confused species together."""
    if len(share) < 3:
        return np.arange(len(share))
    mixed = np.nan_to_num(share)
    mixed = (mixed + mixed.T) / 2
    np.fill_diagonal(mixed, 0)
    distance = mixed.max() - mixed
    np.fill_diagonal(distance, 0)
    return leaves_list(linkage(squareform(distance), "average", optimal_ordering=True))
