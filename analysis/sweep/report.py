"""What a sweep showed, in words and tables."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.sweep.best import BestSetting, best_text, repeat_spreads
from analysis.sweep.effects import Effect
from analysis.sweep.figures import result_text
from analysis.sweep.findings import SweepFindings
from analysis.sweep.importance import Importance
from analysis.sweep.swept import FOLD
from analysis.sweep.tables import trial_rows
from analysis.sweep.trial_results import SweepResults, TrialResult
from sweeps.parameters import value_text
from sweeps.trial import FAILED, FINISHED, RUNNING, STOPPED

MOST_ROWS = 40
STATE_ORDER = (STOPPED, FAILED, RUNNING, FINISHED)


def sweep_text(found: SweepFindings) -> str:
    """Return everything in words."""
    sweep = found.sweep
    parts = [heading(sweep), trials_text(sweep), others_text(sweep)]
    if found.pooled:
        parts.append(settings_text(sweep, found.pooled))
    parts += [comparison_text(found), spreads_text(repeat_spreads(sweep))]
    if found.effects:
        parts += [effects_text(sweep, found.effects), importance_text(found.importance)]
    parts.append(front_text(sweep))
    return "\n\n".join(part for part in parts if part)


def comparison_text(found: SweepFindings) -> str:
    """Return what can be said about the best, and what could not be compared with it."""
    sweep = found.sweep
    lacking = unpaired(sweep)
    if found.best is None and lacking:
        return (
            f"No verdict: no predictions of the {len(lacking)} trials lie here, and without them nothing "
            "can be paired (--runs=FOLDER says where the runs of a W&B sweep are)."
        )
    if found.best is None:
        return f"No verdict: nothing tests {sweep.metric}; trials are only ranked by it."
    parts = [best_text(found.best), apart_text(found.best)]
    if lacking:
        names = ", ".join(trial.name for trial in lacking)
        parts.insert(0, f"Left out of what follows, their predictions do not lie here: {names}.")
    return "\n".join(part for part in parts if part)


def heading(sweep: SweepResults) -> str:
    """Return what the sweep is, and how many of its trials there are."""
    counts = [
        f"{number} {state}"
        for state in (FINISHED, STOPPED, FAILED, RUNNING)
        if (number := sum(trial.state == state for trial in sweep.trials))
    ]
    asked = f": {sweep.question}" if sweep.question else ""
    return (
        f"{sweep.name}{asked}\n{sweep.method} sweep, {sweep.goal} {sweep.metric}; "
        f"{len(sweep.trials)} trials: {', '.join(counts)}"
    )


def short_keys(sweep: SweepResults) -> dict[str, str]:
    """Return the last word of each parameter's name, or all of it where that is not enough."""
    last = [one.key.rsplit(".", 1)[-1] for one in sweep.parameters]
    return {
        one.key: word if last.count(word) == 1 else one.key
        for one, word in zip(sweep.parameters, last, strict=True)
    }


def trials_text(sweep: SweepResults) -> str:
    """Return the table of trials with a result, best first."""
    names = {"trial": "trial", sweep.metric: sweep.label, "clips_per_second": "clips/s", "minutes": "minutes"}
    names |= short_keys(sweep)
    shown = trial_rows(sweep, None)[: min(len(sweep.ranked), MOST_ROWS)]
    more = len(sweep.ranked) - MOST_ROWS
    rows = [{name: row[key] for key, name in names.items()} for row in shown]
    return columns_text(rows) + (f"\n  and {more} more in trials.csv" if more > 0 else "")


def columns_text(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as columns of text, numbers with four digits."""
    return pd.DataFrame(rows).to_string(index=False, na_rep="-", float_format="{:.4g}".format)


def others_text(sweep: SweepResults) -> str:
    """Return the trials without a result, by their state; empty if there are none."""
    names, lines = short_keys(sweep), ["Not compared, and in no figure:"]
    for trial in sorted(sweep.others, key=lambda trial: STATE_ORDER.index(trial.state)):
        words = [
            f"{name}={value_text(trial.values[key])}" for key, name in names.items() if key in trial.values
        ]
        state = trial.state if trial.state != FINISHED else f"finished without {sweep.metric}"
        last = "" if math.isnan(trial.metric.value) else f", last {trial.metric.value:.3f}"
        lines.append(f"  {trial.name} {state}{last}: {'  '.join(words)}")
    return "\n".join(lines) if sweep.others else ""


def settings_text(sweep: SweepResults, settings: Sequence[TrialResult]) -> str:
    """Return the settings whose folds were pooled, best first."""
    folds = len(next(one.levels for one in sweep.parameters if one.key == FOLD))
    rows = [{"setting": one.name, sweep.label: one.metric} for one in settings]
    rest = len(sweep.ranked) - folds * len(settings)
    lines = [
        f"{FOLD} is swept: trials of different folds validated other clips. Settings with all {folds} folds, "
        "these pooled:",
        columns_text(rows),
    ]
    return "\n".join([*lines, *([f"{rest} more trials belong to no full set of folds."] if rest else [])])


def apart_text(found: BestSetting) -> str:
    """Return what could not be compared with the best, and why; empty if there is nothing."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in found.apart.items():
        by_reason.setdefault(reason.split(":")[0].split(" (")[0], []).append(name)
    lines = [
        f"Not comparable with {found.name} ({reason}): {', '.join(names)}."
        for reason, names in by_reason.items()
    ]
    return "\n".join(lines)


def spreads_text(found: dict[str, tuple[float, int]]) -> str:
    """Return how far trials lie apart that differ in fold or seed only; empty if there are none."""
    return "\n".join(
        f"Trials that differ in {key} only: standard deviation {deviation:.4f} "
        f"({freedom} degrees of freedom)."
        for key, (deviation, freedom) in found.items()
    )


def effects_text(sweep: SweepResults, effects: Sequence[Effect]) -> str:
    """Return the marginal effect of each parameter."""
    lines = [
        f"Marginal effects on {sweep.label}, over {len(sweep.ranked)} trials; each interval by itself, not "
        "corrected for the number of parameters:"
    ]
    for effect in effects:
        lines.append(f"  {effect.parameter.key}: {effect_words(effect)}")
        means = zip(effect.parameter.levels, effect.levels, effect.counts, strict=True)
        lines += [f"    {value_text(level)}: {mean} ({count})" for level, mean, count in means]
    if any(effect.parameter.key == FOLD for effect in effects):
        lines.append("  Folds lie apart, which widens the intervals of all else.")
    if sweep.method == "bayes":
        lines.append(
            "  A bayes sweep tries more where scores are good: these are effects among its own trials."
        )
    if any(trial.state == STOPPED for trial in sweep.trials):
        lines.append("  Stopped trials are left out: these are effects among trials good enough to go on.")
    return "\n".join(lines)


def effect_words(effect: Effect) -> str:
    """Return the change along a parameter in words."""
    parameter, change = effect.parameter, effect.change_text
    if change:
        low, high = effect.coordinates.min(), effect.coordinates.max()
        ends = [value_text(parameter.value_at(float(end))) for end in (low, high)]
        change += f" from {ends[0]} to {ends[1]}{', log' if parameter.is_log else ''}"
    return "; ".join(filter(None, [change, effect.note])) or "mean of each value"


def importance_text(importance: Importance | None) -> str:
    """Return the importance of each parameter, and the caution that is due."""
    if importance is None:
        return "Importance: too few trials for a forest (at least 8, of different results)."
    lines = [
        f"Importance, share of variance (a forest predicts {importance.explained:.0%} on unseen trials):",
        *(f"  {parameter.key}: {share}" for parameter, share in importance.ranked),
    ]
    return "\n".join([*lines, *([f"  Caution: {importance.caution}."] if importance.caution else [])])


def front_text(sweep: SweepResults) -> str:
    """Return the trials that no other beats in metric and throughput."""
    front = sweep.front
    if not front:
        return "No trial logged clips per second."
    return "\n".join(
        [
            f"Not beaten in both {sweep.label} and clips per second (trials at once share a machine):",
            *(f"  {one.clips_per_second:.3g} clips/s  {result_text(one)}" for one in front),
        ]
    )


def unpaired(sweep: SweepResults) -> list[TrialResult]:
    """Return the trials whose predictions do not lie here."""
    return [trial for trial in sweep.ranked if trial.run is None]
