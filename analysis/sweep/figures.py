"""Figures of a sweep: trials with intervals, marginal effects, importance, score against throughput."""

import math
import re
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.sweep.effects import Effect
from analysis.sweep.findings import SweepFindings
from analysis.sweep.importance import Importance
from analysis.sweep.trial_results import SweepResults, TrialResult
from core.scoring.pictures import BLUE, COLOURS, GREY, Series, draw_forest, draw_intervals, set_log_ticks
from sweeps.parameters import value_text

MOST_LINES = 30
PANEL_COLUMNS = 3
MARKERS = "osD^v"


def draw_settings(found: SweepFindings) -> Figure:
    """Return the best trials or settings with their intervals, and what tells them from the best."""
    shown = found.settings[:MOST_LINES]
    words = {shown[0].name: "best"}
    for one in () if found.best is None else found.best.comparisons:
        words[one.run] = "distinguishable from the best" if one.is_distinguishable else "not distinguishable"
    return draw_forest(
        [in_lines(one.name, 40) for one in shown],
        [Series("", [one.metric for one in shown])],
        found.sweep.label,
        shown[0].metric.value,
        [f"{one.metric.value:.3f}   {words.get(one.name, '')}" for one in shown],
    )


def draw_marginal_effects(sweep: SweepResults, effects: Sequence[Effect]) -> Figure:
    """Return a panel for each parameter: trials, and curve with band or means with intervals."""
    columns = 2 if len(effects) == 4 else min(len(effects), PANEL_COLUMNS)
    rows = math.ceil(len(effects) / columns)
    width = 5.6 if columns == 1 else 3.2 * columns
    figure = Figure(figsize=(0.6 + width, 3.1 * rows + (0.8 if columns == 1 else 0)), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for place, axes in enumerate(grid.flat):
        if place >= len(effects):
            axes.set_visible(False)
            continue
        effect = effects[place]
        axes.axhline(effect.metric.mean(), color="black", linewidth=0.7, linestyle=":")
        _draw_levels(axes, effect) if effect.levels else _draw_range(axes, effect)
        change = f"end to end {effect.change_text}" if effect.change_text else ""
        axes.set_title("\n".join(filter(None, [change, effect.note])), fontsize=8.5)
        axes.set_xlabel(effect.parameter.key)
        if place % columns == 0:
            axes.set_ylabel(sweep.label)
    # a band may be wider than all trials; they are what the axis is for
    metric = effects[0].metric
    reach = float(np.ptp(metric)) or 0.01
    grid[0, 0].set_ylim(metric.min() - 0.6 * reach, metric.max() + 0.6 * reach)
    return figure


def _draw_range(axes: Axes, effect: Effect) -> None:
    """Draw the trials along a range, and the curve with its band, or else a straight line."""
    is_log = effect.parameter.is_log
    x = 10**effect.coordinates if is_log else effect.coordinates
    axes.plot(x, effect.metric, "o", color=GREY, markersize=3.5, alpha=0.8)
    positions, value, low, high = effect.curve
    if len(positions):
        x = 10**positions if is_log else positions
        axes.fill_between(x, low, high, color=BLUE, alpha=0.18, linewidth=0)
        axes.plot(x, value, color=BLUE, linewidth=1.8)
    elif effect.change is not None:
        line = np.poly1d(np.polyfit(effect.coordinates, effect.metric, 1))(effect.coordinates)
        ends = [effect.coordinates.argmin(), effect.coordinates.argmax()]
        axes.plot(x[ends], line[ends], color=BLUE, linewidth=1.4, linestyle="--")
    if is_log:
        axes.set_xscale("log")
        set_log_ticks(axes.xaxis)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))


def in_lines(text: str, width: int = 22) -> str:
    """Return a name in lines of a width at most, broken before dots and underscores where that can be."""
    return re.sub(rf"(.{{1,{width}}})(?=[._ ]|$)", r"\1\n", text).strip()


def _draw_levels(axes: Axes, effect: Effect) -> None:
    """Draw the trials at each listed value, and their mean with its interval."""
    several = np.array(effect.counts)[effect.coordinates.astype(int)] > 1
    shift = 0.12 * np.sin(2.4 * np.arange(len(effect.metric))) * several
    axes.plot(effect.coordinates + shift, effect.metric, "o", color=GREY, markersize=3.5, alpha=0.8)
    draw_intervals(axes, np.arange(len(effect.levels)), effect.levels, BLUE, is_upright=True)
    labels = [in_lines(value_text(level)) for level in effect.parameter.levels]
    axes.set_xticks(range(len(labels)), labels)
    axes.set_xlim(-0.5, len(labels) - 0.5)
    if max(map(len, labels)) * len(labels) > 36:
        for label in axes.get_xticklabels():
            label.set(rotation=40, ha="right", rotation_mode="anchor", fontsize=7.5)


def draw_importance(sweep: SweepResults, importance: Importance) -> Figure:
    """Return the parameters by importance."""
    parameters, shares = zip(*importance.ranked, strict=True)
    labels = [parameter.key for parameter in parameters]
    label = f"share of the variance of {sweep.label} that only it predicts"
    return draw_forest(labels, [Series("", shares)], label, 0.0, list(map(str, shares)))


def draw_throughput(sweep: SweepResults) -> Figure | None:
    """Return the metric over clips per second with the front marked; None if no throughput is known."""
    trials = [trial for trial in sweep.ranked if not math.isnan(trial.clips_per_second)]
    front = sweep.front
    if not trials:
        return None
    figure = Figure(figsize=(9.2, 4), layout="constrained")
    axes = figure.subplots()
    speed = np.array([trial.clips_per_second for trial in trials])
    draw_intervals(axes, speed, [trial.metric for trial in trials], GREY, is_upright=True)
    x, y = [one.clips_per_second for one in front], [one.metric.value for one in front]
    axes.plot(x, y, color="black", linewidth=0.8, linestyle="--", zorder=3, drawstyle="steps-post")
    for place, trial in enumerate(front):
        colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
        label = f"{result_text(trial)}\n{trial.clips_per_second:.3g} clips per second"
        axes.plot(x[place], y[place], marker, color=colour, markersize=8, zorder=4, label=label)
    if speed.max() > 5 * speed.min():
        axes.set_xscale("log")
        set_log_ticks(axes.xaxis)
    axes.set(xlabel="training throughput (clips per second)", ylabel=sweep.label)
    axes.margins(0.08)
    figure.legend(
        frameon=False, fontsize=8, loc="outside right upper", labelspacing=0.8, title="Not beaten in both",
        alignment="left", title_fontsize=8.5,
    )  # fmt: skip
    return figure


def result_text(trial: TrialResult) -> str:
    """Return a trial with its metric and, if known, the interval."""
    metric = trial.metric
    bounds = "" if math.isnan(metric.low) else f" [{metric.low:.3f}, {metric.high:.3f}]"
    return f"{trial.name}: {metric.value:.3f}{bounds}"
