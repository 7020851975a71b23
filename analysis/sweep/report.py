"""What a sweep showed, in words and tables."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.sweep.effects import Effect
from analysis.sweep.findings import BestSetting, SweepFindings
from analysis.sweep.importance import Importance
from analysis.sweep.permutation_null import PermutationNull
from analysis.sweep.swept import FOLD
from analysis.sweep.trial_results import SweepResults
from sweeps.parameters import value_text
from sweeps.sweep_folder import STOPPED

MOST_ROWS = 40
MOST_ALIKE = 8


def sweep_text(found: SweepFindings) -> str:
    """Return everything in words."""
    sweep = found.sweep
    asked = f": {sweep.question}" if sweep.question else ""
    heading = f"{sweep.name}{asked}\n{sweep.method} sweep, {sweep.goal} {sweep.metric}; {sweep.counts}"
    parts = [heading, _trials_text(found), _settings_text(found)]
    parts += [_comparison_text(found), _repeat_text(sweep), _spreads_text(found)]
    if found.effects:
        parts += [_effects_text(sweep, found.effects), _null_text(sweep, found.permutation_null)]
        parts.append(_importance_text(found.importance))
    parts.append(_front_text(sweep))
    return "\n\n".join(part for part in parts if part)


def _short_keys(sweep: SweepResults) -> dict[str, str]:
    """Return the last word of each parameter's name, or all of it where that is not enough."""
    last = {one.key: one.key.rsplit(".", 1)[-1] for one in sweep.parameters}
    words = list(last.values())
    return {key: word if words.count(word) == 1 else key for key, word in last.items()}


def _trials_text(found: SweepFindings) -> str:
    """Return the table of trials: best first, those without a result last."""
    sweep = found.sweep
    names = {"trial": "trial", "state": "state", sweep.metric: sweep.label, "clips_per_second": "clips/s"}
    names |= {"minutes": "minutes", **_short_keys(sweep)}
    rows = [{name: row.get(key) for key, name in names.items()} for row in found.trial_rows()]
    lines = [_columns_text(rows[:MOST_ROWS])]
    if len(rows) > MOST_ROWS:
        lines.append(f"  and {len(rows) - MOST_ROWS} more in trials.csv")
    if sweep.others:
        lines.append(f"Without a final {sweep.metric}, not compared and in no figure: {len(sweep.others)}.")
    return "\n".join(lines)


def _columns_text(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as columns of text, numbers with four digits."""
    return pd.DataFrame(rows).to_string(index=False, na_rep="-", float_format="{:.4g}".format)


def _settings_text(found: SweepFindings) -> str:
    """Return the settings whose folds were pooled, best first; empty if there are none."""
    sweep = found.sweep
    if not found.pooled:
        return ""
    folds = len(next(one.levels for one in sweep.parameters if one.key == FOLD))
    rest = len(sweep.ranked) - folds * len(found.pooled)
    text = (
        f"{FOLD} is swept: trials of different folds validated other clips. Settings with all {folds} folds, "
        "these pooled:\n"
    )
    text += _columns_text([{"setting": one.name, sweep.label: one.metric} for one in found.pooled])
    return text + (f"\n{rest} more trials belong to no full set of folds." if rest else "")


def _comparison_text(found: SweepFindings) -> str:
    """Return what can be said about the best, and what could not be compared with it."""
    lacking = [trial.name for trial in found.sweep.ranked if trial.run is None]
    if found.best is None and lacking:
        return (
            f"No verdict: no predictions of the {len(lacking)} trials lie here, and without them nothing "
            "can be paired (--runs=FOLDER says where the runs of a W&B sweep are)."
        )
    if found.best is None:
        return f"No verdict: nothing tests {found.sweep.metric}; trials are only ranked by it."
    left_out = f"Left out of what follows, their predictions do not lie here: {', '.join(lacking)}.\n"
    return (left_out if lacking else "") + _best_text(found.best) + _apart_text(found.best)


def _best_text(best: BestSetting) -> str:
    """Return what can be said about the best in words, a paragraph."""
    if not best.comparisons:
        return f"{best.name} stands alone: no other can be compared with it on the same clips."
    second, number, alike = best.comparisons[0], len(best.comparisons), best.alike
    words = "IS distinguishable" if second.is_distinguishable else "is NOT distinguishable"
    same = "Every other is distinguishable from the best."
    if alike:
        more = f" and {len(alike) - MOST_ALIKE} more" if len(alike) > MOST_ALIKE else ""
        shown = "; ".join(alike[:MOST_ALIKE])
        same = f"Not distinguishable from the best, {len(alike)} of {number}: {shown}{more}."
    return (
        f"The best, {best.name}, {words} from the second, {second.run} "
        f"(corrected for the choice of the best of {number + 1}):\n"
        f"  {second.verdict}\n{same}\n"
        "The best was picked on these very clips: on others expect less of it. Tests and intervals vary "
        "recordings, not training once more."
    )


def _repeat_text(sweep: SweepResults) -> str:
    """Return the command that trains the best trial once more; empty where it is not known."""
    best = sweep.ranked[0]
    return f"{best.name} once more:\n  {best.command}" if best.command else ""


def _apart_text(best: BestSetting) -> str:
    """Return what could not be compared with the best, and why, a line a reason; empty for nothing."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in best.apart.items():
        by_reason.setdefault(reason.split(":")[0].split(" (")[0], []).append(name)
    return "".join(
        f"\nNot comparable with {best.name} ({reason}): {', '.join(names)}."
        for reason, names in by_reason.items()
    )


def _spreads_text(found: SweepFindings) -> str:
    """Return how far trials lie apart that differ in fold or seed only; empty if there are none."""
    return "\n".join(
        f"Trials that differ in {key} only: standard deviation {deviation:.4f} "
        f"({freedom} degrees of freedom)."
        for key, (deviation, freedom) in found.spreads.items()
    )


def _effects_text(sweep: SweepResults, effects: Sequence[Effect]) -> str:
    """Return the marginal effect of each parameter."""
    lines = [
        f"Marginal effects on {sweep.label}, over {len(sweep.ranked)} trials; each interval by itself, not "
        "corrected for the number of parameters:"
    ]
    for effect in effects:
        lines.append(f"  {effect.parameter.key}: {_effect_words(effect)}")
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


def _effect_words(effect: Effect) -> str:
    """Return the change along a parameter in words."""
    parameter, change = effect.parameter, effect.change_text
    if change:
        low, high = effect.coordinates.min(), effect.coordinates.max()
        ends = [value_text(parameter.value_at(float(end))) for end in (low, high)]
        change += f" from {ends[0]} to {ends[1]}{', log' if parameter.is_log else ''}"
    return "; ".join(filter(None, [change, effect.note])) or "mean of each value"


def _null_text(sweep: SweepResults, null: PermutationNull | None) -> str:
    """Return whether any parameter matters; empty where trials are too few."""
    if null is None:
        return ""
    number = len(null.corrected)
    what = "it" if number == 1 else f"the strongest of {number}"
    within = ", within folds" if any(one.key == FOLD for one in sweep.parameters) else ""
    lines = [
        f"Does any parameter matter? p = {null.p:.2g} that {what} would look so strong if none did "
        f"(scores exchanged among trials{within}, {null.num_shuffles:,} times); corrected for their number:",
        *(f"  {parameter.key}: p = {p:.2g}" for parameter, p in null.corrected),
    ]
    if sweep.method == "bayes":
        lines.append("  A bayes sweep chooses by earlier scores, which exchanges do not repeat: a hint only.")
    return "\n".join(lines)


def _importance_text(importance: Importance | None) -> str:
    """Return the importance of each parameter, and the caution that is due."""
    if importance is None:
        return "Importance: too few trials for a forest (at least 8, of different results)."
    lines = [
        f"Importance, share of variance (a forest predicts {importance.explained:.0%} on unseen trials):",
        *(f"  {parameter.key}: {share}" for parameter, share in importance.ranked),
    ]
    return "\n".join(lines) + (f"\n  Caution: {importance.caution}." if importance.caution else "")


def _front_text(sweep: SweepResults) -> str:
    """Return the trials that no other beats in metric and throughput."""
    lines = [
        f"Not beaten in both {sweep.label} and clips per second (trials at once share a machine):",
        *(f"  {one.clips_per_second:.3g} clips/s  {one.name}: {one.metric}" for one in sweep.front),
    ]
    return "\n".join(lines) if sweep.front else "No trial logged clips per second."
