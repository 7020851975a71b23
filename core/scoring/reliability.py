"""Whether a probability means what it says.

A reliability diagram sorts predictions into bins of equally many, and compares the mean probability of each
with the share that was true (DeGroot and Fienberg 1983; expected calibration error after Naeini et al. 2015).
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr
from scipy.stats import chi2

from core.scoring.draws import draw_quantity
from core.scoring.intervals import CONFIDENCE, Draws, Interval, bounds_of
from core.scoring.resampling import LEAST_VARIANCE, Resampler, sum_by_cluster

BINS = 10


@dataclass(frozen=True)
class Reliability:
    """Probabilities beside how often they came true, over rows and species pooled.

    Attributes
    ----------
    predicted, observed
        (bin,) mean probability and share of positives.
    low, high
        (bin,) interval of `observed` over recordings; nan where all are alike, as in a bin where nothing came
        true.
    count
        (bin,) predictions.
    error
        Expected calibration error: the mean distance of `observed` from `predicted`, weighted by `count`,
        less what it is too high by: a distance is never below 0, so chance alone makes one. 0 without an
        interval: no more than chance makes in any resample.
    raw_error
        The same as it is usually printed, chance included.
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


def reliability(
    truth: np.ndarray,
    probability: np.ndarray,
    resampler: Resampler,
    *,
    bins: int = BINS,
    confidence: float = CONFIDENCE,
) -> Reliability:
    """Return how often predictions of each height came true.

    Parameters
    ----------
    truth, probability
        (row, species) bool and float.
    resampler
        Of the rows' recordings.
    bins
        Of equally many predictions each; fewer where many are equal.
    confidence
        Of all intervals.

    Examples
    --------
    Of four predictions of 0.2 one came true, of four of 0.6 three:

    >>> probability = np.array([[0.2]] * 4 + [[0.6]] * 4)
    >>> truth = np.array([[1], [0], [0], [0], [1], [1], [1], [0]], dtype=bool)
    >>> found = reliability(truth, probability, Resampler(range(8), np.zeros(8)), bins=2)
    >>> print(found.predicted, found.observed, round(found.raw_error, 3))
    [0.2 0.6] [0.25 0.75] 0.1
    """
    drawn, (count, predicted, _) = draw_reliability_numbers(truth, probability, resampler, bins)
    *observed, error, brier = drawn.intervals(confidence)
    error = Interval(max(error.value, 0.0), max(error.low, 0.0), max(error.high, 0.0))
    *observed, error, brier = map(_without_a_point, [*observed, error, brier])
    shares, low, high = bounds_of(observed)
    raw_error = float((np.abs(shares - predicted / count) * count).sum() / count.sum())
    return Reliability(predicted / count, shares, low, high, count, error, raw_error, brier)


def _without_a_point(one: Interval) -> Interval:
    """Return an interval, without bounds where it is a point: no spread is known of what is all alike."""
    is_point = one.high - one.low < LEAST_VARIANCE**0.5
    return replace(one, low=np.nan, high=np.nan) if is_point else one


def draw_reliability_numbers(
    truth: np.ndarray, probability: np.ndarray, resampler: Resampler, bins: int = BINS
) -> tuple[Draws, np.ndarray]:
    """Return the share of positives of each bin, the calibration error and the Brier score on all resamples.

    With them come number, summed probability and positives by bin, (3, bin).

    The distance of a bin that is off by d, with standard error s, is on average that of a folded normal
    distribution; its excess over |d| is subtracted, so the error can fall below 0. No bootstrap holds an
    error of 0, the end of its range: where a chi-square test cannot tell the bins from calibrated ones, the
    interval reaches to 0.

    Parameters
    ----------
    truth, probability, resampler, bins
        See `reliability`.
    """
    clusters = resampler.cluster_of_row
    of_cluster = sum_by_cluster(_sums_of_bins(truth, probability, bins), clusters)
    rows = np.bincount(clusters)
    squared = sum_by_cluster(((probability - truth) ** 2).mean(axis=1), clusters)
    totals = of_cluster.sum(axis=0)
    total, predicted, positives = totals
    off = (positives - predicted) / total
    influences = (of_cluster[:, 2] - of_cluster[:, 1] - of_cluster[:, 0] * off) / total  # (cluster, bin)
    covariance = resampler.covariance(influences)
    chance = np.sqrt(np.diag(covariance))
    statistic = off @ np.linalg.pinv(covariance, rcond=1e-9, hermitian=True) @ off
    is_calibrated = chi2.sf(statistic, len(off)) > 1 - CONFIDENCE
    reach = np.full(len(off) + 2, np.nan)
    reach[-2] = 0.0 if is_calibrated else np.nan

    def measure(weights: np.ndarray) -> np.ndarray:
        count, predicted, positives = np.moveaxis(np.tensordot(weights.T, of_cluster, axes=1), 1, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = positives / count
            distance = np.abs(predicted - positives) / count
            brier = squared @ weights / (rows @ weights)
            parts = np.where(count > 0, count * (2 * distance - _folded_mean(distance, chance)), 0)
            error = parts.sum(axis=1) / count.sum(axis=1)
        return np.concatenate([share, error[:, None], brier[:, None]], axis=1)

    return replace(draw_quantity(measure, resampler), reach=reach), totals


def _folded_mean(mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Return the mean absolute value of normal numbers, by their mean and standard deviation."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(deviation > 0, mean / deviation, np.inf)
    chance = deviation * np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2)
    return np.asarray(chance + mean * (1 - 2 * ndtr(-ratio)))


def _sums_of_bins(truth: np.ndarray, probability: np.ndarray, bins: int) -> np.ndarray:
    """Return number, summed probability and positives of each row by bin, (row, 3, bin)."""
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, bins + 1)))[1:-1]
    place = np.searchsorted(edges, probability, side="right")  # (row, species)
    sums = np.zeros((len(truth), 3, len(edges) + 1))
    for column in range(truth.shape[1]):
        summands = (np.ones(len(truth)), probability[:, column], truth[:, column].astype(float))
        for kind, summand in enumerate(summands):
            np.add.at(sums[:, kind], (np.arange(len(truth)), place[:, column]), summand)
    return sums[:, :, sums[:, 0].any(axis=0)]  # edges lie between values, so a bin can be empty
