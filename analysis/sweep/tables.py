"""Tables of a sweep: trials, pooled settings, effects, importance; every interval as three columns."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.sweep.effects import Effect
from analysis.sweep.figures import front_of
from analysis.sweep.importance import Importance
from analysis.sweep.parameters import FOLD, value_text
from analysis.sweep.trials import Sweep
from analysis.sweep.verdict import Setting, Verdict
from core.scoring.resampling import Interval


def trials_table(sweep: Sweep, verdict: Verdict | None) -> pd.DataFrame:
    """Return one row a trial, best first and those without a result last."""
    front = {trial.name for trial in front_of(sweep)}
    compared = {} if verdict is None else {one.run: one for one in verdict.comparisons}
    rows: list[dict[str, Any]] = []
    for trial in [*sweep.ranked, *sweep.others()]:
        row: dict[str, Any] = {"trial": trial.name, "state": trial.state, **trial.values}
        row |= interval_columns(sweep.metric, trial.metric)
        row |= {"clips_per_second": trial.clips_per_second, "minutes": trial.minutes}
        row["on_front"] = trial.name in front
        one = compared.get(trial.name)
        if one is not None:
            row |= interval_columns("minus_best", one.difference)
            row |= {"p_holm": one.p_holm, "distinguishable_from_best": one.is_distinguishable}
        rows.append(row | {"run": "" if trial.run is None else str(trial.run.folder)})
    return pd.DataFrame(rows)


def settings_table(sweep: Sweep, settings: Sequence[Setting], verdict: Verdict | None) -> pd.DataFrame:
    """Return one row a pooled setting, best first."""
    compared = {} if verdict is None else {one.run: one for one in verdict.comparisons}
    rows: list[dict[str, Any]] = []
    for setting in settings:
        shared = {key: value for key, value in setting.trials[0].values.items() if key != FOLD}
        row: dict[str, Any] = {**shared, "trials": " ".join(trial.name for trial in setting.trials)}
        row |= interval_columns(sweep.metric, setting.metric)
        one = compared.get(setting.name)
        if one is not None:
            row |= interval_columns("minus_best", one.difference)
            row |= {"p_holm": one.p_holm, "distinguishable_from_best": one.is_distinguishable}
        rows.append(row)
    return pd.DataFrame(rows)


def interval_columns(name: str, interval: Interval) -> dict[str, float]:
    """Return an interval as three columns."""
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def effects_table(effects: Sequence[Effect]) -> pd.DataFrame:
    """Return the points of all curves and means, and the changes, one row each."""
    rows: list[dict[str, Any]] = []
    for effect in effects:
        parameter, curve = effect.parameter, effect.curve
        key = {"parameter": parameter.key}
        if effect.change is not None:
            rows.append({**key, "what": "change", **interval_columns("value", effect.change)})
        for level, mean, count in zip(parameter.levels, effect.levels, effect.counts, strict=True):
            at = {"what": "mean", "at": value_text(level), "trials": count}
            rows.append({**key, **at, **interval_columns("value", mean)})
        if curve is not None:
            positions = 10**curve.positions if parameter.is_log else curve.positions
            for place, at_place in enumerate(positions):
                value, low, high = (float(line[place]) for line in (curve.value, curve.low, curve.high))
                point = Interval(value, low, high)
                rows.append(
                    {**key, "what": "curve", "at": f"{at_place:.6g}", **interval_columns("value", point)}
                )
    return pd.DataFrame(rows)


def importance_table(importance: Importance) -> pd.DataFrame:
    """Return one row a parameter, the most important first."""
    return pd.DataFrame(
        [{"parameter": one.key, **interval_columns("share", share)} for one, share in importance.ranked]
    )
