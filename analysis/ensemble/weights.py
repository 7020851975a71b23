"""Weights of runs in an ensemble: ways to them, and what they are worth on recordings that fitted none."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
from scipy.stats import rankdata

from analysis.runs import Aligned
from core.inference.config import PostConfig, TuneConfig
from core.inference.ensemble import logit
from core.scoring.cross_fit import Observations, parts_of
from core.scoring.metrics import balanced_accuracy, macro, roc_auc
from core.scoring.resampling import Interval, Resampler

Combine = Literal["mean", "logit", "rank"]
Objective = Literal["macro_auc", "score"]
Measure = Callable[[np.ndarray, np.ndarray, np.ndarray | None], np.ndarray]
"""Maps truth and values (row, species) and weights of the rows (resample, row) to (resample,)."""
Fitter = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Maps values (run, row, species) and truth (row, species) to weights (run,)."""
STEPS = (0.2, 0.1, 0.05, 0.02)
"""Weight that is moved between two runs, from coarse to fine."""
MIN_GAIN = 1e-9
QUANTILE = PostConfig().quantile


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
    aligned: Aligned,
    *,
    objective: Objective,
    combine: Combine,
    picks: int,
    splits: int,
    resampler: Resampler,
) -> list[Weighted]:
    """Return each single run, the plain mean, greedy and constrained weights.

    Parameters
    ----------
    aligned
        Predictions of two or more runs.
    objective, combine
        What the weights are to raise, and what is averaged.
    picks
        Rounds of the greedy selection.
    splits
        Parts that the recordings are cut into, by the resampler's seed.
    resampler
        Of the rows' recordings.

    Raises
    ------
    ValueError
        If there are fewer recordings than parts.
    """
    values, truth = values_of(aligned.probability, combine), aligned.truth
    measure, number = measure_of(objective), len(values)
    settled = {name: np.eye(number)[i] for i, name in enumerate(aligned.names)}
    settled["plain mean"] = np.full(number, 1 / number)
    found = {name: (weights, weights[None]) for name, weights in settled.items()}
    predictions = {name: combined(values, weights) for name, weights in settled.items()}
    best = max(aligned.names, key=lambda name: float(measure(truth, predictions[name], None)[0]))
    for name, is_constrained in (("greedy", False), ("constrained", True)):
        fitter = partial(fit_weights, measure=measure, picks=picks, is_constrained=is_constrained)
        predictions[name], parts = predict_in_parts(values, aligned, fitter, splits, resampler.seed)
        found[name] = (fitter(values, truth), parts)

    def judge(name: str) -> Weighted:
        weights, parts = found[name]
        prediction = predictions[name]
        return Weighted(
            name,
            weights,
            parts.min(axis=0),
            parts.max(axis=0),
            resampler.interval(lambda w: measure(truth, prediction, w)),
            gain(measure, truth, prediction, predictions[best], resampler),
            gain(measure, truth, prediction, predictions["plain mean"], resampler),
            float(measure(truth, combined(values, weights), None)[0]),
        )

    return [judge(name) for name in predictions]


def gain(
    measure: Callable[..., np.ndarray],
    truth: np.ndarray,
    one: np.ndarray,
    other: np.ndarray,
    resampler: Resampler,
) -> Interval:
    """Return the paired difference of two predictions."""
    return resampler.interval(lambda w: measure(truth, one, w) - measure(truth, other, w))


def values_of(probability: np.ndarray, combine: Combine) -> np.ndarray:
    """Return what is averaged, (run, row, species); ranks are within a run and species, over all rows."""
    if combine == "logit":
        return logit(probability)
    if combine == "rank":
        return np.asarray(rankdata(probability, axis=1) / probability.shape[1])
    return probability


def combined(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean (row, species) of values (run, row, species)."""
    return np.asarray(np.tensordot(weights, values, axes=1))


def measure_of(objective: Objective) -> Measure:
    """Return the objective as a function."""

    def score(truth: np.ndarray, values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        return macro(balanced_accuracy(truth, values >= np.quantile(values, QUANTILE), weights))

    def macro_auc(truth: np.ndarray, values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        return macro(roc_auc(truth, values, weights))

    return score if objective == "score" else macro_auc


def fit_weights(
    values: np.ndarray, truth: np.ndarray, *, measure: Measure, picks: int, is_constrained: bool
) -> np.ndarray:
    """Return weights (run,) for values (run, row, species): greedy ones, or moved on from there."""

    def objective(weights: np.ndarray) -> float:
        return float(measure(truth, combined(values, weights), None)[0])

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
    for step in STEPS:
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
    values: np.ndarray, aligned: Aligned, fitter: Fitter, splits: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions (row, species) by weights fitted on other recordings, and these (part, run)."""
    observed = Observations(
        aligned.probability[0],
        aligned.truth,
        aligned.recording,
        aligned.primary,
        np.zeros(len(aligned.species)),
        aligned.species,
    )
    prediction, found = np.empty(aligned.truth.shape), []
    for others, held in parts_of(observed, TuneConfig(runs=("-",), splits=splits, seed=seed)):
        weights = fitter(values[:, others], aligned.truth[others])
        prediction[held] = combined(values[:, held], weights)
        found.append(weights)
    return prediction, np.array(found)
