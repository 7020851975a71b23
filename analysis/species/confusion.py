"""What recordings of each species are taken for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from analysis.command import ScoringOptions
from analysis.runs import Run, predictions_of
from core.config import ValidConfig
from core.scoring.draws import draw_quantity
from core.scoring.intervals import Draws
from core.scoring.predictions import Predictions
from core.scoring.resampling import Resampler


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


def confusion_of(run: Run, valid: ValidConfig) -> Confusion:
    """Return what recordings of each species are taken for.

    Parameters
    ----------
    run
        The run.
    valid
        At which quantile of all probabilities a species is called.
    """
    (rows,) = predictions_of([run])
    called, there = calls_of(rows, valid.threshold_quantile)
    blank = np.full(len(rows.species), np.nan)
    share = np.stack([called[clips].mean(axis=0) if clips.any() else blank for clips in there])
    order = order_of(share)
    return Confusion(tuple(rows.species[i] for i in order), share[np.ix_(order, order)])


def calls_of(rows: Predictions, quantile: float) -> tuple[np.ndarray, np.ndarray]:
    """Return what is called (row, species), and whether it is the row's primary species (species, row).

    A call of a species that is in the clip beside its primary one is no confusion, and left out.
    """
    primary = np.array(rows.species)[:, None] == rows.primary[None]
    called = rows.probability >= np.quantile(rows.probability, quantile)
    return called & ~(rows.truth & ~primary.T), primary


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
    run: Run, confusion: Confusion, number: int, options: ScoringOptions
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
    options
        Of the bootstrap behind the intervals.
    """
    (rows,) = predictions_of([run])
    valid = options.settled(run.valid)
    species, (_, there) = rows.species, calls_of(rows, valid.threshold_quantile)
    resampler = rows.resampler(options.by, valid.num_resamples, options.seed)
    place = {code: i for i, code in enumerate(species)}
    share = dict(zip(confusion.species, confusion.share, strict=True))
    column = {code: i for i, code in enumerate(confusion.species)}
    pairs = [(one, other) for one in species for other in species if one != other]
    pairs = [pair for pair in pairs if share[pair[0]][column[pair[1]]] > 0]
    pairs = sorted(pairs, key=lambda pair: -share[pair[0]][column[pair[1]]])[:number]
    if not pairs:
        return []
    places = [(place[one], place[other]) for one, other in pairs]
    drawn = draw_shares(rows, places, valid.threshold_quantile, resampler)
    return [
        {"clips of": one, "taken for": other, "share": interval, "clips": int(there[place[one]].sum())}
        for (one, other), interval in zip(pairs, drawn.intervals(valid.confidence), strict=True)
    ]


def draw_shares(
    rows: Predictions, pairs: Sequence[tuple[int, int]], quantile: float, resampler: Resampler
) -> Draws:
    """Return in which share of the clips of one species another is called, on all resamples.

    Parameters
    ----------
    rows
        With their truth.
    pairs
        Places of the species that is there and of the one that is called.
    quantile
        Of all probabilities, where a species is called.
    resampler
        Of the rows.
    """
    called, there = calls_of(rows, quantile)
    clips = np.stack([there[one] for one, _ in pairs]).astype(float)  # (pair, row)
    hits = clips * np.stack([called[:, other] for _, other in pairs])
    of_cluster = np.zeros((2, resampler.num_clusters, len(pairs)))
    for kind, counted in enumerate((hits, clips)):
        np.add.at(of_cluster[kind], resampler.cluster_of_row, counted.T)

    def shares(weights: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return np.asarray((weights.T @ of_cluster[0]) / (weights.T @ of_cluster[1]))

    return replace(draw_quantity(shares, resampler), support=(of_cluster[1] > 0).sum(axis=0))
