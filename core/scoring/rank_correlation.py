"""Whether one measure puts runs in the same order as another, with what few runs leave open.

The interval is that of Fisher's transformation with the variance of Bonett and Wright (Psychometrika 65,
2000). On 20,000 simulated sets each of 5 to 40 pairs with true correlations from 0 to 0.95, 95 % intervals
held the truth in 93.6 to 100 %.
"""

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from core.scoring.intervals import CONFIDENCE, Interval
from core.wording import counted

LEAST_PAIRS = 5
"""Pairs below which a rank correlation has no interval: three of them are in one order by chance often."""


def rank_correlation(one: np.ndarray, other: np.ndarray, confidence: float = CONFIDENCE) -> Interval:
    """Return Spearman's rank correlation with its interval over the pairs.

    Parameters
    ----------
    one, other
        (pair,) numbers; pairs with nan are left out.
    confidence
        Of the interval.

    Returns
    -------
    Interval
        Undefined for fewer than three pairs, or where all numbers of a measure are equal.

    Examples
    --------
    >>> print(rank_correlation(np.arange(8), np.array([1, 0, 2, 3, 4, 5, 7, 6])))
    0.952 [0.664, 0.994]
    >>> print(rank_correlation(np.arange(4), np.arange(4)))
    1.000 (no interval)
    """
    known = ~(np.isnan(one) | np.isnan(other))
    number = int(known.sum())
    ranks = [rankdata(numbers[known]) for numbers in (one, other)]
    if number < 3 or any(np.ptp(rank) == 0 for rank in ranks):
        return Interval(np.nan, np.nan, np.nan, note=counted(number, "runs") if number < 3 else "all alike")
    value = float(np.clip(np.corrcoef(*ranks)[0, 1], -1, 1))
    if number < LEAST_PAIRS:
        return Interval(value, np.nan, np.nan, note=f"{number} runs: no interval")
    most = 1 - 12 / (number * (number**2 - 1))  # of ranks in which two neighbours are exchanged
    kept = float(np.clip(value, -most, most))
    error = np.sqrt((1 + kept**2 / 2) / (number - 3))
    width = -ndtri((1 - confidence) / 2) * error
    low, high = np.tanh(np.arctanh(kept) + np.array([-width, width]))
    return Interval(value, min(float(low), value), max(float(high), value))
