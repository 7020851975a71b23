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
    place = {code: i for i, code in enumerate(rows.species)}
    shares = {
        (one, other): confusion.share[i, j]
        for i, one in enumerate(confusion.species)
        for j, other in enumerate(confusion.species)
        if one != other and confusion.share[i, j] > 0
    }
    pairs = sorted(shares, key=lambda pair: (-shares[pair], place[pair[0]], place[pair[1]]))[:number]
    if not pairs:
        return []
    num_clips = dict(zip(confusion.species, confusion.num_clips.tolist(), strict=True))
    places = [(place[one], place[other]) for one, other in pairs]
    resampler = rows.resampler(options.by, valid.num_resamples, options.seed)
    drawn = draw_confusions(rows, places, valid.threshold_quantile, resampler)
    return [
        {"clips of": one, "taken for": other, "share": interval, "clips": num_clips[one]}
        for (one, other), interval in zip(pairs, drawn.intervals(valid.confidence), strict=True)
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
