"""What fitted settings of the decision do on recordings that did not fit them.

Recordings are cut into parts, each part is decided with settings fitted on the others, and the score of these
decisions is the honest one. Penalty and boost go by what trained the network that predicted a row, and that
network never saw the row. A quantile is picked from the others' truth, but taken of the values of all rows,
as it will be of a whole test set, and anew in every resample: it is a rule about whatever set is judged.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from core.config import require
from core.scoring.decisions import DecisionConfig, adjust, thresholds
from core.scoring.intervals import Draws
from core.scoring.metrics import balanced_accuracy, balanced_accuracy_below, macro
from core.scoring.predictions import Predictions, Unit
from core.scoring.resampling import Resampler, sum_by_cluster
from core.scoring.threshold_ladder import ThresholdLadder
from core.scoring.weighted_metrics import DecisionMetric, Truth, WeightedMetric

Part = tuple[np.ndarray, np.ndarray]
"""Positions of the rows that fit, and of those that are decided."""


@dataclass(frozen=True)
class Rule:
    """A way to the settings of the decision.

    Attributes
    ----------
    name
        For tables.
    fit
        Maps the rows that may be learned from to settings; of settled settings a constant.
    """

    name: str
    fit: Callable[[Predictions], DecisionConfig]


def parts_of(rows: Predictions, splits: int, seed: int, by: Unit = "recording") -> list[Part]:
    """Return the parts of some rows, stratified by primary species; recordings, or authors, stay whole.

    Parameters
    ----------
    rows
        To be divided.
    splits
        Number of parts.
    seed
        Of the division.
    by
        What is never divided.

    Raises
    ------
    ValueError
        If there are fewer recordings than parts, or no species has as many clips.
    """
    units = rows.exchanged_units(by)
    number = len(np.unique(units))
    require(number >= splits, f"splits={splits}: there are only {number} {by}s")
    most = int(np.unique(rows.primary, return_counts=True)[1].max())
    require(
        most >= splits, f"splits={splits}: no species has more than {most} clips, so {most} parts at most"
    )
    splitter = StratifiedGroupKFold(splits, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of species with fewer recordings than parts
        return list(splitter.split(rows.probability, rows.primary, units))


class CrossFittedScore:
    """The 2022 score of rows that are decided part by part, as a `WeightedMetric`.

    Parts that are decided at a quantile pick it anew, of the values of all rows, for every weighting.

    Parameters
    ----------
    rows
        With their truth.
    decided
        Positions of rows, and the settings that decide them; together all rows.
    cluster_of_row
        (row,) index of the cluster.
    """

    names: tuple[str, ...] = ("score",)

    def __init__(
        self,
        rows: Predictions,
        decided: Sequence[tuple[np.ndarray, DecisionConfig]],
        cluster_of_row: np.ndarray,
    ) -> None:
        by_config: dict[str, tuple[DecisionConfig, list[np.ndarray]]] = {}
        for held, config in decided:
            by_config.setdefault(repr(config), (config, []))[1].append(held)
        self.truth, self.decision = rows.truth, np.zeros(rows.truth.shape, dtype=bool)
        settled = np.zeros(len(rows), dtype=bool)
        number, truth = int(cluster_of_row.max()) + 1, Truth(rows.truth, cluster_of_row)
        self.ladders: list[tuple[ThresholdLadder, ThresholdLadder, float]] = []
        for config, pieces in by_config.values():
            held = np.sort(np.concatenate(pieces))
            adjusted = adjust(rows.probability, config, rows.counts, rows.recording)
            self.decision[held] = (adjusted >= thresholds(adjusted, config, rows.species))[held]
            if config.threshold != "quantile":
                settled[held] = True
                continue
            whole = ThresholdLadder(truth, adjusted)
            part = whole
            if len(held) < len(rows):
                those = Truth(rows.truth[held], cluster_of_row[held])
                part = ThresholdLadder(those, adjusted[held], number)
            self.ladders.append((whole, part, config.quantile))
        cells = np.stack([~rows.truth, rows.truth], axis=2).reshape(len(rows), -1)  # of each species
        rejected = cells & ~np.repeat(self.decision, 2, axis=1)
        counted = np.stack([rejected, cells], axis=1) & settled[:, None, None]  # (row, kind, cell)
        self.settled = np.moveaxis(sum_by_cluster(counted, cluster_of_row), 0, 2).astype(np.float32)
        self.derivative = DecisionMetric(truth, self.decision)

    @property
    def score(self) -> float:
        """Macro 2022 score of the rows themselves."""
        return float(macro(balanced_accuracy(self.truth, self.decision)))

    def values(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return the 2022 score of each species, (resample, species)."""
        below, total = ((counts @ weights).T for counts in self.settled)
        for whole, part, quantile in self.ladders:
            below_whole = whole.below(weights)
            picked = whole.quantile(weights, below_whole, quantile)
            below_part = below_whole if part is whole else part.below(weights)
            below = below + part.cells_below(picked, weights, below_part)
            total = total + below_part[-1].T
        return {"score": balanced_accuracy_below(below.astype(np.float64), total.astype(np.float64))}

    def gradients(self) -> dict[str, np.ndarray]:
        """Return its derivative at the settled decisions, (cluster, species)."""
        return self.derivative.gradients()


def cross_fit(
    rule: Rule, rows: Predictions, partitions: Sequence[Sequence[Part]], cluster_of_row: np.ndarray
) -> list[CrossFittedScore]:
    """Return the 2022 score of rows by settings fitted on other recordings, one metric a partition.

    Parameters
    ----------
    rule
        Fits the settings.
    rows
        With their truth.
    partitions
        Each of `parts_of`.
    cluster_of_row
        (row,) index of the cluster.
    """
    found: list[CrossFittedScore] = []
    same: dict[str, CrossFittedScore] = {}  # where all parts agree, so do partitions that agree with them
    for parts in partitions:
        decided = [(held, rule.fit(rows.rows(others))) for others, held in parts]
        fitted = {repr(config) for _, config in decided}
        key = fitted.pop() if len(fitted) == 1 else ""
        metric = same.get(key) or CrossFittedScore(rows, decided, cluster_of_row)
        if key:
            same[key] = metric
        found.append(metric)
    return found


def draw_in_turn(metrics: Sequence[WeightedMetric], resampler: Resampler) -> Draws:
    """Return a quantity that several metrics measure: its mean, each resample by the next of them.

    Parameters
    ----------
    metrics
        Of one quantity, such as one a partition.
    resampler
        Draws the weights.
    """
    (name,), number = metrics[0].names, len(metrics)
    once = np.ones((resampler.num_clusters, 1), dtype=np.float32)
    own = np.stack([metric.values(once)[name][0] for metric in metrics])
    pieces = []
    for weights in resampler.blocks():
        drawn = np.empty((weights.shape[1], own.shape[1]))
        for place, metric in enumerate(metrics[: weights.shape[1]]):
            drawn[place::number] = metric.values(np.ascontiguousarray(weights[:, place::number]))[name]
        pieces.append(drawn)
    gradients = np.mean([metric.gradients()[name] for metric in metrics], axis=0)
    return Draws(resampler, own.mean(axis=0), np.concatenate(pieces), gradients)
