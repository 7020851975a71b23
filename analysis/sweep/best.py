"""Is the best trial of a sweep better than the second, or only first? With folds pooled where they are swept.

Trials are compared in pairs on the recordings they all validated (`analysis.compare`: paired bootstrap,
sign-flip test, Holm over all pairs with the best). Trials of different folds validated other recordings and
cannot be paired; where the fold is swept, trials that differ in nothing else are pooled into one setting if
every fold is there, as a run of all folds is.

The best was picked on the clips it is tested on, which no correction for pairs takes into account. In 120
simulated sweeps of eight equally good trials on 75 recordings, the best was never found distinguishable from
the second, but in 9 % of them some other trial was wrongly told from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np

from analysis.runs import Run, predictions_of
from analysis.sweep.swept import FOLD, FOLD_AND_SEEDS
from analysis.sweep.trial_results import SweepResults, TrialResult
from core.scoring.comparison import Comparison, compare_pairs
from core.scoring.draws import draw_metrics
from core.scoring.intervals import Interval
from core.scoring.metric_names import IN_CORE, MetricName
from core.scoring.predictions import Predictions, difference_of, pool_predictions
from core.scoring.resampling import RESAMPLES
from sweeps.parameters import value_text
from sweeps.trial import FINISHED

MOST_ALIKE = 8


@dataclass(frozen=True)
class PooledRun(Run):
    """The runs of several folds as one."""

    parts: tuple[Run, ...] = ()

    @cached_property
    def predictions(self) -> Predictions:
        """Out-of-fold predictions of all folds."""
        return pool_predictions([run.predictions for run in self.parts], self.name)


@dataclass(frozen=True)
class BestSetting:
    """What can be said about the best setting.

    Attributes
    ----------
    name
        Of the trial or setting with the best metric.
    comparisons
        Of the best with every other that can be paired with it, these in order of their metric.
    apart
        Name -> why it cannot be paired with the best.
    """

    name: str
    comparisons: tuple[Comparison, ...]
    apart: dict[str, str]

    @property
    def second(self) -> Comparison | None:
        """The best against the next best."""
        return self.comparisons[0] if self.comparisons else None

    @property
    def alike(self) -> list[str]:
        """Settings that are not distinguishable from the best."""
        return [one.run for one in self.comparisons if not one.is_distinguishable]


def pooled_settings(sweep: SweepResults, num_resamples: int, confidence: float) -> list[TrialResult]:
    """Return the settings of which every fold is there, best first; none where the fold is not swept.

    Parameters
    ----------
    sweep
        Its trials.
    num_resamples, confidence
        Of the intervals of the pooled metric.

    Returns
    -------
    list of TrialResult
        A setting each, as if it were a trial of all folds: its run is a `PooledRun`.
    """
    folds = next((one.levels for one in sweep.parameters if one.key == FOLD), ())
    if not folds or not all(isinstance(fold, int) for fold in folds) or sweep.short_metric not in IN_CORE:
        return []
    groups: dict[str, dict[Any, Run]] = {}
    shared = {}
    for trial in sweep.ranked:
        values = {key: value for key, value in trial.values.items() if key != FOLD}
        name = ", ".join(f"{key}={value_text(value)}" for key, value in values.items()) or "all folds"
        if trial.run is not None:
            shared[name] = values
            groups.setdefault(name, {}).setdefault(trial.values[FOLD], trial.run)
    found = []
    for name, by_fold in groups.items():
        if set(by_fold) == set(folds):
            parts = tuple(by_fold[fold] for fold in folds)
            run = PooledRun(parts[0].folder, parts[0].config, parts[0].summary, name, parts=parts)
            metric = metric_of_run(run, IN_CORE[sweep.short_metric], num_resamples, confidence)
            found.append(TrialResult(name, FINISHED, shared[name], metric, run=run))
    return sorted(found, key=lambda setting: -sweep.sign * setting.metric.value)


def quantile_of(run: Run) -> float:
    """Return the quantile that decides in a run."""
    return run.valid.threshold_quantile


def metric_of_run(run: Run, name: str, num_resamples: int, confidence: float) -> Interval:
    """Return a macro metric of `core.scoring.intervals` on a run's predictions, with its interval."""
    (rows,) = predictions_of([run])
    resampler = rows.resampler(num_resamples=num_resamples)
    drawn = draw_metrics(rows.truth, rows.probability, resampler, (name,), quantile=quantile_of(run))
    return drawn[name].mean().interval(confidence)


def compare_best(
    sweep: SweepResults,
    settings: Sequence[TrialResult],
    *,
    num_resamples: int = RESAMPLES,
    num_flips: int = 5000,
    confidence: float = 0.95,
) -> BestSetting | None:
    """Compare the best trial or setting with every other; None if nothing can be tested.

    Parameters
    ----------
    sweep
        Names the metric.
    settings
        Best first; those without predictions are left out.
    num_resamples, num_flips, confidence
        As in `analysis.compare.compare_pairs`.
    """
    runs = [one.run for one in settings if one.run is not None]
    if not runs or sweep.short_metric not in IN_CORE:
        return None
    best = runs[0]
    reasons = {other.name: reason_apart(best, other) for other in runs[1:]}
    apart = {name: reason for name, reason in reasons.items() if reason is not None}
    paired = [run for run in runs if run.name not in apart]
    if len(paired) < 2:
        return BestSetting(best.name, (), apart)
    found = compare_pairs(
        predictions_of(paired),
        cast(MetricName, sweep.short_metric),
        num_resamples=num_resamples,
        num_flips=num_flips,
        confidence=confidence,
        quantile=quantile_of(best),
    )
    return BestSetting(best.name, tuple(found), apart)


def reason_apart(best: Run, other: Run) -> str | None:
    """Return why two runs cannot be paired; None if they can."""
    if len(best.predictions) == 0 or len(other.predictions) == 0:
        return "validated nothing"
    if quantile_of(best) != quantile_of(other):
        return f"another valid.threshold_quantile ({quantile_of(best)} and {quantile_of(other)})"
    return difference_of(best.predictions, other.predictions)


def best_text(found: BestSetting) -> str:
    """Return what can be said about the best in words, a paragraph."""
    second, number = found.second, len(found.comparisons)
    if second is None:
        return f"{found.name} stands alone: no other can be compared with it on the same clips."
    words = "IS distinguishable" if second.is_distinguishable else "is NOT distinguishable"
    lines = [
        f"The best, {found.name}, {words} from the second, {second.run} "
        f"(Holm over {number} {'pair' if number == 1 else 'pairs'} with the best):",
        f"  {second.verdict}",
    ]
    if found.alike:
        more = len(found.alike) - MOST_ALIKE
        shown = "; ".join(found.alike[:MOST_ALIKE]) + (f" and {more} more" if more > 0 else "")
        lines.append(f"Not distinguishable from the best, {len(found.alike)} of {number}: {shown}.")
    else:
        lines.append("Every other is distinguishable from the best.")
    lines.append(
        "The best was picked on these very clips: on others expect less of it. Tests and intervals vary "
        "recordings, not training once more."
    )
    return "\n".join(lines)


def repeat_spreads(sweep: SweepResults) -> dict[str, tuple[float, int]]:
    """Return how far trials lie apart that differ in the fold or a seed only.

    Returns
    -------
    dict
        By the name of fold or seed, where trials were repeated with all else the same: standard deviation,
        pooled over groups of such trials, and its degrees of freedom.
    """
    found = {}
    for key in [one.key for one in sweep.parameters if one.key in FOLD_AND_SEEDS]:
        groups: dict[str, list[float]] = {}
        for trial in sweep.ranked:
            rest = {other: value for other, value in trial.values.items() if other != key}
            groups.setdefault(repr(rest), []).append(trial.metric.value)
        freedom = sum(len(group) - 1 for group in groups.values())
        squares = sum(float(np.var(group)) * len(group) for group in groups.values())
        if freedom > 0:
            found[key] = (float(np.sqrt(squares / freedom)), freedom)
    return found
