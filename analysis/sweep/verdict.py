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
import pandas as pd

from analysis.compare import Comparison, compare_pairs
from analysis.runs import CLIP, Run, align, difference_of
from analysis.sweep.parameters import FOLD, NAMES, value_text
from analysis.sweep.trials import Sweep, Trial
from core.scoring.intervals import bootstrap, build_metrics
from core.scoring.metric_names import IN_CORE, MetricName
from core.scoring.resampling import Interval, Resampler

SHOWN = 8


@dataclass(frozen=True)
class PooledRun(Run):
    """The runs of several folds as one."""

    parts: tuple[Run, ...] = ()

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """Out-of-fold predictions of all folds."""
        table = pd.concat([run.predictions for run in self.parts], ignore_index=True)
        return table.sort_values(CLIP, ignore_index=True)


@dataclass(frozen=True)
class Setting:
    """What is compared: a trial, or the trials of all folds that differ in nothing else.

    Attributes
    ----------
    name
        Of the trial, or what the trials share.
    trials
        One, or one a fold.
    metric
        On all their clips.
    run
        With their predictions.
    """

    name: str
    trials: tuple[Trial, ...]
    metric: Interval
    run: Run


@dataclass(frozen=True)
class Verdict:
    """What can be said about the best setting.

    Attributes
    ----------
    best
        The setting of the best metric.
    comparisons
        Of the best with every other that can be paired with it, these in order of their metric.
    apart
        Name -> why it cannot be paired with the best.
    """

    best: Setting
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


def single_settings(sweep: Sweep) -> list[Setting]:
    """Return every trial that has predictions, best first."""
    return [Setting(t.name, (t,), t.metric, t.run) for t in sweep.ranked if t.run is not None]


def pooled_settings(sweep: Sweep, num_resamples: int, confidence: float) -> list[Setting]:
    """Return the settings of which every fold is there, best first; none where the fold is not swept.

    Parameters
    ----------
    sweep
        Its trials.
    num_resamples, confidence
        Of the intervals of the pooled metric.
    """
    folds = next((one.levels for one in sweep.parameters if one.key == FOLD), ())
    if not folds or not all(isinstance(fold, int) for fold in folds) or sweep.short_metric not in IN_CORE:
        return []
    groups: dict[str, dict[Any, Trial]] = {}
    for trial in sweep.trials:
        if trial.has_result and trial.run is not None:
            groups.setdefault(shared_name(trial), {}).setdefault(trial.values[FOLD], trial)
    found = []
    for name, by_fold in groups.items():
        if set(by_fold) == set(folds):
            trials = tuple(by_fold[fold] for fold in folds)
            run = pool(name, [trial.run for trial in trials if trial.run is not None])
            metric = metric_of_run(run, IN_CORE[sweep.short_metric], num_resamples, confidence)
            found.append(Setting(name, trials, metric, run))
    return sorted(found, key=lambda setting: -sweep.sign * setting.metric.value)


def shared_name(trial: Trial) -> str:
    """Return what a trial shares with those of other folds, as a name."""
    words = [f"{key}={value_text(value)}" for key, value in trial.values.items() if key != FOLD]
    return ", ".join(words) or "all folds"


def pool(name: str, runs: Sequence[Run]) -> PooledRun:
    """Return the runs of several folds as one."""
    first = runs[0]
    return PooledRun(first.folder, first.config, first.summary, name, parts=tuple(runs))


def quantile_of(run: Run) -> float:
    """Return the quantile that decides in a run."""
    return float(run.config["valid"]["threshold_quantile"])


def metric_of_run(run: Run, name: str, num_resamples: int, confidence: float) -> Interval:
    """Return a macro metric of `core.scoring.intervals` on a run's predictions, with its interval."""
    one = align([run])
    resampler = Resampler(one.recording, one.primary, num_resamples)
    metrics = build_metrics(
        one.truth, one.probability[0], resampler.cluster_of_row, (name,), quantile=quantile_of(run)
    )
    return bootstrap(metrics, one.truth, resampler).macro_interval(name, confidence)


def judge(
    sweep: Sweep,
    settings: Sequence[Setting],
    *,
    num_resamples: int = 2000,
    num_flips: int = 5000,
    confidence: float = 0.95,
) -> Verdict | None:
    """Compare the best setting with every other.

    Parameters
    ----------
    sweep
        Names the metric.
    settings
        Best first.
    num_resamples, num_flips, confidence
        As in `analysis.compare.compare_pairs`.

    Returns
    -------
    Verdict or None
        None if there is no setting, or nothing tests the metric.
    """
    if not settings or sweep.short_metric not in IN_CORE:
        return None
    best = settings[0]
    apart = {one.name: why for one in settings[1:] if (why := reason_apart(best.run, one.run)) is not None}
    paired = [one for one in settings if one.name not in apart]
    if len(paired) < 2:
        return Verdict(best, (), apart)
    found = compare_pairs(
        align([one.run for one in paired]),
        cast(MetricName, sweep.short_metric),
        num_resamples=num_resamples,
        num_flips=num_flips,
        confidence=confidence,
        quantile=quantile_of(best.run),
    )
    return Verdict(best, tuple(found), apart)


def reason_apart(best: Run, other: Run) -> str | None:
    """Return why two runs cannot be paired; None if they can."""
    if len(best.predictions) == 0 or len(other.predictions) == 0:
        return "validated nothing"
    if quantile_of(best) != quantile_of(other):
        return f"another valid.threshold_quantile ({quantile_of(best)} and {quantile_of(other)})"
    return difference_of(best, other)


def verdict_text(sweep: Sweep, verdict: Verdict) -> str:
    """Return the verdict in words, a paragraph."""
    second = verdict.second
    if second is None:
        return f"{verdict.best.name} stands alone: no other can be compared with it on the same clips."
    number = len(verdict.comparisons)
    words = {True: "IS distinguishable", False: "is NOT distinguishable"}[second.is_distinguishable]
    lines = [
        f"The best, {verdict.best.name}, {words} from the second, {second.run} "
        f"(Holm over {number} {'pair' if number == 1 else 'pairs'} with the best):",
        f"  {second.verdict}",
    ]
    if verdict.alike:
        more = len(verdict.alike) - SHOWN
        shown = "; ".join(verdict.alike[:SHOWN]) + (f" and {more} more" if more > 0 else "")
        lines.append(f"Not distinguishable from the best, {len(verdict.alike)} of {number}: {shown}.")
    else:
        lines.append("Every other is distinguishable from the best.")
    lines.append(
        "The best was picked on these very clips: on others expect less of it. Tests and intervals vary "
        "recordings, not training once more."
    )
    return "\n".join(lines)


@dataclass(frozen=True)
class Spread:
    """How far trials lie apart that differ in one name only, such as the seed.

    Attributes
    ----------
    key
        Which.
    deviation
        Standard deviation, pooled over groups of trials that share everything else.
    freedom
        Degrees of freedom it is known with.
    """

    key: str
    deviation: float
    freedom: int


def spreads(sweep: Sweep) -> list[Spread]:
    """Return the spread by each of folds and seeds that is swept and was repeated with all else the same."""
    found = []
    for key in [one.key for one in sweep.parameters if one.key in NAMES]:
        groups: dict[str, list[float]] = {}
        for trial in sweep.ranked:
            rest = {other: value for other, value in trial.values.items() if other != key}
            groups.setdefault(repr(rest), []).append(trial.metric.value)
        freedom = sum(len(group) - 1 for group in groups.values())
        squares = sum(float(np.var(group)) * len(group) for group in groups.values())
        if freedom > 0:
            found.append(Spread(key, float(np.sqrt(squares / freedom)), freedom))
    return found
