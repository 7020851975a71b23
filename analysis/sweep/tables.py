"""Tables of a sweep: trials, pooled settings, effects, importance; in files an interval has three columns."""

from typing import Any

from analysis.sweep.best import BestSetting, PooledRun
from analysis.sweep.effects import Effect
from analysis.sweep.findings import SweepFindings
from analysis.sweep.trial_results import SweepResults, TrialResult
from core.scoring.intervals import Interval
from sweeps.parameters import value_text

TableRows = list[dict[str, Any]]


def tables_of(found: SweepFindings) -> dict[str, TableRows]:
    """Return the rows of every table by its name."""
    sweep = found.sweep
    tables = {"trials": trial_rows(sweep, found.best)}
    if found.pooled:
        tables["settings"] = [setting_row(sweep, one, found.best) for one in found.pooled]
    if found.effects:
        tables["marginal_effects"] = [row for effect in found.effects for row in marginal_effect_rows(effect)]
    if found.importance is not None:
        tables["importance"] = [
            {"parameter": one.key, "share": share} for one, share in found.importance.ranked
        ]
    return tables


def trial_rows(sweep: SweepResults, best: BestSetting | None) -> TableRows:
    """Return one row a trial, best first and those without a result last."""
    front = {trial.name for trial in sweep.front}
    return [
        {
            "trial": trial.name,
            "state": trial.state,
            **trial.values,
            sweep.metric: trial.metric,
            "clips_per_second": trial.clips_per_second,
            "minutes": trial.minutes,
            "on_front": trial.name in front,
            **columns_against_best(trial.name, best),
            "run": "" if trial.run is None else str(trial.run.folder),
        }
        for trial in [*sweep.ranked, *sweep.others]
    ]


def setting_row(sweep: SweepResults, setting: TrialResult, best: BestSetting | None) -> dict[str, Any]:
    """Return the row of a setting whose folds were pooled."""
    assert isinstance(setting.run, PooledRun)
    names = " ".join(run.name for run in setting.run.parts)
    row = {**setting.values, "trials": names, sweep.metric: setting.metric}
    return row | columns_against_best(setting.name, best)


def columns_against_best(name: str, best: BestSetting | None) -> dict[str, Any]:
    """Return what tells a trial or setting from the best; nothing where the two cannot be paired."""
    for one in () if best is None else best.comparisons:
        if one.run == name:
            tested = {"p_holm": one.p_holm, "distinguishable_from_best": one.is_distinguishable}
            return {"minus_best": one.difference, **tested}
    return {}


def marginal_effect_rows(effect: Effect) -> TableRows:
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
