"""All that is found out about a sweep; above all, whether the best trial is better or only first.

Trials are compared in pairs on the recordings they all validated (`analysis.compare`: paired bootstrap,
sign-flip test, corrected for the choice of the best). Trials of different folds validated other recordings
and cannot be paired; where the fold is swept, trials that differ in nothing else are pooled into one setting
if every fold is there, as a run of all folds is.

The best was picked on the clips it is tested on, which no correction for pairs takes into account. In 120
simulated sweeps of eight equally good trials on 75 recordings, the best was never found distinguishable from
the second, but in 9 % of them some other trial was wrongly told from it.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np

from analysis.runs import Run, predictions_of
from analysis.sweep.effects import Effect, marginal_effect
from analysis.sweep.importance import Importance, importance_of
from analysis.sweep.permutation_null import PermutationNull, shuffle_scores
from analysis.sweep.swept import FOLD, FOLD_AND_SEEDS
from analysis.sweep.trial_results import SweepResults, TrialResult
from core.config import MetricName
from core.scoring.comparison import Comparison, compare_pairs
from core.scoring.draws import draw_metrics
from core.scoring.intervals import Interval
from core.scoring.metric_names import IN_CORE
from core.scoring.predictions import Predictions, difference_of, pool_predictions
from sweeps.parameters import value_text
from sweeps.sweep_folder import FINISHED

TableRows = list[dict[str, Any]]


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
    def alike(self) -> list[str]:
        """Settings that are not distinguishable from the best."""
        return [one.run for one in self.comparisons if not one.is_distinguishable]


@dataclass(frozen=True)
class SweepFindings:
    """All that is found, each once.

    Attributes
    ----------
    sweep
        With a trial that finished.
    num_resamples, num_flips
        Of every bootstrap, and of every test.
    confidence
        Of intervals and verdicts.
    """

    sweep: SweepResults
    num_resamples: int = 2000
    num_flips: int = 5000
    confidence: float = 0.95

    @cached_property
    def pooled(self) -> list[TrialResult]:
        """Settings of which every fold is there, best first, as if each were a trial of all folds.

        Their runs are `PooledRun`s; there are none where the fold is not swept.
        """
        sweep = self.sweep
        folds = next((one.levels for one in sweep.parameters if one.key == FOLD), ())
        if not folds or not all(isinstance(fold, int) for fold in folds) or sweep.short_metric not in IN_CORE:
            return []
        groups: dict[str, dict[Any, TrialResult]] = {}
        for trial in sweep.ranked:
            name = ", ".join(f"{key}={value_text(value)}" for key, value in _without(FOLD, trial).items())
            if trial.run is not None:
                groups.setdefault(name or "all folds", {}).setdefault(trial.values[FOLD], trial)
        found = []
        for name, by_fold in groups.items():
            parts = tuple(one.run for _, one in sorted(by_fold.items()) if one.run is not None)
            if len(parts) == len(folds):
                run = PooledRun(parts[0].folder, parts[0].config, parts[0].summary, name, parts=parts)
                values = _without(FOLD, by_fold[folds[0]])
                found.append(TrialResult(name, FINISHED, values, self._metric_of(run), run=run))
        return sorted(found, key=lambda setting: -sweep.sign * setting.metric.value)

    def _metric_of(self, run: Run) -> Interval:
        """Return the metric on a run's predictions, with its interval."""
        name, (rows,) = IN_CORE[self.sweep.short_metric], predictions_of([run])
        resampler = rows.resampler(num_resamples=self.num_resamples)
        quantile = run.valid.threshold_quantile
        drawn = draw_metrics(rows.truth, rows.probability, resampler, (name,), quantile=quantile)
        return drawn[name].mean().interval(self.confidence)

    @property
    def settings(self) -> list[TrialResult]:
        """What is compared, best first: pooled settings, else trials."""
        return self.pooled or self.sweep.ranked

    @cached_property
    def best(self) -> BestSetting | None:
        """The best trial or setting with predictions against every other; None if nothing can be tested."""
        runs = [one.run for one in self.settings if one.run is not None]
        if not runs or self.sweep.short_metric not in IN_CORE:
            return None
        best = runs[0]
        reasons = {other.name: _reason_apart(best, other) for other in runs[1:]}
        apart = {name: reason for name, reason in reasons.items() if reason is not None}
        paired = [run for run in runs if run.name not in apart]
        if len(paired) < 2:
            return BestSetting(best.name, (), apart)
        found = compare_pairs(
            predictions_of(paired),
            cast(MetricName, self.sweep.short_metric),
            pairs="best",
            num_resamples=self.num_resamples,
            num_flips=self.num_flips,
            confidence=self.confidence,
            quantile=best.valid.threshold_quantile,
        )
        return BestSetting(found[0].base, tuple(found), apart)

    @property
    def spreads(self) -> dict[str, tuple[float, int]]:
        """How far trials lie apart that differ in the fold or a seed only.

        By the name of fold or seed, where trials were repeated with all else the same: standard deviation,
        pooled over groups of such trials, and its degrees of freedom.
        """
        found = {}
        for key in [one.key for one in self.sweep.parameters if one.key in FOLD_AND_SEEDS]:
            groups: dict[str, list[float]] = {}
            for trial in self.sweep.ranked:
                groups.setdefault(repr(_without(key, trial)), []).append(trial.metric.value)
            freedom = sum(len(group) - 1 for group in groups.values())
            squares = sum(float(np.var(group)) * len(group) for group in groups.values())
            if freedom > 0:
                found[key] = (float(np.sqrt(squares / freedom)), freedom)
        return found

    @cached_property
    def effects(self) -> list[Effect]:
        """The marginal effect of each parameter."""
        return [
            marginal_effect(
                parameter, one, self._metric, num_resamples=self.num_resamples, confidence=self.confidence
            )
            for parameter, one in zip(self.sweep.parameters, self._coordinates, strict=True)
        ]

    @cached_property
    def importance(self) -> Importance | None:
        """The importance of each parameter; None where trials are too few."""
        return importance_of(
            self.sweep.parameters,
            self._coordinates,
            self._metric,
            num_resamples=self.num_resamples,
            confidence=self.confidence,
        )

    @cached_property
    def permutation_null(self) -> PermutationNull | None:
        """Whether any parameter matters; None where trials are too few."""
        folds = [place for place, one in enumerate(self.sweep.parameters) if one.key == FOLD]
        fold = self._coordinates[folds[0]] if folds else None
        return shuffle_scores(self.sweep.parameters, self._coordinates, self._metric, fold)

    @property
    def _metric(self) -> np.ndarray:
        return np.array([trial.metric.value for trial in self.sweep.ranked])

    @property
    def _coordinates(self) -> list[np.ndarray]:
        trials = self.sweep.ranked
        return [one.coordinates(trial.values[one.key] for trial in trials) for one in self.sweep.parameters]

    def tables(self) -> dict[str, TableRows]:
        """Return the rows of every table by its name."""
        tables = {"trials": self.trial_rows()}
        if self.pooled:
            tables["settings"] = [self._setting_row(setting) for setting in self.pooled]
        if self.effects:
            tables["marginal_effects"] = [row for one in self.effects for row in _effect_rows(one)]
        if self.importance is not None:
            null = self.permutation_null
            corrected = {one.key: p for one, p in null.corrected} if null is not None else {}
            tables["importance"] = [
                {"parameter": one.key, "share": share, "p_corrected": corrected.get(one.key)}
                for one, share in self.importance.ranked
            ]
        return tables

    def trial_rows(self) -> TableRows:
        """Return one row a trial, best first and those without a result last."""
        front = {trial.name for trial in self.sweep.front}
        return [
            {
                "trial": trial.name,
                "state": trial.state,
                **trial.values,
                self.sweep.metric: trial.metric,
                "clips_per_second": trial.clips_per_second,
                "minutes": trial.minutes,
                "on_front": trial.name in front,
                **self._against_best(trial.name),
                "run": "" if trial.run is None else str(trial.run.folder),
            }
            for trial in [*self.sweep.ranked, *self.sweep.others]
        ]

    def _setting_row(self, setting: TrialResult) -> dict[str, Any]:
        """Return the row of a setting whose folds were pooled."""
        assert isinstance(setting.run, PooledRun)
        names = " ".join(run.name for run in setting.run.parts)
        row = {**setting.values, "trials": names, self.sweep.metric: setting.metric}
        return row | self._against_best(setting.name)

    def _against_best(self, name: str) -> dict[str, Any]:
        """Return what tells a trial or setting from the best; nothing where the two cannot be paired."""
        comparisons = () if self.best is None else self.best.comparisons
        one = next((one for one in comparisons if one.run == name), None)
        if one is None:
            return {}
        tested = {"p_corrected": one.p_corrected, "distinguishable_from_best": one.is_distinguishable}
        return {"minus_best": one.difference, **tested}


def _effect_rows(effect: Effect) -> TableRows:
    """Return change, means of levels and points of the curve of a parameter, a row each."""
    parameter, rows = effect.parameter, []
    if effect.change is not None:
        rows.append({"what": "change", "value": effect.change})
    for level, mean, count in zip(parameter.levels, effect.levels, effect.counts, strict=True):
        rows.append({"what": "mean", "at": value_text(level), "trials": count, "value": mean})
    for position, value, low, high in effect.curve.T.tolist():
        at = parameter.value_at(position)
        rows.append({"what": "curve", "at": f"{at:.6g}", "value": Interval(value, low, high)})
    return [{"parameter": parameter.key, **row} for row in rows]


def _without(key: str, trial: TrialResult) -> dict[str, Any]:
    """Return the values of a trial but for one parameter."""
    return {other: value for other, value in trial.values.items() if other != key}


def _reason_apart(best: Run, other: Run) -> str | None:
    """Return why two runs cannot be paired; None if they can."""
    if len(best.predictions) == 0 or len(other.predictions) == 0:
        return "validated nothing"
    quantiles = [run.valid.threshold_quantile for run in (best, other)]
    if quantiles[0] != quantiles[1]:
        return f"another valid.threshold_quantile ({quantiles[0]} and {quantiles[1]})"
    return difference_of(best.predictions, other.predictions)
