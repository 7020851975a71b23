"""What recordings of each species are taken for."""

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from analysis.runs import Run, align
from core.inference.config import PostConfig
from core.scoring.intervals import few_noted
from core.scoring.resampling import Resampler

QUANTILE = PostConfig().quantile


@dataclass(frozen=True)
class Confusion:
    """What recordings of each species are taken for.

    Attributes
    ----------
    species
        Codes in an order that puts species which are confused beside each other.
    share
        (species that is there, species that is called): share of the clips of the first, as primary label, in
        which the second is called; off the diagonal only where the second is not there. nan without clips.
    """

    species: tuple[str, ...]
    share: np.ndarray


def confusion_of(run: Run) -> Confusion:
    """Return what recordings of each species are taken for."""
    species, called, there = calls_of(run)
    share = np.stack(
        [called[rows].mean(axis=0) if rows.any() else np.full(len(species), np.nan) for rows in there]
    )
    order = order_of(share)
    return Confusion(tuple(species[i] for i in order), share[np.ix_(order, order)])


def calls_of(run: Run) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Return the species, what is called (row, species) and whether it is the row's species (species, row).

    A call of a species that is in the clip beside its primary one is no confusion, and left out.
    """
    aligned = align([run])
    probability, truth = aligned.probability[0], aligned.truth
    primary = np.array(aligned.species)[:, None] == aligned.primary[None]
    called = probability >= np.quantile(probability, QUANTILE)
    return aligned.species, called & ~(truth & ~primary.T), primary


def order_of(share: np.ndarray) -> np.ndarray:
    """Return an order of the species that puts those which are confused beside each other."""
    if len(share) < 3:
        return np.arange(len(share))
    mixed = np.nan_to_num(share)
    mixed = (mixed + mixed.T) / 2
    np.fill_diagonal(mixed, 0)
    distance = mixed.max() - mixed
    np.fill_diagonal(distance, 0)
    return leaves_list(linkage(squareform(distance), "average", optimal_ordering=True))


def confusion_rows(
    run: Run, confusion: Confusion, number: int, num_resamples: int, seed: int
) -> list[dict[str, object]]:
    """Return the table of the most frequent confusions, with intervals over recordings.

    Parameters
    ----------
    run
        The run.
    confusion
        Of it.
    number
        How many at most.
    num_resamples, seed
        Of the bootstrap behind the intervals.
    """
    aligned = align([run])
    species, called, there = calls_of(run)
    resampler = Resampler(aligned.recording, aligned.primary, num_resamples, seed)
    place = {code: i for i, code in enumerate(species)}
    pairs = [
        (float(confusion.share[row, column]), one, other)
        for row, one in enumerate(confusion.species)
        for column, other in enumerate(confusion.species)
        if one != other and confusion.share[row, column] > 0
    ]
    pairs.sort(key=lambda pair: -pair[0])
    rows: list[dict[str, object]] = []
    for _, one, other in pairs[:number]:
        chosen = there[place[one]].astype(float)
        hits = chosen * called[:, place[other]]
        recordings = len(set(aligned.recording[there[place[one]]]))

        def share(
            weights: np.ndarray | None, hits: np.ndarray = hits, chosen: np.ndarray = chosen
        ) -> np.ndarray:
            weights = np.ones((1, len(hits))) if weights is None else weights
            return np.asarray(weights @ hits / (weights @ chosen))

        rows.append(
            {
                "clips of": one,
                "taken for": other,
                "share": few_noted(resampler.interval(share), recordings, "recordings"),
                "clips": int(chosen.sum()),
            }
        )
    return rows
