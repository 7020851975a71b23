"""All metrics of one set of predictions on all resamples, and their intervals per species and macro."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.scoring.metrics import macro
from core.scoring.resampling import Influence, Interval, Method, Resampler, summarise
from core.scoring.threshold_ladder import RepickedMetric
from core.scoring.weighted_metrics import DecisionMetric, RankMetric, TopOneMetric, WeightedMetric

MANY = 1 / 3  # of all species: from here on few recordings bias cmAP, see below
FAR_TOO_FEW, TOO_FEW = 4, 10
"""Recordings of a species below which it has no interval, or one with a note.

`benchmarks.coverage` finds that adjusted 95 % intervals of single species hold the true 2022 score or ROC-AUC
in 92 to 98 % of data sets from ten recordings on, in 85 to 97 % with four to nine, with three in 73 to 82 %,
with two in half. Means over species do not suffer: 95 % with twenty species of 2 to 30 recordings, but for
cmAP: average precision of few positives is too high on average, which no interval makes good (73 % there, but
94 % where two of eight species have fewer than ten).
"""


METRICS = ("score", "auc", "average_precision", "padded_average_precision", "top1")
"""All that can be asked for; top1 has one column for all species.

Padded average precision depends on the size of a set, as its padding does not grow: an interval speaks
of sets of this size (and holds their mean macro value in 94 % of simulated data sets).
"""


@dataclass(frozen=True)
class Bootstrapped:
    """Metrics on the rows themselves and on every resample.

    Attributes
    ----------
    resampler
        What was drawn.
    values
        Metric -> (species,).
    drawn
        Metric -> (resample, species).
    gradients
        Metric -> (cluster, species), derivative by the clusters' weights.
    clusters
        (species,) clusters with a positive row.
    unit
        What the clusters are, in the plural.
    """

    resampler: Resampler
    values: dict[str, np.ndarray]
    drawn: dict[str, np.ndarray]
    gradients: dict[str, np.ndarray]
    clusters: np.ndarray
    unit: str = "recordings"

    def species_intervals(
        self, name: str, confidence: float = 0.95, method: Method = "adjusted"
    ) -> list[Interval]:
        """Return a metric of each species with its interval, noted or left open where clusters are few."""
        found = []
        for species, value in enumerate(self.values[name]):
            influence = self.resampler.influence(self.gradients[name][:, species])
            drawn = self.drawn[name][:, species]
            interval = summarise(float(value), drawn, confidence, influence, method)
            if influence.standard_error == 0:  # a point would be no interval
                interval = without_bounds(interval, f"{self.unit} all alike: no interval")
            number = int(self.clusters[species]) if len(self.clusters) == len(self.values[name]) else TOO_FEW
            found.append(few_noted(interval, number, self.unit))
        return found

    def macro_interval(self, name: str, confidence: float = 0.95, method: Method = "adjusted") -> Interval:
        """Return the mean over the species that are defined, with its interval.

        `num_dropped` counts the resamples that lack one of these species.
        """
        value = float(macro(self.values[name][None])[0])
        influence = self.resampler.influence(self.macro_gradient(name))
        interval = summarise(value, self.macro_drawn(name), confidence, influence, method)
        return replace(interval, num_dropped=self.num_lacking(name), note=self._macro_note(name, influence))

    def _macro_note(self, name: str, influence: Influence) -> str:
        """Return what the interval of a mean leaves out, or hangs on."""
        defined = ~np.isnan(self.values[name])
        if not defined.any():
            return ""
        if influence.effective_clusters < FAR_TOO_FEW:
            return f"about {influence.effective_clusters:.0f} {self.unit} carry its variance"
        if len(defined) != len(self.clusters):  # top-1, one column for all species
            return ""
        number = self.clusters[defined]
        if (number == 1).any():
            return f"misses the uncertainty of {(number == 1).sum()} species with a single {self.unit[:-1]}"
        if name == "average_precision" and (number < TOO_FEW).mean() > MANY:
            return f"reads high: {(number < TOO_FEW).sum()} species with fewer than {TOO_FEW} {self.unit}"
        return ""

    def macro_drawn(self, name: str) -> np.ndarray:
        """Return the macro mean of each resample, (resample,).

        A species that a resample lacks counts there with its value on the rows themselves: a mean over fewer
        species would be another quantity.
        """
        defined = ~np.isnan(self.values[name])
        if not defined.any():
            return np.full(len(self.drawn[name]), np.nan)
        drawn = self.drawn[name][:, defined]
        mean: np.ndarray = np.where(np.isnan(drawn), self.values[name][defined], drawn).mean(axis=1)
        return mean

    def num_lacking(self, name: str) -> int:
        """Return in how many resamples a species is undefined that is defined on the rows themselves."""
        defined = ~np.isnan(self.values[name])
        return int(np.isnan(self.drawn[name][:, defined]).any(axis=1).sum())

    def macro_gradient(self, name: str) -> np.ndarray:
        """Return the derivative of the macro mean, (cluster,)."""
        defined = ~np.isnan(self.values[name])
        if not defined.any():
            return np.full(self.resampler.num_clusters, np.nan)
        gradient: np.ndarray = self.gradients[name][:, defined].mean(axis=1)
        return gradient


def build_metrics(
    truth: np.ndarray,
    probability: np.ndarray,
    cluster_of_row: np.ndarray,
    names: Sequence[str] = METRICS,
    *,
    quantile: float = 0.85,
    repicked: bool = False,
) -> list[WeightedMetric]:
    """Return metrics of predictions, ready for any weighting.

    Parameters
    ----------
    truth, probability
        (row, species) bool and float.
    cluster_of_row
        (row,) index of the cluster.
    names
        Of `METRICS`.
    quantile
        The 2022 score's threshold is this quantile of all probabilities.
    repicked
        Whether every weighting picks the quantile of its own rows, or all share that of the rows themselves.
    """
    found: list[WeightedMetric] = []
    if "score" in names and repicked:
        found.append(RepickedMetric(truth, probability, cluster_of_row, quantile))
    elif "score" in names:
        decision = probability >= np.quantile(probability, quantile)
        found.append(DecisionMetric(truth, decision, cluster_of_row))
    ranks = [name for name in names if name in RankMetric.NAMES]
    if ranks:
        found.append(RankMetric(truth, probability, cluster_of_row, ranks))
    if "top1" in names:
        found.append(TopOneMetric(truth, probability, cluster_of_row))
    return found


def bootstrap(
    metrics: Sequence[WeightedMetric], truth: np.ndarray, resampler: Resampler, unit: str = "recordings"
) -> Bootstrapped:
    """Return metrics on all resamples.

    Parameters
    ----------
    metrics
        Of predictions on the resampler's rows.
    truth
        (row, species) bool.
    resampler
        Draws the weights.
    unit
        What it draws, in the plural.
    """
    once = np.ones((resampler.num_clusters, 1), dtype=np.float32)
    values = {name: found[0] for metric in metrics for name, found in metric.values(once).items()}
    pieces: dict[str, list[np.ndarray]] = {name: [] for name in values}
    for weights in resampler.blocks():
        for metric in metrics:
            for name, found in metric.values(weights).items():
                pieces[name].append(found)
    gradients = {name: found for metric in metrics for name, found in metric.gradients().items()}
    return Bootstrapped(
        resampler=resampler,
        values=values,
        drawn={name: np.concatenate(found) for name, found in pieces.items()},
        gradients=gradients,
        clusters=clusters_with_positive(truth, resampler.cluster_of_row),
        unit=unit,
    )


def clusters_with_positive(truth: np.ndarray, cluster_of_row: np.ndarray) -> np.ndarray:
    """Return how many clusters hold a positive row of each species, (species,)."""
    return np.array([len(np.unique(cluster_of_row[column])) for column in truth.T.astype(bool)], dtype=int)


def few_noted(interval: Interval, number: int, unit: str) -> Interval:
    """Return an interval with a note where clusters are few, without bounds where they are far too few."""
    if number == 0:
        return without_bounds(interval, f"no {unit}")
    if number < FAR_TOO_FEW:
        return without_bounds(interval, f"{unit}: {number}, no interval")
    if number < TOO_FEW and not np.isnan(interval.low):
        return replace(interval, note=f"{unit}: {number}, interval may be too short")
    return interval


def without_bounds(interval: Interval, note: str) -> Interval:
    """Return an interval whose bounds are unknown."""
    return replace(interval, low=np.nan, high=np.nan, note=note)
