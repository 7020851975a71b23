"""All that is found out about a sweep, in one place."""

from dataclasses import dataclass

import numpy as np

from analysis.sweep.best import BestSetting, compare_best, pooled_settings
from analysis.sweep.effects import Effect, marginal_effect
from analysis.sweep.importance import Importance, importance_of
from analysis.sweep.trial_results import SweepResults, TrialResult


@dataclass(frozen=True)
class SweepFindings:
    """All that was found.

    Attributes
    ----------
    sweep
        The trials.
    pooled
        Settings with all folds pooled; empty where the fold is not swept.
    best
        None where nothing can be tested.
    effects
        Of each parameter.
    importance
        None where trials are too few.
    """

    sweep: SweepResults
    pooled: list[TrialResult]
    best: BestSetting | None
    effects: list[Effect]
    importance: Importance | None


def find_all(
    sweep: SweepResults, *, num_resamples: int = 2000, num_flips: int = 5000, confidence: float = 0.95
) -> SweepFindings:
    """Return what a sweep shows.

    Parameters
    ----------
    sweep
        With a trial that finished.
    num_resamples, num_flips
        Of every bootstrap, and of every test.
    confidence
        Of intervals and verdicts.
    """
    trials = sweep.ranked
    metric = np.array([trial.metric.value for trial in trials])
    coordinates = [one.coordinates(trial.values[one.key] for trial in trials) for one in sweep.parameters]
    pooled = pooled_settings(sweep, num_resamples, confidence)
    return SweepFindings(
        sweep=sweep,
        pooled=pooled,
        best=compare_best(
            sweep, pooled or trials, num_resamples=num_resamples, num_flips=num_flips, confidence=confidence
        ),
        effects=[
            marginal_effect(parameter, one, metric, num_resamples=num_resamples, confidence=confidence)
            for parameter, one in zip(sweep.parameters, coordinates, strict=True)
        ],
        importance=importance_of(
            sweep.parameters, coordinates, metric, num_resamples=num_resamples, confidence=confidence
        ),
    )
