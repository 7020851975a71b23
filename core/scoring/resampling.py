"""Bootstrap resamples of recordings.

The unit of resampling is the cluster (a recording, or an author), never a clip or window of it: those are not
independent. Clusters are drawn within their species, so that every species stays present. Of n clusters of a
species n - 1 are drawn and count n / (n - 1) each (Rao and Wu 1988): drawing n would make the variance too
small by that factor, a fifth for five recordings. A species with one recording keeps it in every resample;
its share of the uncertainty is missing from every interval, which is why such species are counted.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from core.config import ValidConfig

BLOCK = 64
"""Resamples that share a stream of random numbers, and that are weighed at a time."""
RESAMPLES = ValidConfig.num_resamples
"""Behind an interval where nothing else is asked for: the same everywhere, so that equal questions have equal
answers to the last digit."""
MOST_KEPT_WEIGHTS = 1 << 25
"""Weights of clusters in resamples that are kept for the next set of the same draws: 128 MB."""
LEAST_VARIANCE = 1e-20
"""Less than this is none: what sums of many numbers leave behind."""


def sum_by_cluster(
    of_row: np.ndarray, cluster_of_row: np.ndarray, num_clusters: int | None = None
) -> np.ndarray:
    """Return the sums over the rows of each cluster, (cluster, ...) float64.

    Parameters
    ----------
    of_row
        (row, ...) numbers.
    cluster_of_row
        (row,) index of the cluster.
    num_clusters
        How many there are; None: the highest index and one more.

    Examples
    --------
    >>> print(sum_by_cluster(np.array([1.0, 2.0, 4.0]), np.array([0, 1, 0])))
    [5. 2.]
    """
    number = int(cluster_of_row.max()) + 1 if num_clusters is None else num_clusters
    columns = of_row.reshape(len(of_row), -1).T
    sums = [np.bincount(cluster_of_row, column, minlength=number) for column in columns]
    return np.stack(sums, axis=1).reshape(number, *of_row.shape[1:])


@dataclass(frozen=True)
class Influence:
    """What the clusters' influences on a quantity tell about its distribution.

    Attributes
    ----------
    standard_error
        Of the quantity, by the linear part of its dependence on the clusters.
    acceleration
        Of the bca interval: how the standard error grows with the quantity.
    effective_clusters
        Clusters that carry the variance; 1 where one does, or where there is none.
    """

    standard_error: float
    acceleration: float
    effective_clusters: float


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
        Seed of the draws; they depend on nothing else.
    one_less
        Draw n - 1 of n clusters, see above; False: n.
    unit
        What the clusters are, in the plural.

    Examples
    --------
    Three recordings of one species: two are drawn, each counts 1.5 times.

    >>> resampler = Resampler(["a", "a", "b", "c"], ["owl"] * 4, num_resamples=100)
    >>> weights = next(resampler.blocks())
    >>> weights.shape
    (3, 64)
    >>> sorted({float(total) for total in weights.sum(axis=0)})
    [3.0]
    """

    def __init__(
        self,
        clusters: Iterable[object],
        strata: Iterable[object],
        num_resamples: int = RESAMPLES,
        seed: int = 0,
        *,
        one_less: bool = True,
        unit: str = "recordings",
    ) -> None:
        self.cluster_of_row, names = pd.factorize(pd.Series(list(clusters), dtype="object"))
        first_row = pd.Series(self.cluster_of_row).drop_duplicates().index
        stratum_of_row = pd.Series(list(strata), dtype="object")
        self.stratum_of_cluster = pd.factorize(stratum_of_row.iloc[first_row], sort=True)[0]
        self.sizes = np.bincount(self.stratum_of_cluster)
        self.num_clusters, self.num_resamples, self.seed = len(names), num_resamples, seed
        self.one_less, self.unit = one_less, unit

    @property
    def num_fixed(self) -> int:
        """Strata of a single cluster, which every resample repeats."""
        return int((self.sizes == 1).sum())

    def beside(self, other: "Resampler") -> "Resampler":
        """Return the clusters of two sets that are drawn apart, each in strata of its own."""
        strata = np.append(self.stratum_of_cluster, other.stratum_of_cluster + len(self.sizes))
        unit = self.unit if self.unit == other.unit else f"{self.unit} or {other.unit}"
        return Resampler(
            range(len(strata)), strata, self.num_resamples, self.seed, one_less=self.one_less, unit=unit
        )

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the weights of all resamples in blocks, (cluster, resample) float32, not to be written to."""
        of_draws = (self.stratum_of_cluster.tobytes(), self.num_resamples, self.seed, self.one_less)
        is_kept = self.num_clusters * self.num_resamples <= MOST_KEPT_WEIGHTS
        yield from _kept_blocks(*of_draws) if is_kept else _drawn_blocks(*of_draws)

    def without_each(self) -> Iterator[np.ndarray]:
        """Yield the weights of the rows without one cluster after the other, (cluster, left out) float32."""
        for start in range(0, self.num_clusters, BLOCK):
            left_out = np.arange(start, min(start + BLOCK, self.num_clusters))
            weights = np.ones((self.num_clusters, len(left_out)), dtype=np.float32)
            weights[left_out, np.arange(len(left_out))] = 0
            yield weights

    def deviations(self, gradients: np.ndarray) -> np.ndarray:
        """Return gradients (cluster, ...) less their mean over the stratum."""
        sums = sum_by_cluster(gradients, self.stratum_of_cluster)
        return np.asarray(gradients - (sums.T / self.sizes).T[self.stratum_of_cluster])

    def covariance(self, gradients: np.ndarray) -> np.ndarray:
        """Return the covariance of quantities by the linear part of their dependence on the clusters.

        `gradients` is (cluster, quantity), derivative by the clusters' weights; the covariance is
        (quantity, quantity).
        """
        scale = np.sqrt(self.sizes / np.maximum(self.sizes - 1, 1))[self.stratum_of_cluster]
        centred = self.deviations(gradients) * scale[:, None]
        return np.asarray(centred.T @ centred)

    def influences(self, gradients: np.ndarray) -> list[Influence]:
        """Return what the derivatives of quantities by the clusters' weights, (cluster, quantity), tell."""
        scale = self.sizes / np.maximum(self.sizes - 1, 1)
        found = []
        for centred in np.ascontiguousarray(self.deviations(gradients).T):
            squares = centred * centred
            by_stratum = np.bincount(self.stratum_of_cluster, squares)
            total = by_stratum.sum()
            if not total > LEAST_VARIANCE:
                found.append(Influence(np.nan if np.isnan(total) else 0.0, 0.0, 1.0))
                continue
            influence = Influence(
                standard_error=float(np.sqrt((by_stratum * scale).sum())),
                acceleration=float((squares * centred).sum() / (6 * total**1.5)),
                effective_clusters=float(total**2 / (squares * squares).sum()),
            )
            found.append(influence)
        return found


@lru_cache(maxsize=1)
def _kept_blocks(*of_draws: Any) -> list[np.ndarray]:
    """Return the blocks of `_drawn_blocks`, which one set after another asks for: runs of the same clips."""
    return list(_drawn_blocks(*of_draws))


def _drawn_blocks(strata: bytes, num_resamples: int, seed: int, one_less: bool) -> Iterator[np.ndarray]:
    """Yield the weights of `Resampler.blocks`; `strata` are those of the clusters."""
    stratum_of_cluster = np.frombuffer(strata, dtype=np.intp)
    number, sizes = len(stratum_of_cluster), np.bincount(stratum_of_cluster)
    members = np.argsort(stratum_of_cluster, kind="stable")
    first = np.cumsum(sizes) - sizes
    stratum = stratum_of_cluster[members]
    scale = np.ones(number, dtype=np.float32)
    if one_less:
        fewer = np.maximum(sizes - 1, 1)
        scale = (sizes / fewer).astype(np.float32)[stratum_of_cluster]
        stratum = np.repeat(np.arange(len(sizes)), fewer)
    size, offset = sizes[stratum], first[stratum]  # of every draw
    for start in range(0, num_resamples, BLOCK):
        generator = np.random.default_rng([seed, start // BLOCK])
        place = (generator.random((BLOCK, len(size))) * size).astype(np.intp) + offset
        drawn = members[place] * BLOCK + np.arange(BLOCK)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=number * BLOCK)
        weights = counts.reshape(-1, BLOCK).astype(np.float32) * scale[:, None]
        block = np.ascontiguousarray(weights[:, : num_resamples - start])
        block.flags.writeable = False
        yield block
