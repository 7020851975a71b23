"""Whether any parameter of a sweep matters: the whole analysis on shuffled scores.

With many parameters some interval leaves zero out by luck. Here scores are exchanged among the trials, each
parameter is looked at as before, and the strongest of them is kept (Westfall and Young 1993). A parameter's
p is the share of exchanges whose strongest looks at least as strong; that of the sweep is the smallest of
these. So of twenty sweeps in which nothing matters one has a p of 0.05 or less, however many parameters.

Trials of different folds validated other clips: where the fold is swept, scores are exchanged within folds
only. How much a parameter explains is the F ratio of its means, or along a range of a parabola; the tail
probability of that ratio makes parameters comparable.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import f as f_distribution

from analysis.sweep.importance import LEAST_TRIALS
from analysis.sweep.swept import FOLD_AND_SEEDS, SweptParameter

SHUFFLES = 10_000
NEGLIGIBLE = 1e-9


@dataclass(frozen=True)
class PermutationNull:
    """What is left of a sweep's effects beside those of shuffled scores.

    Attributes
    ----------
    corrected
        Parameters with p corrected for their number, the smallest first.
    num_shuffles
        Exchanges.
    """

    corrected: list[tuple[SweptParameter, float]]
    num_shuffles: int

    @property
    def p(self) -> float:
        """Of the whole sweep: that no parameter matters."""
        return self.corrected[0][1]


def shuffle_scores(
    parameters: Sequence[SweptParameter],
    coordinates: Sequence[np.ndarray],
    metric: np.ndarray,
    fold: np.ndarray | None = None,
    *,
    num_shuffles: int = SHUFFLES,
    seed: int = 0,
) -> PermutationNull | None:
    """Return p of each parameter and of the whole sweep.

    Parameters
    ----------
    parameters, coordinates
        What varies, and (trial,) where the trials lie; folds and seeds are not tested.
    metric
        (trial,).
    fold
        (trial,) which trials may exchange their scores; None: all.
    num_shuffles, seed
        Of the exchanges.

    Returns
    -------
    The p-values; None with fewer than 8 trials, a metric that never varies, or nothing to test.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> rate, width = generator.random((2, 24))
    >>> names = [SweptParameter("rate"), SweptParameter("width")]
    >>> found = shuffle_scores(names, [rate, width], 0.8 + 0.1 * rate + 0.02 * generator.normal(size=24))
    >>> [(parameter.key, round(p, 2)) for parameter, p in found.corrected]
    [('rate', 0.0), ('width', 0.15)]
    """
    group = np.zeros(len(metric), int) if fold is None else np.unique(fold, return_inverse=True)[1]
    tested = {
        parameter: basis
        for parameter, places in zip(parameters, coordinates, strict=True)
        if parameter.key not in FOLD_AND_SEEDS and (basis := _basis(parameter, places, group)).size
    }
    score = _without_means(metric, group)
    if len(metric) < LEAST_TRIALS or not tested or np.abs(score).max() < NEGLIGIBLE:
        return None
    freedom = len(metric) - len(np.unique(group))
    observed = _log_tails(tested.values(), score[:, None], freedom)[:, 0]
    generator = np.random.default_rng(seed)
    shuffled = np.empty((len(metric), num_shuffles))
    for one in np.unique(group):
        members = np.flatnonzero(group == one)
        repeated = np.repeat(score[members, None], num_shuffles, axis=1)
        shuffled[members] = generator.permuted(repeated, axis=0)
    strongest = _log_tails(tested.values(), shuffled, freedom).min(axis=0)
    as_strong = (strongest <= observed[:, None] + NEGLIGIBLE).sum(axis=1)
    corrected = ((1 + as_strong) / (1 + num_shuffles)).tolist()
    return PermutationNull(
        sorted(zip(tested, corrected, strict=True), key=lambda pair: pair[1]), num_shuffles
    )


def _basis(parameter: SweptParameter, coordinates: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return orthonormal columns (trial, column) of what a parameter can explain within groups."""
    columns = parameter.columns(coordinates)
    if columns.shape[1] == 1:  # a parabola
        columns = np.concatenate([columns, (columns - columns.mean()) ** 2], axis=1)
    within = np.stack([_without_means(column, group) for column in columns.T], axis=1)
    left, sizes, _ = np.linalg.svd(within, full_matrices=False)
    basis: np.ndarray = left[:, sizes > NEGLIGIBLE * max(sizes.max(), 1)]
    return basis


def _without_means(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return values (trial,) less the mean of their group."""
    means = np.bincount(group, values) / np.bincount(group)
    rest: np.ndarray = values - means[group]
    return rest


def _log_tails(bases: Iterable[np.ndarray], scores: np.ndarray, freedom: int) -> np.ndarray:
    """Return the logarithm of each F ratio's tail probability, (parameter, column of scores)."""
    total = (scores**2).sum(axis=0)
    found = []
    for basis in bases:
        explained, columns = ((basis.T @ scores) ** 2).sum(axis=0), basis.shape[1]
        left = max(freedom - columns, 1)
        rest = np.maximum(total - explained, NEGLIGIBLE * total) / left
        found.append(f_distribution.logsf(explained / columns / rest, columns, left))
    return np.array(found)
