"""Weights of runs in an ensemble: ways to them, and what they are worth on recordings that fitted none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
from scipy.stats import rankdata

from analysis.command import FolderOptions
from core.config import ValidConfig, require
from core.scoring.cross_fit import Part, draw_in_turn, parts_of
from core.scoring.decisions import clipped_logit
from core.scoring.draws import build_metrics
from core.scoring.intervals import QUANTILE, Interval
from core.scoring.metric_names import IN_CORE
from core.scoring.metrics import balanced_accuracy, macro, roc_auc
from core.scoring.predictions import Predictions
from core.scoring.weighted_metrics import Truth

Combine = Literal["mean", "logit", "rank"]
Objective = Literal["macro_auc", "score"]
Measure = Callable[[np.ndarray, np.ndarray], float]
"""Maps truth and values (row, species) to the objective."""
WeightFitter = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Maps values (run, row, species) and truth (row, species) to weights (run,)."""
WEIGHT_STEPS = (0.2, 0.1, 0.05, 0.02)
"""Weight that is moved between two runs, from coarse to fine."""
MIN_GAIN = 1e-9


@dataclass(frozen=True, kw_only=True)
class EnsembleConfig(FolderOptions):
    """Find weights of two or more runs for an ensemble, and say whether they are worth anything."""

    objective: Objective = "macro_auc"
    """What the weights are to raise: macro ROC-AUC, or the 2022 score at the 0.85 quantile."""
    combine: Combine = "mean"
    """What is averaged: probabilities, logits, or ranks within a species; as in `core.inference`."""
    picks: int = 20
    """Rounds of the greedy selection; the best of them is taken."""
    splits: int = 5
    """Parts that the recordings are cut into."""
    partitions: int = 3
    """Ways of cutting them, each with the next seed, on all of which weights are judged."""

    def __post_init__(self) -> None:
        """Check ranges."""
        super().__post_init__()
        require(self.picks >= 1, f"picks={self.picks}: at least 1")
        require(self.splits >= 2, f"splits={self.splits}: at least 2")
        require(self.partitions >= 1, f"partitions={self.partitions}: at least 1")


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


def weigh(runs: Sequence[Predictions], config: EnsembleConfig, valid: ValidConfig) -> list[Weighted]:
    """Return each single run, the plain mean, greedy and constrained weights.

    Parameters
    ----------
    runs
        Two or more, of the same clips.
    config, valid
        What the weights are to raise and how they are cross-fitted; quantile, resamples and confidence.

    Raises
    ------
    ValueError
        If there are fewer recordings than parts.
    """
    truth, names = runs[0].truth, [run.name for run in runs]
    values = values_of(np.stack([run.probability for run in runs]), config.combine)
    measure = measure_of(config.objective, valid.threshold_quantile)
    cuts = [parts_of(runs[0], config.splits, config.seed + i, config.by) for i in range(config.partitions)]
    fitted = _fit_all(values, truth, names, cuts, partial(fit_weights, measure=measure, picks=config.picks))
    resampler = runs[0].resampler(config.by, valid.num_resamples, config.seed)
    rows, wanted = Truth(truth, resampler.cluster_of_row), (IN_CORE[config.objective],)
    build = partial(build_metrics, rows, names=wanted, quantile=valid.threshold_quantile)
    drawn = {
        name: draw_in_turn([build(one)[0] for one in predictions], resampler).mean()
        for name, (_, _, predictions) in fitted.items()
    }
    best = max(names, key=lambda name: drawn[name].values[0])
    return [
        Weighted(
            name,
            weights,
            of_parts.min(axis=0),
            of_parts.max(axis=0),
            drawn[name].interval(valid.confidence),
            (drawn[name] - drawn[best]).interval(valid.confidence),
            (drawn[name] - drawn["plain mean"]).interval(valid.confidence),
            measure(truth, combined(values, weights)),
        )
        for name, (weights, of_parts, _) in fitted.items()
    ]


def _fit_all(
    values: np.ndarray,
    truth: np.ndarray,
    names: Sequence[str],
    cuts: Sequence[Sequence[Part]],
    fit: Callable[..., np.ndarray],
) -> dict[str, tuple[np.ndarray, np.ndarray, list[np.ndarray]]]:
    """Return weights (run,), those of all parts (part, run), and cross-fitted predictions of each cut."""
    number = len(names)
    settled = dict(zip(names, np.eye(number), strict=True)) | {"plain mean": np.full(number, 1 / number)}
    found = {name: (weights, weights[None], [combined(values, weights)]) for name, weights in settled.items()}
    for name, is_constrained in (("greedy", False), ("constrained", True)):
        fitter = partial(fit, is_constrained=is_constrained)
        in_parts = [predict_in_parts(values, truth, fitter, parts) for parts in cuts]
        of_parts = np.concatenate([weights for _, weights in in_parts])
        found[name] = (fitter(values, truth), of_parts, [prediction for prediction, _ in in_parts])
    return found


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
    """Return weights (run,): greedy ones, or moved on from there.

    Parameters
    ----------
    values, truth
        (run, row, species) and (row, species) bool.
    measure, picks
        What is raised, and rounds of the greedy selection.
    is_constrained
        Whether to move on.
    """

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
    number, picks
        Of runs, and of rounds.
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

    `weights`, (run,), is where to start; of the `objective` of weights more is better.
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
    values, truth
        (run, row, species) and (row, species) bool.
    fitter, parts
        Of the weights; of `parts_of`.
    """
    prediction, found = np.empty(truth.shape), []
    for others, held in parts:
        weights = fitter(values[:, others], truth[others])
        prediction[held] = combined(values[:, held], weights)
        found.append(weights)
    return prediction, np.array(found)
