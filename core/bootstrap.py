"""Bootstrap intervals over recordings.

The unit of resampling is the recording, never a clip or window of it: those are not independent. Recordings
are drawn within their species, so that every species stays present. A species with one recording keeps it
in every resample; its share of the uncertainty is then missing from the interval, which is why such species
are counted in the result.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

CHUNK_NUMBERS = 1 << 25  # weights held at a time


@dataclass(frozen=True)
class Interval:
    """A metric with its percentile interval.

    Attributes
    ----------
    value
        On the rows themselves.
    low, high
        Bounds over the resamples.
    num_dropped
        Resamples in which the metric was undefined.
    """

    value: float
    low: float
    high: float
    num_dropped: int = 0

    def __str__(self) -> str:
        """Return such as `0.812 [0.774, 0.846]`."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def as_dict(self) -> dict[str, float | None]:
        """Return `value`, `low` and `high`, with None for what is undefined."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {name: None if np.isnan(number) else float(number) for name, number in numbers.items()}


class Resampler:
    """Weights of stratified cluster bootstrap resamples.

    Parameters
    ----------
    clusters
        (row,) what is drawn as a whole: the recording, or its author.
    strata
        (row,) within what: the species. A cluster belongs to the stratum of its first row.
    num_resamples
        Number of resamples.
    seed
        Seed of the draws.
    """

    def __init__(
        self, clusters: Iterable[object], strata: Iterable[object], num_resamples: int, seed: int = 0
    ) -> None:
        self.cluster_of_row, names = pd.factorize(pd.Series(list(clusters), dtype="object"))
        first_row = pd.Series(self.cluster_of_row).drop_duplicates().index
        stratum_of_cluster = pd.factorize(pd.Series(list(strata), dtype="object").iloc[first_row], sort=True)[
            0
        ]
        self.members = [
            np.flatnonzero(stratum_of_cluster == s) for s in range(stratum_of_cluster.max(initial=-1) + 1)
        ]
        self.num_clusters, self.num_resamples, self.seed = len(names), num_resamples, seed

    @property
    def num_fixed(self) -> int:
        """Strata of a single cluster, which every resample repeats."""
        return sum(len(clusters) == 1 for clusters in self.members)

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield the weights of all resamples in pieces, (resample, row) float64."""
        generator = np.random.default_rng(self.seed)
        size = max(CHUNK_NUMBERS // max(len(self.cluster_of_row), 1), 1)
        for start in range(0, self.num_resamples, size):
            number = min(size, self.num_resamples - start)
            weights = np.zeros((number, self.num_clusters))
            for clusters in self.members:
                share = np.full(len(clusters), 1 / len(clusters))
                weights[:, clusters] = generator.multinomial(len(clusters), share, size=number)
            yield weights[:, self.cluster_of_row]

    def interval(
        self, metric: Callable[[np.ndarray | None], np.ndarray], confidence: float = 0.95
    ) -> Interval:
        """Return a metric with its percentile interval.

        Parameters
        ----------
        metric
            Maps weights (resample, row), or None for the rows themselves, to (resample,).
        confidence
            Wanted coverage.
        """
        value = float(metric(None)[0])
        drawn = np.concatenate([metric(weights) for weights in self.chunks()])
        return summarise(value, drawn, confidence)

    def intervals(
        self, metric: Callable[[np.ndarray | None], np.ndarray], confidence: float = 0.95
    ) -> list[Interval]:
        """Return the same for a metric that gives (resample, species): one interval a species."""
        values = metric(None)[0]
        drawn = np.concatenate([metric(weights) for weights in self.chunks()])
        return [summarise(float(v), drawn[:, i], confidence) for i, v in enumerate(values)]


def summarise(value: float, drawn: np.ndarray, confidence: float) -> Interval:
    """Return the percentile interval of drawn values; nan bounds where none is defined."""
    defined = drawn[~np.isnan(drawn)]
    if len(defined) == 0 or np.isnan(value):
        return Interval(value, np.nan, np.nan, len(drawn) - len(defined))
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(value, float(low), float(high), len(drawn) - len(defined))
