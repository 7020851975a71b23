"""What a sweep showed, in words and tables."""

import math
from collections.abc import Sequence

from analysis.sweep.effects import Effect
from analysis.sweep.figures import front_of
from analysis.sweep.importance import Importance
from analysis.sweep.parallel import result_text
from analysis.sweep.parameters import FOLD, value_text
from analysis.sweep.results import SweepAnalysis
from analysis.sweep.trials import FAILED, FINISHED, RUNNING, STOPPED, Sweep, Trial
from analysis.sweep.verdict import Setting, Spread, Verdict, spreads, verdict_text
from core.scoring.resampling import Interval

SHOWN, MOST_ROWS = 4, 40


def report(found: SweepAnalysis) -> str:
    """Return everything in words."""
    sweep = found.sweep
    parts = [heading(sweep), trials_text(sweep), others_text(sweep)]
    if found.pooled:
        parts.append(settings_text(sweep, found.pooled))
    parts += [verdict_part(found), spreads_text(spreads(sweep))]
    if found.effects:
        parts += [effects_text(sweep, found.effects), importance_text(found.importance)]
    parts.append(front_text(sweep))
    return "\n\n".join(part for part in parts if part)


def verdict_part(found: SweepAnalysis) -> str:
    """Return the verdict, and what it could not take in."""
    sweep = found.sweep
    lacking = unpaired(sweep)
    if found.verdict is None and lacking:
        return (
            f"No verdict: no predictions of the {len(lacking)} trials lie here, and without them nothing "
            "can be paired (--runs=FOLDER says where the runs of a W&B sweep are)."
        )
    if found.verdict is None:
        return f"No verdict: nothing tests {sweep.metric}; trials are only ranked by it."
    parts = [verdict_text(sweep, found.verdict), apart_text(found.verdict)]
    if lacking:
        names = ", ".join(trial.name for trial in lacking)
        parts.insert(0, f"Left out of what follows, their predictions do not lie here: {names}.")
    return "\n".join(part for part in parts if part)


def heading(sweep: Sweep) -> str:
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


def short_keys(sweep: Sweep) -> dict[str, str]:
    """Return the last word of each parameter's name, or all of it where that is not enough."""
    last = [one.key.rsplit(".", 1)[-1] for one in sweep.parameters]
    return {
        one.key: word if last.count(word) == 1 else one.key
        for one, word in zip(sweep.parameters, last, strict=True)
    }


def trials_text(sweep: Sweep) -> str:
    """Return the table of trials with a result, best first."""
    rows = [
        {
            "trial": trial.name,
            f"{sweep.label} [interval]": interval_text(trial.metric),
            "clips/s": number_text(trial.clips_per_second),
            "minutes": number_text(trial.minutes),
            **{word: value_text(trial.values[key]) for key, word in short_keys(sweep).items()},
        }
        for trial in sweep.ranked[:MOST_ROWS]
    ]
    more = len(sweep.ranked) - MOST_ROWS
    return columns_text(rows) + (f"\n  and {more} more in trials.csv" if more > 0 else "")


def interval_text(interval: Interval) -> str:
    """Return a value with its bounds, if known."""
    if math.isnan(interval.low):
        return "-" if math.isnan(interval.value) else f"{interval.value:.3f}"
    return str(interval)


def number_text(number: float) -> str:
    """Return a number with three digits; a dash if unknown."""
    return "-" if math.isnan(number) else f"{number:.3g}"


def columns_text(rows: Sequence[dict[str, str]]) -> str:
    """Return rows as columns of text, indented by two."""
    names = list(rows[0])
    widths = [max(len(name), *(len(row[name]) for row in rows)) for name in names]
    lines = [names, *([row[name] for name in names] for row in rows)]
    return "\n".join(
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def others_text(sweep: Sweep) -> str:
    """Return the trials without a result, by their state; empty if there are none."""
    lines = []
    for state in (STOPPED, FAILED, RUNNING, FINISHED):
        for trial in sweep.others():
            if trial.state == state:
                short = short_keys(sweep)
                values = "  ".join(
                    f"{short[key]}={value_text(trial.values[key])}" for key in short if key in trial.values
                )
                what = state if state != FINISHED else f"finished without {sweep.metric}"
                last = "" if math.isnan(trial.metric.value) else f", last {trial.metric.value:.3f}"
                lines.append(f"  {trial.name} {what}{last}: {values}")
    return "\n".join(["Not compared, and in no figure:", *lines]) if lines else ""


def settings_text(sweep: Sweep, settings: Sequence[Setting]) -> str:
    """Return the settings whose folds were pooled, best first."""
    folds = len(settings[0].trials)
    rows = [{"setting": one.name, f"{sweep.label} [interval]": interval_text(one.metric)} for one in settings]
    rest = len(sweep.ranked) - folds * len(settings)
    return (
        f"{FOLD} is swept: trials of different folds validated other clips. Settings with all {folds} folds, "
        f"these pooled:\n{columns_text(rows)}"
        + (f"\n  {rest} more trials belong to no full set of folds." if rest else "")
    )


def apart_text(verdict: Verdict) -> str:
    """Return what could not be compared with the best, and why; empty if there is nothing."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in verdict.apart.items():
        by_reason.setdefault(reason.split(":")[0].split(" (")[0], []).append(name)
    lines = [
        f"Not comparable with {verdict.best.name} ({reason}): {', '.join(names)}."
        for reason, names in by_reason.items()
    ]
    return "\n".join(lines)


def spreads_text(found: Sequence[Spread]) -> str:
    """Return how far trials lie apart that differ in fold or seed only; empty if there are none."""
    return "\n".join(
        f"Trials that differ in {one.key} only: standard deviation {one.deviation:.4f} "
        f"({one.freedom} degrees of freedom)."
        for one in found
    )


def effects_text(sweep: Sweep, effects: Sequence[Effect]) -> str:
    """Return the marginal effect of each parameter."""
    lines = [
        f"Marginal effects on {sweep.label}, over {len(sweep.ranked)} trials; each interval by itself, not "
        "corrected for the number of parameters:"
    ]
    for effect in effects:
        lines.append(f"  {effect.parameter.key}: {effect_words(effect)}")
        if effect.levels:
            means = [
                f"{value_text(level)}: {interval_text(mean)} ({count})"
                for level, mean, count in zip(
                    effect.parameter.levels, effect.levels, effect.counts, strict=True
                )
            ]
            lines += ["    " + "   ".join(means[at : at + SHOWN]) for at in range(0, len(means), SHOWN)]
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
    parameter, words = effect.parameter, []
    if effect.change is not None:
        ends = [
            parameter.levels[int(end)] if parameter.levels else 10**end if parameter.is_log else end
            for end in (float(effect.coordinates.min()), float(effect.coordinates.max()))
        ]
        change = effect.change
        kind = ", log" if parameter.is_log else ""
        words.append(
            f"{change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}] from {value_text(ends[0])} to "
            f"{value_text(ends[-1])}{kind}"
        )
    return "; ".join([*words, *([effect.note] if effect.note else [])]) or "mean of each value"


def importance_text(importance: Importance | None) -> str:
    """Return the importance of each parameter, and the caution that is due."""
    if importance is None:
        return "Importance: too few trials for a forest (at least 8, of different results)."
    lines = [
        f"Importance, share of variance (a forest predicts {importance.explained:.0%} on unseen trials):",
        *(
            f"  {parameter.key}: {share.value:.2f} [{share.low:.2f}, {share.high:.2f}]"
            for parameter, share in importance.ranked
        ),
    ]
    return "\n".join([*lines, *([f"  Caution: {importance.caution}."] if importance.caution else [])])


def front_text(sweep: Sweep) -> str:
    """Return the trials that no other beats in metric and throughput."""
    front = front_of(sweep)
    if not front:
        return "No trial logged clips per second."
    return "\n".join(
        [
            f"Not beaten in both {sweep.label} and clips per second (trials at once share a machine):",
            *(f"  {one.clips_per_second:.3g} clips/s  {result_text(one)}" for one in front),
        ]
    )


def unpaired(sweep: Sweep) -> list[Trial]:
    """Return the trials whose predictions do not lie here."""
    return [trial for trial in sweep.ranked if trial.run is None]
