"""Weights of runs in an ensemble: ways to them, and what they are worth on recordings that fitted none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
from scipy.stats import rankdata

from core.scoring.cross_fit import Part, draw_in_turn, parts_of
from core.scoring.decisions import clipped_logit
from core.scoring.draws import build_metrics
from core.scoring.intervals import CONFIDENCE, QUANTILE, Draws, Interval
from core.scoring.metric_names import IN_CORE
from core.scoring.metrics import balanced_accuracy, macro, roc_auc
from core.scoring.predictions import Predictions, Unit
from core.scoring.resampling import Resampler

Combine = Literal["mean", "logit", "rank"]
Objective = Literal["macro_auc", "score"]
Measure = Callable[[np.ndarray, np.ndarray], float]
"""Maps truth and values (row, species) to the objective."""
WeightFitter = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Maps values (run, row, species) and truth (row, species) to weights (run,)."""
WEIGHT_STEPS = (0.2, 0.1, 0.05, 0.02)
"""Weight that is moved between two runs, from coarse to fine."""
MIN_GAIN = 1e-9


@dataclass(frozen=True)
class Weighted:
    """An ensemble, and what it is worth.

    Attributes
    ----------
    name
        How its weights came about.
    weights
        (run,) fitted to all rows; sum 1.
    low, high
        (run,) the range of the weights fitted in the parts.
    score
        The objective, cross-fitted where weights were fitted.
    over_best, over_mean
        Its gain over the best single run and over the plain mean, paired.
    in_sample
        The objective of `weights` on the rows that fitted them.
    """

    name: str
    weights: np.ndarray
    low: np.ndarray = field(repr=False)
    high: np.ndarray = field(repr=False)
    score: Interval
    over_best: Interval
    over_mean: Interval
    in_sample: float

    @property
    def optimism(self) -> float:
        """How much the rows that fitted flatter."""
        return self.in_sample - self.score.value


def weigh(
    runs: Sequence[Predictions],
    *,
    objective: Objective,
    combine: Combine,
    picks: int,
    splits: int,
    partitions: int,
    resampler: Resampler,
    by: Unit = "recording",
    quantile: float = QUANTILE,
    confidence: float = CONFIDENCE,
) -> list[Weighted]:
    """Return each single run, the plain mean, greedy and constrained weights.

    Parameters
    ----------
    runs
        Two or more, of the same clips.
    objective, combine
        What the weights are to raise, and what is averaged.
    picks
        Rounds of the greedy selection.
    splits, partitions, by
        Parts, ways of cutting the recordings into them, and what is never divided.
    resampler
        Of the rows.
    quantile
        Of all values, where decisions are made.
    confidence
        Of the intervals.

    Raises
    ------
    ValueError
        If there are fewer recordings than parts.
    """
    truth = runs[0].truth
    values = values_of(np.stack([run.probability for run in runs]), combine)
    measure = measure_of(objective, quantile)
    cuts = [parts_of(runs[0], splits, resampler.seed + i, by) for i in range(partitions)]
    found, predicted = fit_all(values, truth, [run.name for run in runs], cuts, measure, picks)
    drawn = {
        name: draw_objective(truth, predictions, objective, quantile, resampler)
        for name, predictions in predicted.items()
    }
    best = max((run.name for run in runs), key=lambda name: drawn[name].values[0])
    return [
        Weighted(
            name,
            weights,
            parts.min(axis=0),
            parts.max(axis=0),
            drawn[name].interval(confidence),
            (drawn[name] - drawn[best]).interval(confidence),
            (drawn[name] - drawn["plain mean"]).interval(confidence),
            measure(truth, combined(values, weights)),
        )
        for name, (weights, parts) in found.items()
    ]


def fit_all(
    values: np.ndarray,
    truth: np.ndarray,
    names: Sequence[str],
    cuts: Sequence[Sequence[Part]],
    measure: Measure,
    picks: int,
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], dict[str, list[np.ndarray]]]:
    """Return weights and cross-fitted predictions of single runs, their mean, and both ways of fitting.

    Parameters
    ----------
    values, truth
        (run, row, species) and (row, species).
    names
        (run,).
    cuts
        Each of `parts_of`.
    measure, picks
        What is raised, and rounds of the greedy selection.

    Returns
    -------
    weights
        Name -> (run,) fitted to all rows, and (fit, run) those of all parts.
    predictions
        Name -> (row, species), one a partition.
    """
    number = len(names)
    settled = dict(zip(names, np.eye(number), strict=True)) | {"plain mean": np.full(number, 1 / number)}
    found = {name: (weights, weights[None]) for name, weights in settled.items()}
    predicted = {name: [combined(values, weights)] for name, weights in settled.items()}
    for name, is_constrained in (("greedy", False), ("constrained", True)):
        fitter = partial(fit_weights, measure=measure, picks=picks, is_constrained=is_constrained)
        in_parts = [predict_in_parts(values, truth, fitter, parts) for parts in cuts]
        predicted[name] = [prediction for prediction, _ in in_parts]
        found[name] = (fitter(values, truth), np.concatenate([weights for _, weights in in_parts]))
    return found, predicted


def draw_objective(
    truth: np.ndarray,
    predictions: Sequence[np.ndarray],
    objective: Objective,
    quantile: float,
    resampler: Resampler,
) -> Draws:
    """Return the objective of cross-fitted predictions, (row, species) a partition, on all resamples."""
    metrics = [
        build_metrics(truth, one, resampler.cluster_of_row, (IN_CORE[objective],), quantile=quantile)[0]
        for one in predictions
    ]
    return draw_in_turn(metrics, resampler).mean()


def values_of(probability: np.ndarray, combine: Combine) -> np.ndarray:
    """Return what is averaged, (run, row, species); ranks are within a run and species, over all rows."""
    if combine == "logit":
        return clipped_logit(probability)
    if combine == "rank":
        return np.asarray(rankdata(probability, axis=1) / probability.shape[1])
    return probability


def combined(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean (row, species) of values (run, row, species)."""
    return np.asarray(np.tensordot(weights, values, axes=1))


def measure_of(objective: Objective, quantile: float = QUANTILE) -> Measure:
    """Return the objective as a function; decisions are made at a quantile of all values."""

    def score(truth: np.ndarray, values: np.ndarray) -> float:
        return float(macro(balanced_accuracy(truth, values >= np.quantile(values, quantile))))

    def macro_auc(truth: np.ndarray, values: np.ndarray) -> float:
        return float(macro(roc_auc(truth, values)))

    return score if objective == "score" else macro_auc


def fit_weights(
    values: np.ndarray, truth: np.ndarray, *, measure: Measure, picks: int, is_constrained: bool
) -> np.ndarray:
    """Return weights (run,) for values (run, row, species): greedy ones, or moved on from there."""

    def objective(weights: np.ndarray) -> float:
        return measure(truth, combined(values, weights))

    weights = select_greedily(objective, len(values), picks)
    return move_weight(objective, weights) if is_constrained else weights


def select_greedily(objective: Callable[[np.ndarray], float], number: int, picks: int) -> np.ndarray:
    """Return the best weights (run,) on the way of adding, with replacement, the run that helps most.

    Parameters
    ----------
    objective
        Of weights; higher is better.
    number
        Of runs.
    picks
        Rounds.
    """
    counts, best, best_value = np.zeros(number), np.zeros(number), -np.inf
    for _ in range(picks):
        trials = [(counts + one) / (counts.sum() + 1) for one in np.eye(number)]
        found = [objective(weights) for weights in trials]
        chosen = int(np.nanargmax(found))
        counts[chosen] += 1
        if found[chosen] > best_value + MIN_GAIN:
            best, best_value = trials[chosen], found[chosen]
    return best


def move_weight(objective: Callable[[np.ndarray], float], weights: np.ndarray) -> np.ndarray:
    """Return weights, none negative and 1 in sum, that no move of weight between two runs makes better.

    Parameters
    ----------
    objective
        Of weights; higher is better.
    weights
        (run,) where to start.
    """
    best, value = weights, objective(weights)
    for step in WEIGHT_STEPS:
        improved = True
        while improved:
            moves = [
                best + min(step, best[source]) * (one - other)
                for source, other in enumerate(np.eye(len(best)))
                for target, one in enumerate(np.eye(len(best)))
                if source != target and best[source] > MIN_GAIN
            ]
            found = [objective(moved) for moved in moves]
            highest = int(np.nanargmax(found))
            improved = found[highest] > value + MIN_GAIN
            if improved:
                best, value = np.clip(moves[highest], 0, None), found[highest]
    return np.asarray(best / best.sum())


def predict_in_parts(
    values: np.ndarray, truth: np.ndarray, fitter: WeightFitter, parts: Sequence[Part]
) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions (row, species) by weights fitted on other recordings, and these (part, run).

    Parameters
    ----------
    values
        (run, row, species).
    truth
        (row, species).
    fitter
        Of the weights.
    parts
        Of `parts_of`.
    """
    prediction, found = np.empty(truth.shape), []
    for others, held in parts:
        weights = fitter(values[:, others], truth[others])
        prediction[held] = combined(values[:, held], weights)
        found.append(weights)
    return prediction, np.array(found)
