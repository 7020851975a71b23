"""How good every threshold would be, and whether a probability means what it says.

A curve of the score over thresholds shows how sharp the choice of one is: its band is over recordings, and so
is the stretch in which the best threshold lies. A reliability diagram sorts predictions into bins of equally
many, and compares the mean probability of each with the share that was true (DeGroot and Fienberg 1983;
expected calibration error after Naeini et al. 2015).
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_array

from core.scoring.metrics import macro, unit_weights
from core.scoring.resampling import Interval, Resampler, summarise

MAX_CANDIDATES = 600
"""Thresholds that are tried; up to as many different values each is tried, beyond them their quantiles."""
QUANTILES = np.round(np.arange(0.50, 0.995, 0.01), 2)
BINS = 10


@dataclass(frozen=True)
class ScoreCurve:
    """The 2022 score over a range of settings of the decision.

    Attributes
    ----------
    kind
        "threshold" (a probability) or "quantile" (of all values, pooled over species).
    positions
        (point,) rising.
    score, low, high
        (point,) the score on these rows, and its pointwise interval over recordings.
    best
        Where the score is highest on these very rows (optimistic), and where it is in resamples.
    confidence
        Of the band and of where the best is.
    """

    kind: str
    positions: np.ndarray
    score: np.ndarray = field(repr=False)
    low: np.ndarray = field(repr=False)
    high: np.ndarray = field(repr=False)
    best: Interval
    confidence: float = 0.95


@dataclass(frozen=True)
class Reliability:
    """Probabilities beside how often they came true, over rows and species pooled.

    Attributes
    ----------
    predicted, observed
        (bin,) mean probability and share of positives.
    low, high
        (bin,) interval of `observed` over recordings.
    count
        (bin,) predictions.
    error
        Expected calibration error: the mean distance of `observed` from `predicted`, weighted by `count`.
        It is never below 0, so few rows make it too high. The bias that resamples show is taken out, which
        at perfect calibration is about 0.4 of it.
    raw_error
        The same as it is usually printed, bias included.
    brier
        Mean squared distance of probability and truth.
    """

    predicted: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray
    count: np.ndarray
    error: Interval
    raw_error: float
    brier: Interval


def scores_at(
    truth: np.ndarray, values: np.ndarray, thresholds: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the 2022 score at many thresholds under many weightings of the rows.

    Parameters
    ----------
    truth
        (row, species) bool.
    values
        (row, species); a row is positive where it reaches the threshold.
    thresholds
        (threshold,) rising, for all species.
    weights
        (resample, row); None: each row once.

    Returns
    -------
    score
        (resample, threshold, species), nan where a species has no positive or no negative row.
    below
        (resample, threshold) share of all values, pooled over species, that are below the threshold.
    """
    weights = unit_weights(len(truth)) if weights is None else weights
    num_rows, num_species = truth.shape
    score = np.empty((len(weights), len(thresholds), num_species))
    below = np.zeros((len(weights), len(thresholds)))
    for species in range(num_species):
        reached = np.searchsorted(thresholds, values[:, species], side="right")  # thresholds it reaches
        is_positive = truth[:, species].astype(bool)
        missed = np.zeros((2, len(weights), len(thresholds)))
        total = np.zeros((2, len(weights), 1))
        for side, chosen in enumerate((is_positive, ~is_positive)):
            rows = np.flatnonzero(chosen)
            bins = csr_array(
                (np.ones(len(rows)), (rows, reached[rows])), shape=(num_rows, len(thresholds) + 1)
            )
            cumulated = np.cumsum(np.asarray(weights @ bins), axis=1)
            missed[side], total[side] = cumulated[:, :-1], cumulated[:, -1:]
        below += missed.sum(axis=0) / num_species
        with np.errstate(invalid="ignore", divide="ignore"):
            score[:, :, species] = (1 - missed[0] / total[0] + missed[1] / total[1]) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return score, below / weights.sum(axis=1, keepdims=True)


def candidates_of(values: np.ndarray) -> np.ndarray:
    """Return rising thresholds that tell values apart: all, or `MAX_CANDIDATES` of their quantiles."""
    found = np.unique(values)
    if len(found) <= MAX_CANDIDATES:
        return found
    return np.unique(np.quantile(values, np.linspace(0, 1, MAX_CANDIDATES)))


def position_of_quantile(below: np.ndarray, quantile: float, num_values: int | np.ndarray) -> np.ndarray:
    """Return which threshold is the quantile of each weighting, (resample,); that of `np.quantile`.

    Parameters
    ----------
    below
        (resample, threshold) of `scores_at`.
    quantile
        Between 0 and 1.
    num_values
        Values of all rows and species, or the sum of their weights, (resample,).
    """
    wanted = np.asarray(quantile * (num_values - 1) + 1).reshape(-1, 1)  # values up to the quantile
    reached = below[:, 1:] * np.asarray(num_values).reshape(-1, 1)
    return np.asarray((reached < wanted - 1e-6).sum(axis=1))


def scores_at_quantile(
    truth: np.ndarray, values: np.ndarray, quantile: float, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return the 2022 score of each species, (resample, species), decided at a quantile.

    Parameters
    ----------
    truth, values
        (row, species).
    quantile
        Between 0 and 1; of all values, pooled over species, each counted by the weight of its row.
    weights
        (resample, row); None: each row once.
    """
    weights = unit_weights(len(truth)) if weights is None else weights
    score, below = scores_at(truth, values, candidates_of(values), weights)
    place = position_of_quantile(below, quantile, weights.sum(axis=1) * truth.shape[1])
    return np.asarray(score[np.arange(len(score)), place])


def middle_of_best(scores: np.ndarray) -> np.ndarray:
    """Return the middle of the candidates that share the highest score, (resample,): edges are luck.

    Parameters
    ----------
    scores
        (resample, candidate), nan where undefined; a row of nan alone gives 0.
    """
    filled = np.where(np.isnan(scores), -np.inf, scores)
    best = filled >= filled.max(axis=1, keepdims=True) - 1e-12
    return np.asarray((np.cumsum(best, axis=1) > best.sum(axis=1, keepdims=True) // 2).argmax(axis=1))


def score_by_threshold(
    truth: np.ndarray, probability: np.ndarray, resampler: Resampler, confidence: float = 0.95
) -> ScoreCurve:
    """Return the 2022 score at every threshold that tells the rows apart.

    Parameters
    ----------
    truth, probability
        (row, species).
    resampler
        Of the rows' recordings.
    confidence
        Of the band.
    """
    candidates = candidates_of(probability)
    chunks = [None, *resampler.chunks()]
    scores = [macro_of(scores_at(truth, probability, candidates, weights)[0]) for weights in chunks]
    return summarise_curve("threshold", candidates, scores[0][0], np.concatenate(scores[1:]), confidence)


def score_by_quantile(
    truth: np.ndarray, probability: np.ndarray, resampler: Resampler, confidence: float = 0.95
) -> ScoreCurve:
    """Return the 2022 score at quantiles of all values from 0.50 to 0.99, taken anew in each resample.

    Parameters
    ----------
    truth, probability, resampler, confidence
        See `score_by_threshold`.
    """
    candidates = candidates_of(probability)

    def at_quantiles(weights: np.ndarray) -> np.ndarray:
        score, below = scores_at(truth, probability, candidates, weights)
        return at_positions_of_quantiles(macro_of(score), below, weights.sum(axis=1) * truth.shape[1])

    own = at_quantiles(unit_weights(len(truth)))[0]
    drawn = np.concatenate([at_quantiles(weights) for weights in resampler.chunks()])
    return summarise_curve("quantile", QUANTILES, own, drawn, confidence)


def at_positions_of_quantiles(means: np.ndarray, below: np.ndarray, num_values: np.ndarray) -> np.ndarray:
    """Return scores (resample, quantile) at `QUANTILES` from those at thresholds, (resample, threshold)."""
    places = [position_of_quantile(below, quantile, num_values) for quantile in QUANTILES]
    return np.take_along_axis(means, np.stack(places, axis=1), axis=1)


def macro_of(score: np.ndarray) -> np.ndarray:
    """Return the mean over defined species, (resample, threshold), of (resample, threshold, species)."""
    return macro(score.reshape(-1, score.shape[-1])).reshape(score.shape[:-1])


def summarise_curve(
    kind: str, positions: np.ndarray, score: np.ndarray, drawn: np.ndarray, confidence: float
) -> ScoreCurve:
    """Return a curve from its values on the rows, (point,), and in resamples, (resample, point)."""
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail], axis=0)
    best = summarise(
        float(positions[middle_of_best(score[None])[0]]), positions[middle_of_best(drawn)], confidence
    )
    return ScoreCurve(kind, positions, score, low, high, best, confidence)


def reliability(
    truth: np.ndarray,
    probability: np.ndarray,
    resampler: Resampler,
    *,
    bins: int = BINS,
    confidence: float = 0.95,
) -> Reliability:
    """Return how often predictions of each height came true.

    Parameters
    ----------
    truth, probability
        (row, species).
    resampler
        Of the rows' recordings.
    bins
        Of equally many predictions each; fewer where many are equal.
    confidence
        Of all intervals.
    """
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, bins + 1)))[1:-1]
    place = np.searchsorted(edges, probability, side="right")  # (row, species)
    number = len(edges) + 1
    sums = np.zeros((len(truth), 3, number))  # of each row: predictions, their probability, positives
    for column in range(truth.shape[1]):
        summands = (np.ones(len(truth)), probability[:, column], truth[:, column].astype(float))
        for kind, summand in enumerate(summands):
            np.add.at(sums[:, kind], (np.arange(len(truth)), place[:, column]), summand)
    sums = sums[:, :, sums[:, 0].any(axis=0)]  # edges lie between values, so a bin can be empty
    squared = ((probability - truth) ** 2).mean(axis=1)

    def measure(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        count, predicted, positives = np.moveaxis(np.tensordot(weights, sums, axes=1), 1, 0)
        error = np.abs(predicted - positives).sum(axis=1) / count.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return positives / count, error, weights @ squared / weights.sum(axis=1)

    own = measure(unit_weights(len(truth)))
    drawn = [np.concatenate(part) for part in zip(*map(measure, resampler.chunks()), strict=True)]
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(drawn[0], [tail, 1 - tail], axis=0)
    count, predicted, _ = sums.sum(axis=0)
    error = float(own[1][0])
    return Reliability(
        predicted / count, own[0][0], low, high, count, without_bias(error, drawn[1], confidence), error,
        summarise(float(own[2][0]), drawn[2], confidence),
    )  # fmt: skip


def without_bias(value: float, drawn: np.ndarray, confidence: float) -> Interval:
    """Return a quantity that is never below 0 less the bias that resampling adds to it once more.

    The interval is the reflected one (Efron and Tibshirani 1993, "basic"), cut off at 0.
    """
    reflected = summarise(value, 2 * value - drawn, confidence)
    corrected = 2 * value - float(np.mean(drawn))
    return Interval(max(corrected, 0.0), max(reflected.low, 0.0), max(reflected.high, 0.0))
