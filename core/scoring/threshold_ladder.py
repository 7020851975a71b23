"""Decision thresholds that are picked anew in every resample, and the 2022 score at them.

All probabilities are sorted once. Steps of a few hundred of them are added up into a sparse matrix
(step and cell, cluster), a cell being the positives or negatives of one species; a cumulative sum over steps
then says for every resample how much of each cell lies below each step, and only the one step that holds the
threshold is looked at value by value. Nothing is approximated: the quantile is numpy's on the repeated rows,
the score is that of the very threshold.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import sparse

from core.scoring.metrics import balanced_accuracy_below, macro, quantile_of_known
from core.scoring.resampling import sum_by_cluster
from core.scoring.weighted_metrics import SETTLED_METRICS, Truth

MIN_STEPS = 256


class ThresholdLadder:
    """Sorted probabilities of all rows and species.

    Parameters
    ----------
    truth, probability
        Of the rows, and (row, species). What is unknown is left out.
    num_clusters
        Of all rows; None: the highest index here and one more.

    Attributes
    ----------
    order, sorted
        (value,) places of all probabilities, rows before species, and these, rising.
    thresholds
        (threshold,) some hundred of them, rising, that tell the values apart.
    """

    def __init__(self, truth: Truth, probability: np.ndarray, num_clusters: int | None = None) -> None:
        self.order = np.argsort(probability, axis=None, kind="stable")
        if truth.known is not None:
            self.order = self.order[truth.known.ravel()[self.order]]
        number, self.num_species = len(self.order), probability.shape[1]
        num_clusters = num_clusters or int(truth.cluster_of_row.max()) + 1
        row, species = np.divmod(self.order, self.num_species)
        self.sorted = probability.ravel()[self.order]
        self.cell = 2 * species + truth.positive.ravel()[self.order]
        self.cluster = truth.cluster_of_row[row]
        self.step = max(min(math.isqrt(number * self.num_species), number // MIN_STEPS), 1)
        self.num_steps = math.ceil(number / self.step)
        self.step_of_value = np.arange(number) // self.step
        rows = (self.step_of_value + 1) * (2 * self.num_species) + self.cell  # the first is empty
        self.matrix = sparse.csr_matrix(
            (np.ones(number, dtype=np.float32), (rows, self.cluster)),
            shape=(
                (self.num_steps + 1) * 2 * self.num_species,
                num_clusters or int(truth.cluster_of_row.max()) + 1,
            ),
        )
        first = np.arange(self.num_steps) * self.step
        # a step is a threshold to try only where it begins with a new value
        tried = np.append(True, self.sorted[first[1:]] > self.sorted[first[1:] - 1])
        self.tried = slice(self.num_steps) if tried.all() else np.flatnonzero(tried)
        self.thresholds = self.sorted[first[self.tried]]
        self.own_below = self.below(np.ones((self.matrix.shape[1], 1), dtype=np.float32))
        self.own_scores = self.scores(self.own_below)[0]

    def below(self, weights: np.ndarray) -> np.ndarray:
        """Return the weight of each cell before each step and in all, (step + 1, cell, resample)."""
        sums = self.matrix @ weights
        totals = np.asarray(sums.reshape(self.num_steps + 1, -1, weights.shape[1]))
        for step in range(self.num_steps):  # numpy's cumsum takes twelve times as long along this axis
            totals[step + 1] += totals[step]
        return totals

    def quantile(self, weights: np.ndarray, below: np.ndarray, share: float) -> np.ndarray:
        """Return the pooled quantile of each resample, as `np.quantile` of the repeated rows, (resample,).

        Parameters
        ----------
        weights
            (cluster, resample) float32.
        below
            What `below` returned for them.
        share
            The quantile, 0 to 1.
        """
        totals = below.sum(axis=1, dtype=np.float64)  # (step + 1, resample)
        position = share * (totals[-1] - 1)
        lower = np.floor(position + 1e-9)
        low = self._order_statistic(weights, totals, lower)
        high = self._order_statistic(weights, totals, np.minimum(lower + 1, totals[-1] - 1))
        return low + (high - low) * np.clip(position - lower, 0, 1)

    def _order_statistic(self, weights: np.ndarray, totals: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Return the value that stands at a position (resample,) of the repeated, sorted probabilities."""
        step = (totals[1:-1] <= position).sum(axis=0)
        place, inside = self._places(step)
        resample = np.arange(len(step))
        weight = np.where(inside, weights[self.cluster[place], resample[:, None]], 0)
        reached = totals[step, resample][:, None] + np.cumsum(weight, axis=1, dtype=np.float64)
        return self.sorted[place[resample, np.argmax(reached > position[:, None], axis=1)]]

    def _places(self, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions (resample, value) of one step for each resample, and which of them exist."""
        place = step[:, None] * self.step + np.arange(self.step)
        return np.minimum(place, len(self.sorted) - 1), place < len(self.sorted)

    def within_step(
        self, thresholds: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the step that holds each threshold, and what of it lies below; parameters as `cells_below`.

        Returns
        -------
        step
            (resample,) its number.
        place, weight
            (resample, value) positions in `sorted`, and their weights, 0 from the threshold on.
        """
        index = np.searchsorted(self.sorted, thresholds, side="left")
        step = np.minimum(index // self.step, self.num_steps - 1)
        place, inside = self._places(step)
        inside &= place < index[:, None]
        resample = np.arange(len(thresholds))[:, None]
        return step, place, np.where(inside, weights[self.cluster[place], resample], 0)

    def cells_below(self, thresholds: np.ndarray, weights: np.ndarray, below: np.ndarray) -> np.ndarray:
        """Return the weight of each cell below a threshold for each resample, (resample, cell).

        Parameters
        ----------
        thresholds
            (resample,); a row is positive where it reaches it.
        weights
            (cluster, resample) float32, of the rows that are scored.
        below
            What `below` returned for them.
        """
        step, place, weight = self.within_step(thresholds, weights)
        resample = np.arange(len(thresholds))[:, None]
        cells = 2 * self.num_species
        flat = resample * cells + self.cell[place]
        fine = np.bincount(flat.ravel(), weight.ravel(), minlength=len(thresholds) * cells)
        return np.asarray(below[step, :, np.arange(len(thresholds))] + fine.reshape(-1, cells))

    def scores(self, below: np.ndarray) -> np.ndarray:
        """Return the 2022 score (resample, threshold, species) at each of `thresholds`."""
        tried = below[self.tried].transpose(2, 0, 1)
        return balanced_accuracy_below(tried, below[-1].T[:, None])

    def macro_scores(self, below: np.ndarray) -> np.ndarray:
        """Return the macro mean (resample, threshold) of `scores`; a species that lacks keeps its own."""
        scores = self.scores(below)
        if not (below[-1] > 0).all():
            return macro(np.where(np.isnan(scores), self.own_scores, scores))
        return np.asarray(scores.sum(axis=-1) / np.int64(self.num_species))  # the same, in half of the time

    def best(self, below: np.ndarray) -> np.ndarray:
        """Return the threshold with the highest macro score of each resample, (resample,)."""
        return np.asarray(self.thresholds[middle_of_best(self.macro_scores(below))])

    def share_below(self, below: np.ndarray) -> np.ndarray:
        """Return the share of all values that lies below each threshold, (resample, threshold)."""
        totals = below.sum(axis=1, dtype=np.float64)
        return np.asarray((totals[self.tried] / np.maximum(totals[-1], 1e-9)).T)

    def macro_gradients(self) -> np.ndarray:
        """Return the derivative of the macro score by the clusters' weights, (cluster, threshold)."""
        totals = self.own_below[-1, :, 0].astype(np.float64)  # (cell,)
        defined = np.repeat((totals[0::2] > 0) & (totals[1::2] > 0), 2)
        sign = np.tile([1.0, -1.0], self.num_species)  # of negatives and positives below a threshold
        known = np.where(defined, totals, 1.0)
        slope = np.where(defined, sign / known, 0.0) / max(defined.sum(), 1)
        collapse = sparse.kron(sparse.identity(self.num_steps + 1), slope[None], format="csr")
        lower = np.cumsum((collapse @ self.matrix).todense(), axis=0, dtype=np.float64)
        sums = sparse.kron(np.ones((1, self.num_steps + 1)), sparse.identity(len(totals)), format="csr")
        of_cluster = np.asarray((sums @ self.matrix).todense(), dtype=np.float64)  # (cell, cluster)
        shares = self.own_below[:, :, 0] / known * slope
        return np.asarray((lower - shares @ of_cluster)[self.tried].T)


def middle_of_best(scores: np.ndarray) -> np.ndarray:
    """Return the middle of the candidates that share the highest score, (resample,): edges are luck.

    Parameters
    ----------
    scores
        (resample, candidate), nan where undefined; a row of nan alone gives 0.
    """
    filled = np.where(np.isnan(scores), -np.inf, scores)
    best = filled >= filled.max(axis=1, keepdims=True) - 1e-6
    return np.asarray((np.cumsum(best, axis=1) > best.sum(axis=1, keepdims=True) // 2).argmax(axis=1))


class RowF1Ladder:
    """The F1 of rows at any threshold: what it is where every species is called, and how it changes.

    Parameters
    ----------
    ladder
        The sorted probabilities.
    truth, probability
        That it was made of. What is unknown is never called.
    """

    def __init__(self, ladder: ThresholdLadder, truth: Truth, probability: np.ndarray) -> None:
        positive, clusters, known = truth
        known = np.ones(positive.shape, dtype=bool) if known is None else known
        falling_out = np.argsort(np.where(known, probability, -np.inf), axis=1, kind="stable")
        called = np.cumsum(np.take_along_axis(known, falling_out, axis=1)[:, ::-1], axis=1)[:, ::-1]
        left = np.cumsum(np.take_along_axis(positive, falling_out, axis=1)[:, ::-1], axis=1)[:, ::-1]
        positives = positive.sum(axis=1, keepdims=True)
        score = np.concatenate([2 * left / (called + np.maximum(positives, 1)), positives == 0], axis=1)
        change = np.empty(positive.shape)
        np.put_along_axis(change, falling_out, np.diff(score, axis=1), axis=1)
        self.ladder, self.change = ladder, change.ravel()[ladder.order]
        of_row = np.stack([score[:, 0], np.ones(len(score))], axis=1)
        self.of_cluster = sum_by_cluster(of_row, clusters, ladder.matrix.shape[1])
        places = (ladder.step_of_value, ladder.cluster)
        self.steps = sparse.csr_matrix((self.change, places), (ladder.num_steps, ladder.matrix.shape[1]))

    def score_at(self, thresholds: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the mean F1, (resample, 1), at thresholds (resample,) for weights (cluster, resample)."""
        step, place, weight = self.ladder.within_step(thresholds, weights)
        everything, number = self.of_cluster.T @ weights
        changes = np.cumsum(self.steps @ weights, axis=0)
        below = np.where(step > 0, changes[step - 1, np.arange(len(step))], 0)
        inside = (weight * self.change[place]).sum(axis=1)
        return np.asarray((everything + below + inside) / number)[:, None]


class RepickedMetric:
    """Metrics of decisions at a pooled quantile that is picked anew for every weighting.

    Their gradients are those of the decisions at the quantile of the rows themselves: how the threshold moves
    is in the resamples, not in the derivative.

    Parameters
    ----------
    truth, probability
        Of the rows, and (row, species).
    share
        The quantile of what is known, 0 to 1.
    names
        Of `SETTLED_METRICS`.
    """

    def __init__(
        self, truth: Truth, probability: np.ndarray, share: float, names: Sequence[str] = ("score",)
    ) -> None:
        self.names, self.share = tuple(names), share
        self.ladder = ThresholdLadder(truth, probability)
        self.rows = RowF1Ladder(self.ladder, truth, probability) if "micro_f1" in names else None
        decision = probability >= quantile_of_known(probability, share, truth.known)
        self.settled = [SETTLED_METRICS[name](truth, decision) for name in names]

    def values(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return the 2022 score of each species, and the micro F1."""
        below = self.ladder.below(weights)
        thresholds = self.ladder.quantile(weights, below, self.share)
        found = {}
        if "score" in self.names:
            lower = self.ladder.cells_below(thresholds, weights, below)
            found["score"] = balanced_accuracy_below(lower, below[-1].T.astype(np.float64))
        if self.rows is not None:
            found["micro_f1"] = self.rows.score_at(thresholds, weights)
        return found

    def gradients(self) -> dict[str, np.ndarray]:
        """Return their derivatives at the settled threshold."""
        return {name: found for metric in self.settled for name, found in metric.gradients().items()}
