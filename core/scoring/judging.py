"""What rules of the decision, and calibrations, are worth: judged by one cross-fit, safest first.

How much the settings score above the cross-fitted score on their own rows is the optimism. One partition of
the recordings into parts is luck too. So each rule is judged on several, its score is their mean, and every
resample takes one of them in turn, which puts the luck of the partition into the interval.

The safest rule is the one whose difference to the untuned quantile has the highest lower bound, where the
bounds hold for all rules at once (the largest of their standardised deviations in each resample, after Romano
and Wolf 2005): with twenty rules the best of them looks good by luck. Untuned itself has the bound 0, so a
tuned rule is preferred only where it is ahead beyond doubt.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.files import write_atomically
from core.scoring.cross_fit import Part, Rule, cross_fit, draw_in_turn
from core.scoring.decisions import DecisionConfig, calibrate
from core.scoring.draws import clusters_with_positive, draw_quantity
from core.scoring.fitting import Calibration, decision_score, fit_calibration
from core.scoring.intervals import CONFIDENCE, Draws, Interval
from core.scoring.predictions import Predictions
from core.scoring.reliability import Reliability, reliability
from core.scoring.resampling import Resampler, sum_by_cluster


@dataclass(frozen=True)
class JudgedRule:
    """What a rule is worth.

    Attributes
    ----------
    name
        Of the rule.
    config
        Fitted to all rows.
    score
        2022 score of decisions by settings fitted on other recordings, mean over partitions.
    partitions
        (partition,) the score with each.
    difference
        `score` minus that of the first rule, paired.
    bound
        Lower bound of `difference` that holds for all rules at once.
    in_sample
        Score of `config` on the rows that fitted it.
    wins
        Share of resamples in which no other rule's decisions score higher; rules that tie share it.
    worst, worst_difference
        The species that loses most to the first rule, and its difference.
    draws
        Of the score of each species.
    """

    name: str
    config: DecisionConfig
    score: Interval
    partitions: np.ndarray
    difference: Interval
    bound: float
    in_sample: float
    wins: float
    worst: str
    worst_difference: Interval
    draws: Draws = field(repr=False)

    @property
    def optimism(self) -> float:
        """How much the rows that fitted flatter."""
        return self.in_sample - self.score.value


@dataclass(frozen=True)
class JudgedCalibration:
    """What a calibration is worth.

    Attributes
    ----------
    name
        Of the method.
    config
        Fitted to all rows.
    reliability
        Of probabilities, each calibrated by what was fitted on other recordings, mean over partitions.
    gain
        Their Brier score minus that of the probabilities as trained, paired; below 0 is better.
    optimism
        Brier score of `reliability` minus that of `config` on the rows that fitted it.
    """

    name: str
    config: DecisionConfig
    reliability: Reliability
    gain: Interval
    optimism: float


def judge_rules(
    rows: Predictions,
    rules: Sequence[Rule],
    partitions: Sequence[Sequence[Part]],
    resampler: Resampler,
    confidence: float = CONFIDENCE,
) -> list[JudgedRule]:
    """Return what each rule is worth beside the first one.

    Parameters
    ----------
    rows
        With their truth.
    rules
        The first is what the others are compared with.
    partitions
        Ways of cutting the recordings into parts, each of `parts_of`.
    resampler
        Of the rows.
    confidence
        Of all intervals.
    """
    fitted = [cross_fit(rule, rows, partitions, resampler.cluster_of_row) for rule in rules]
    support = clusters_with_positive(rows.truth, resampler.cluster_of_row)
    drawn = [dataclasses.replace(draw_in_turn(one, resampler), support=support) for one in fitted]
    means = [one.mean() for one in drawn]
    scores = np.stack([one.drawn[:, 0] for one in means])
    values = np.array([one.values[0] for one in means])
    bounds = simultaneous_bounds(values - values[0], scores - scores[0], confidence)
    wins = shares_of_wins(scores)
    judged = []
    for place, rule in enumerate(rules):
        config, losses = rule.fit(rows), drawn[place] - drawn[0]
        worst = int(np.nanargmin(losses.values)) if not np.isnan(losses.values).all() else 0
        judged.append(
            JudgedRule(
                rule.name,
                config,
                means[place].interval(confidence),
                np.array([one.score for one in fitted[place]]),
                (means[place] - means[0]).interval(confidence),
                float(bounds[place]),
                decision_score(rows, config),
                float(wins[place]),
                rows.species[worst],
                losses[[worst]].interval(confidence),
                drawn[place],
            )
        )
    return judged


def simultaneous_bounds(values: np.ndarray, drawn: np.ndarray, confidence: float = CONFIDENCE) -> np.ndarray:
    """Return lower bounds, (quantity,), that all hold together with the given confidence.

    Parameters
    ----------
    values
        (quantity,) on the rows themselves.
    drawn
        (quantity, resample) the same in resamples.
    confidence
        Of all bounds at once, one-sided.

    Examples
    --------
    The more are compared, the lower each bound lies:

    >>> drawn = np.random.default_rng(0).normal(size=(20, 4000))
    >>> alone = simultaneous_bounds(np.zeros(1), drawn[:1])
    >>> together = simultaneous_bounds(np.zeros(20), drawn)
    >>> bool(together[0] < alone[0])
    True
    """
    spread = drawn.std(axis=1)
    varies = spread > 1e-12
    if not varies.any():
        return values
    deviation = (drawn[varies] - values[varies, None]) / spread[varies, None]
    return np.asarray(values - np.quantile(deviation.max(axis=0), confidence) * np.where(varies, spread, 0))


def shares_of_wins(scores: np.ndarray) -> np.ndarray:
    """Return in which share of resamples each rule, (rule, resample), scores highest; equals share a win.

    Examples
    --------
    >>> print(shares_of_wins(np.array([[1.0, 2.0], [1.0, 3.0]])))
    [0.25 0.75]
    """
    best = scores >= scores.max(axis=0) - 1e-12
    return np.asarray((best / best.sum(axis=0)).mean(axis=1))


def safest(judged: Sequence[JudgedRule]) -> JudgedRule:
    """Return the rule with the highest lower bound; of equals the first, which is the least tuned."""
    return max(judged, key=lambda one: one.bound)


def judge_calibrations(
    rows: Predictions,
    methods: Sequence[Calibration],
    partitions: Sequence[Sequence[Part]],
    resampler: Resampler,
    confidence: float = CONFIDENCE,
) -> list[JudgedCalibration]:
    """Return what each method of calibration is worth.

    Parameters
    ----------
    rows
        With their truth.
    methods
        Of `core.scoring.fitting.CALIBRATIONS`.
    partitions
        Each of `parts_of`.
    resampler
        Of the rows.
    confidence
        Of all intervals.
    """
    before = ((rows.probability - rows.truth) ** 2).mean(axis=1)
    found = []
    for method in methods:
        probability = np.zeros(rows.probability.shape)
        for parts in partitions:
            for others, held in parts:
                fitted = fit_calibration(method, rows.rows(others))
                probability[held] += calibrate(rows.probability[held], fitted) / len(partitions)
        config = fit_calibration(method, rows)
        judged = reliability(rows.truth, probability, resampler, confidence=confidence)
        change = ((probability - rows.truth) ** 2).mean(axis=1) - before
        found.append(
            JudgedCalibration(
                method,
                config,
                judged,
                mean_of_rows(change, resampler).interval(confidence),
                judged.brier.value - float(((calibrate(rows.probability, config) - rows.truth) ** 2).mean()),
            )
        )
    return found


def mean_of_rows(values: np.ndarray, resampler: Resampler) -> Draws:
    """Return the mean of a number a row, (row,), on all resamples."""
    sums = sum_by_cluster(values, resampler.cluster_of_row)
    rows = np.bincount(resampler.cluster_of_row)
    return draw_quantity(lambda weights: (sums @ weights / (rows @ weights))[:, None], resampler)


def write_tuned(
    file: Path, chosen: JudgedRule, untuned: JudgedRule, rows: Predictions, settings: dict[str, Any]
) -> None:
    """Write what `core.inference --tuned` takes.

    Parameters
    ----------
    file
        Appears whole.
    chosen, untuned
        The settings to write, and what they are compared with.
    rows
        That they were fitted to.
    settings
        Of the program that fitted them, to be kept beside.
    """
    content = {
        "rule": chosen.name,
        "post": dataclasses.asdict(chosen.config),
        "score": chosen.score.as_dict(),
        "optimism": chosen.optimism,
        "untuned": untuned.score.as_dict(),
        "difference_to_untuned": chosen.difference.as_dict(),
        "tuned_on": {"rows": len(rows), "recordings": len(set(rows.recording))},
        "settings": settings,
    }
    write_atomically(file, json.dumps(content, indent=2))
