"""Sign-flip test: whether two models' predictions could be exchanged, recording by recording.

The statistic is the difference of a macro metric, second model minus first. If the models are equally good,
whose prediction of a recording is called the first's is arbitrary; so the two predictions are exchanged in
half of the recordings at random, the metric of both mixtures is computed anew, and p is the share of such
differences that are at least as large as the one observed, the observed one counted among them (Phipson and
Smyth 2010). All clips and species of a recording are exchanged together. For a mean of differences by
recording this is the classical sign-flip test, which holds for areas under curves as well (Bandos, Rockette
and Gur 2005).

Every row is in one mixture or in the other, so that each mixture holds all positives and negatives once. What
is then a sum over rows (the 2022 score, micro F1, top-1 accuracy) or over pairs of rows (the area under the
ROC curve) differs between the mixtures by a sum over recordings, each with the sign of its exchange: an odd
function of the signs has no squares. Nothing is approximated. Average precision is neither, and is computed
for both mixtures anew.

The test is exact where predictions are exchangeable, and finds too little rather than too much where equally
good models differ otherwise: two that trade species, one better at some, the other at others, were told apart
in 2 instead of 5 % of simulated data sets.

Two models' probabilities have different scales: for areas they are replaced by their ranks within species
and model, which changes no area; for the 2022 score and micro F1 decisions are exchanged, each by its own
model's threshold.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.stats import rankdata

from core.scoring.draws import build_metrics
from core.scoring.intervals import QUANTILE
from core.scoring.metrics import macro, quantile_of_known
from core.scoring.resampling import BLOCK
from core.scoring.weighted_metrics import SETTLED_METRICS, Truth, WeightedMetric

ROUNDING = 1e-7  # of float32: a difference less by so much is as large
OF_ROWS_OR_PAIRS = (*SETTLED_METRICS, "auc", "top1")
"""Metrics that are sums over rows or over pairs of rows."""


@dataclass(frozen=True)
class FlipTest:
    """Outcome of a sign-flip test.

    Attributes
    ----------
    difference
        Of the macro metric, second model minus first.
    p
        Two-sided; at least 1 / (flips + 1).
    """

    difference: float
    p: float


def flip_test(
    truth: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    cluster_of_row: np.ndarray,
    name: str,
    *,
    num_flips: int = 5000,
    seed: int = 0,
    quantile: float = QUANTILE,
    known: np.ndarray | None = None,
) -> FlipTest:
    """Test whether two models differ in a macro metric.

    Parameters
    ----------
    truth
        (row, species) bool.
    first, second
        (row, species) probabilities of two models.
    cluster_of_row
        (row,) index of the recording or author.
    name
        Metric, of `core.scoring.intervals.METRICS`.
    num_flips
        Random exchanges.
    seed
        Of the exchanges; they depend on nothing else.
    quantile
        Each model's threshold of the 2022 score is this quantile of its probabilities.
    known
        (row, species) bool, whether somebody said what is true; None: all.

    Examples
    --------
    Of eight recordings the second model is right about two more: that may be luck.

    >>> truth = np.repeat(np.eye(2, dtype=bool), 4, axis=0)
    >>> first = np.where(truth, 0.6, 0.4)
    >>> first[[0, 5]] = 0.5
    >>> second = np.where(truth, 0.6, 0.4)
    >>> found = flip_test(truth, first, second, np.arange(8), "auc")
    >>> print(f"{found.difference:.4f}, p = {found.p:.2f}")
    0.0312, p = 0.51
    """
    number = int(cluster_of_row.max()) + 1
    known = np.ones(truth.shape, dtype=bool) if known is None else known
    metric = _both_models(truth, (first, second), cluster_of_row, name, quantile, known)
    differences = _by_signs(metric, name) if name in OF_ROWS_OR_PAIRS else partial(_of_mixtures, metric, name)
    observed = float(differences(np.ones((number, 1), dtype=np.float32))[0])
    as_large = 0
    for start in range(0, num_flips, BLOCK):
        generator = np.random.default_rng([seed, start // BLOCK])
        kept = generator.integers(0, 2, (number, BLOCK), dtype=np.int8)[:, : num_flips - start]
        found = differences(kept.astype(np.float32))
        as_large += int((np.abs(found) >= abs(observed) - ROUNDING).sum())
    return FlipTest(observed, (1 + as_large) / (1 + num_flips))


def _both_models(
    truth: np.ndarray,
    probability: Sequence[np.ndarray],
    cluster_of_row: np.ndarray,
    name: str,
    quantile: float,
    known: np.ndarray,
) -> WeightedMetric:
    """Return a metric over the rows of both models; clusters of the second follow those of the first."""
    number = int(cluster_of_row.max()) + 1
    clusters = np.concatenate([cluster_of_row, cluster_of_row + number])
    both = None if known.all() else np.concatenate([known, known])
    twice = Truth(np.concatenate([truth, truth]), clusters, both)
    if name in SETTLED_METRICS:
        decisions = [one >= quantile_of_known(one, quantile, known) for one in probability]
        return SETTLED_METRICS[name](twice, np.concatenate(decisions))
    comparable = probability if name == "top1" else [_within_species(one) for one in probability]
    return build_metrics(twice, np.concatenate(list(comparable)), (name,))[0]


def _within_species(probability: np.ndarray) -> np.ndarray:
    """Return each row's rank (row, species), below 1; exact ones, which tie with the padding, stay ones."""
    ranks = rankdata(probability, axis=0) / (len(probability) + 1)
    return np.where(probability == 1, 1.0, ranks)


def _by_signs(metric: WeightedMetric, name: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return what maps kept (cluster, flip) 1 or 0 to second minus first of the macro metric, (flip,).

    The gradient is that where both models' rows count once: twice as many rows as a mixture has, so that its
    part of a recording is half of that in a mixture, and kept minus exchanged is twice that.
    """
    first, second = np.split(macro(metric.gradients()[name]), 2)
    change = 2 * (second - first)
    return lambda kept: np.asarray(change @ (2 * kept - 1))


def _of_mixtures(metric: WeightedMetric, name: str, kept: np.ndarray) -> np.ndarray:
    """Return the same as `_by_signs` does, of both mixtures themselves."""
    first, second = np.concatenate([kept, 1 - kept]), np.concatenate([1 - kept, kept])
    before, after = (macro(metric.values(weights)[name]) for weights in (first, second))
    difference: np.ndarray = after - before
    return difference


def holm(p_values: np.ndarray) -> np.ndarray:
    """Return p-values (test,) corrected for their number by Holm's step-down, in the order given.

    Examples
    --------
    The smallest times 3, the next times 2, the largest at least as much:

    >>> print(holm(np.array([0.04, 0.01, 0.03])))
    [0.06 0.03 0.06]
    """
    order = np.argsort(p_values)
    factors = len(p_values) - np.arange(len(p_values))
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * factors), 1)
    return corrected
