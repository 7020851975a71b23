"""The most frequent confusions of a run, with intervals over recordings."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from analysis.command import ScoringOptions
from analysis.runs import Run, predictions_of
from core.scoring.confusion import Confusion, called_and_there
from core.scoring.draws import draw_quantity
from core.scoring.intervals import Draws
from core.scoring.predictions import Predictions
from core.scoring.resampling import Resampler, sum_by_cluster


def confusion_rows(
    run: Run, confusion: Confusion, number: int, options: ScoringOptions
) -> list[dict[str, object]]:
    """Return the table of the most frequent confusions, with intervals over recordings.

    Parameters
    ----------
    run, confusion
        The run, and what its clips are taken for.
    number
        How many at most.
    options
        Of the bootstrap behind the intervals.
    """
    (rows,) = predictions_of([run])
    valid = options.settled(run.valid)
    shares = confusion.share * ~np.eye(len(confusion.species), dtype=bool)
    found = np.argwhere(shares > 0)  # (pair, 2)
    found = found[np.argsort(-shares[tuple(found.T)], kind="stable")][:number]
    if len(found) == 0:
        return []
    pairs = [(confusion.species[one], confusion.species[other]) for one, other in found]
    places = [(rows.species.index(one), rows.species.index(other)) for one, other in pairs]
    resampler = rows.resampler(options.by, valid.num_resamples, options.seed)
    drawn = draw_confusions(rows, places, valid.threshold_quantile, resampler)
    return [
        {"clips of": one, "taken for": other, "share": interval, "clips": int(confusion.num_clips[place])}
        for (one, other), place, interval in zip(
            pairs, found[:, 0], drawn.intervals(valid.confidence), strict=True
        )
    ]


def draw_confusions(
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
    called, there = called_and_there(rows, quantile)
    clips = np.stack([there[one] for one, _ in pairs]).astype(float)  # (pair, row)
    hits = clips * np.stack([called[:, other] for _, other in pairs])
    of_cluster = [sum_by_cluster(counted.T, resampler.cluster_of_row) for counted in (hits, clips)]

    def shares(weights: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return np.asarray((weights.T @ of_cluster[0]) / (weights.T @ of_cluster[1]))

    return replace(draw_quantity(shares, resampler), support=(of_cluster[1] > 0).sum(axis=0))
