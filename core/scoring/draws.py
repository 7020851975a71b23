"""Metrics, or any quantity of weighted recordings, on all bootstrap resamples."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from core.scoring.intervals import QUANTILE, Draws
from core.scoring.metrics import quantile_of_known
from core.scoring.resampling import Resampler
from core.scoring.threshold_ladder import RepickedMetric
from core.scoring.weighted_metrics import SETTLED_METRICS, RankMetric, TopOneMetric, Truth, WeightedMetric

OF_ROWS = ("micro_f1", "top1")
"""Metrics with one column for all species."""
METRICS = ("score", "auc", "average_precision", "padded_average_precision", *OF_ROWS)
"""All that can be asked for.

Padded average precision depends on the size of a set, as its padding does not grow: an interval speaks of
sets of this size.
"""


class MeasuredQuantity:
    """Any quantities of weighted clusters as a `WeightedMetric`, differentiated by leaving clusters out.

    Parameters
    ----------
    name
        Key of the draws.
    measure
        Maps weights (cluster, resample) float32 to (resample, quantity).
    resampler
        Whose clusters are left out, one after the other.
    """

    def __init__(self, name: str, measure: Callable[[np.ndarray], np.ndarray], resampler: Resampler) -> None:
        self.names: tuple[str, ...] = (name,)
        self.measure, self.resampler = measure, resampler

    def values(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return the quantities, (resample, quantity)."""
        return {self.names[0]: self.measure(weights)}

    def gradients(self) -> dict[str, np.ndarray]:
        """Return how much each quantity falls where a cluster is left out, (cluster, quantity)."""
        own = self.measure(np.ones((self.resampler.num_clusters, 1), dtype=np.float32))
        without = np.concatenate([self.measure(weights) for weights in self.resampler.without_each()])
        return {self.names[0]: np.nan_to_num(own - without)}


def draw(metrics: Sequence[WeightedMetric], resampler: Resampler) -> dict[str, Draws]:
    """Return quantities on all resamples, by name.

    Parameters
    ----------
    metrics
        On the resampler's rows.
    resampler
        Draws the weights.
    """
    once = np.ones((resampler.num_clusters, 1), dtype=np.float32)
    values = {name: found[0] for metric in metrics for name, found in metric.values(once).items()}
    pieces: dict[str, list[np.ndarray]] = {name: [] for name in values}
    for weights in resampler.blocks():
        for metric in metrics:
            for name, found in metric.values(weights).items():
                pieces[name].append(found)
    gradients = {name: found for metric in metrics for name, found in metric.gradients().items()}
    return {
        name: Draws(resampler, values[name], np.concatenate(pieces[name]), gradients[name]) for name in values
    }


def draw_quantity(measure: Callable[[np.ndarray], np.ndarray], resampler: Resampler) -> Draws:
    """Return quantities of weighted clusters on all resamples, see `MeasuredQuantity`.

    Examples
    --------
    The mean of four numbers, each a cluster:

    >>> numbers = np.array([1.0, 2.0, 3.0, 6.0])
    >>> mean = lambda weights: (numbers @ weights / weights.sum(axis=0))[:, None]
    >>> print(draw_quantity(mean, Resampler(range(4), np.zeros(4))).interval(method="percentile"))
    3.000 [1.333, 5.000]
    """
    return draw([MeasuredQuantity("quantity", measure, resampler)], resampler)["quantity"]


def draw_metrics(
    truth: np.ndarray,
    probability: np.ndarray,
    resampler: Resampler,
    names: Sequence[str] = METRICS,
    *,
    quantile: float = QUANTILE,
    repicked: bool = True,
    known: np.ndarray | None = None,
) -> dict[str, Draws]:
    """Return metrics of predictions on all resamples, each with a quantity a species.

    Parameters
    ----------
    truth, probability
        (row, species) bool and float.
    resampler
        Of the rows.
    names
        Of `METRICS`.
    quantile, repicked
        See `build_metrics`.
    known
        (row, species) bool, whether somebody said what is true; None: all.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> truth = np.repeat(np.eye(2, dtype=bool), 20, axis=0)
    >>> probability = 1 / (1 + np.exp(-(2 * truth - 1 + generator.normal(size=truth.shape))))
    >>> drawn = draw_metrics(truth, probability, Resampler(range(40), truth[:, 0]), ["auc"])
    >>> print(drawn["auc"].mean().interval())
    0.876 [0.789, 0.942]
    """
    known = None if known is None or known.all() else known
    rows = Truth(truth, resampler.cluster_of_row, known)
    metrics = build_metrics(rows, probability, names, quantile=quantile, repicked=repicked)
    support = clusters_with_positive(truth, resampler.cluster_of_row)
    return {
        name: one
        if name in OF_ROWS
        else replace(one, support=support, reads_high=name == "average_precision")
        for name, one in draw(metrics, resampler).items()
    }


def build_metrics(
    truth: Truth,
    probability: np.ndarray,
    names: Sequence[str] = METRICS,
    *,
    quantile: float = QUANTILE,
    repicked: bool = True,
) -> list[WeightedMetric]:
    """Return metrics of predictions, ready for any weighting.

    Parameters
    ----------
    truth, probability
        Of the rows, and (row, species).
    names
        Of `METRICS`.
    quantile
        The threshold of the 2022 score and of micro F1 is this quantile of all probabilities.
    repicked
        Whether every weighting picks the quantile of its own rows, as the rule would on another set, or all
        share that of the rows themselves.
    """
    found: list[WeightedMetric] = []
    decided = [name for name in names if name in SETTLED_METRICS]
    if decided and repicked:
        found.append(RepickedMetric(truth, probability, quantile, decided))
    elif decided:
        decision = probability >= quantile_of_known(probability, quantile, truth.known)
        found += [SETTLED_METRICS[name](truth, decision) for name in decided]
    ranks = [name for name in names if name in RankMetric.NAMES]
    if ranks:
        found.append(RankMetric(truth, probability, ranks))
    if "top1" in names:
        found.append(TopOneMetric(truth, probability))
    return found


def clusters_with_positive(truth: np.ndarray, cluster_of_row: np.ndarray) -> np.ndarray:
    """Return how many clusters hold a positive row of each species, (species,)."""
    return np.array([len(np.unique(cluster_of_row[column])) for column in truth.T.astype(bool)], dtype=int)
