"""Figures of a sweep: trials with intervals, marginal effects, importance, score against throughput.

Parallel coordinates, the course of the search and two parameters together are Optuna's plots. Of its others,
slices lack the bands that `analysis.sweep.effects` has, and importances the intervals that
`analysis.sweep.importance` has.
"""

import math
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import optuna
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.visualization import matplotlib as plots

from analysis.sweep.effects import Effect
from analysis.sweep.findings import SweepFindings
from analysis.sweep.importance import Importance
from analysis.sweep.swept import SweptParameter
from analysis.sweep.trial_results import SweepResults
from core.scoring.pictures import (
    BLUE,
    COLOURS,
    GREY,
    VERMILION,
    Series,
    draw_forest,
    draw_intervals,
    set_log_ticks,
)
from sweeps.parameters import is_number, value_text
from sweeps.sweep_folder import FINISHED, STOPPED

MOST_LINES = 30
PANEL_COLUMNS = 3
MARKERS = "osD^v"
COLUMN_INCHES, HEIGHT_INCHES = 2.0, 4.0


def draw_settings(found: SweepFindings) -> Figure:
    """Return the best trials or settings with their intervals, and what tells them from the best."""
    shown = found.settings[:MOST_LINES]
    words = {shown[0].name: "best"}
    for one in () if found.best is None else found.best.comparisons:
        words[one.run] = "distinguishable from the best" if one.is_distinguishable else "not distinguishable"
    return draw_forest(
        [_in_lines(one.name, 40) for one in shown],
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


def _in_lines(text: str, width: int = 22) -> str:
    """Return a name in lines of a width at most, broken before dots and underscores where that can be."""
    return re.sub(rf"(.{{1,{width}}})(?=[._ ]|$)", r"\1\n", text).strip()


def _draw_levels(axes: Axes, effect: Effect) -> None:
    """Draw the trials at each listed value, and their mean with its interval."""
    several = np.array(effect.counts)[effect.coordinates.astype(int)] > 1
    shift = 0.12 * np.sin(2.4 * np.arange(len(effect.metric))) * several
    axes.plot(effect.coordinates + shift, effect.metric, "o", color=GREY, markersize=3.5, alpha=0.8)
    draw_intervals(axes, np.arange(len(effect.levels)), effect.levels, BLUE, is_upright=True)
    labels = [_in_lines(value_text(level)) for level in effect.parameter.levels]
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
        label = f"{trial.name}: {trial.metric}\n{trial.clips_per_second:.3g} clips per second"
        fill = "white" if math.isnan(trial.metric.low) else colour
        point = (x[place], y[place], marker)
        axes.plot(*point, color=colour, markerfacecolor=fill, markersize=8, zorder=4, label=label)
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


def _study_of(sweep: SweepResults) -> optuna.Study:
    """Return the trials as a study of Optuna, numbered alike; those without a result have failed."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction=sweep.goal)
    space = {one.key: _space_of(one, sweep) for one in sweep.parameters}
    for trial in sweep.trials:
        facts: dict[str, Any] = {"state": optuna.trial.TrialState.FAIL}
        if trial.has_result:
            params = {one.key: _shown_value(one, trial.values[one.key]) for one in sweep.parameters}
            facts = {"params": params, "distributions": space, "value": trial.metric.value}
        study.add_trial(optuna.trial.create_trial(**facts))
    return study


def _space_of(parameter: SweptParameter, sweep: SweepResults) -> optuna.distributions.BaseDistribution:
    """Return the levels of a parameter, or the range in which its trials lie."""
    if parameter.levels:
        choices = [_shown_value(parameter, level) for level in parameter.levels]
        return optuna.distributions.CategoricalDistribution(choices)
    values = [float(trial.values[parameter.key]) for trial in sweep.ranked]
    return optuna.distributions.FloatDistribution(min(values), max(values), log=parameter.is_log)


def _shown_value(parameter: SweptParameter, value: Any) -> Any:
    """Return a value as plots show it: a number, or its text in short lines."""
    if not parameter.levels:
        return float(value)
    level = parameter.levels[int(parameter.coordinate(value))]
    return level if all(map(is_number, parameter.levels)) else _in_lines(value_text(level))


def draw_parallel(sweep: SweepResults) -> Figure:
    """Return parallel coordinates of the trials with a result, a line each, the better the bluer."""
    figure = _draw_with(plots.plot_parallel_coordinate, sweep)
    axes, colour_bar, *scales = figure.axes
    colour_bar.remove()
    names = [sweep.label, *sorted(parameter.key for parameter in sweep.parameters)]
    figure.set_size_inches(COLUMN_INCHES * len(names), HEIGHT_INCHES)
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(names)), [_in_lines(name, 14) for name in names], rotation=0, weight="bold")
    axes.tick_params(axis="x", length=0, labelsize=8.5, pad=8)
    lines = axes.collections[0]
    shades = ["#DDDDDD", BLUE] if sweep.sign > 0 else [BLUE, "#DDDDDD"]
    lines.set(linewidth=1.2, cmap=LinearSegmentedColormap.from_list("quality", shades))
    for scale in (axes, *scales):
        scale.set_position((0.08, 0.1, 0.8, 0.74))
        if scale.get_yscale() == "log":
            set_log_ticks(scale.yaxis)
        for label in scale.get_yticklabels():
            label.set(fontsize=8, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.6})
    return figure


def draw_history(sweep: SweepResults) -> Figure:
    """Return the metric of one trial after another, and the best so far."""
    figure = _draw_with(plots.plot_optimization_history, sweep)
    figure.set_size_inches(7.2, HEIGHT_INCHES)
    (axes,) = figure.axes
    axes.set_facecolor("white")
    axes.grid(visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial")
    axes.lines[0].set(label="best so far", color="black", linewidth=0.9)
    stopped = [(place, one.metric.value) for place, one in enumerate(sweep.trials) if one.state == STOPPED]
    if stopped:
        axes.plot(*zip(*stopped, strict=True), "x", color=VERMILION, label="stopped early")
    axes.legend(frameon=False, fontsize=8)
    return figure


def draw_learning_curves(sweep: SweepResults) -> Figure | None:
    """Return the metric of every trial over its validations; None where none was validated twice."""
    trials = [trial for trial in sweep.trials if len(trial.curve) > 1]
    if not trials:
        return None
    figure = Figure(figsize=(7.2, HEIGHT_INCHES), layout="constrained")
    axes = figure.subplots()
    styles: dict[str, dict[str, Any]] = {
        "finished": {"color": GREY, "linewidth": 0.9},
        "stopped early": {"color": VERMILION, "linewidth": 1.1, "linestyle": "--"},
        "failed or running": {"color": GREY, "linewidth": 0.9, "linestyle": ":"},
        f"the best, {sweep.ranked[0].name}": {"color": BLUE, "linewidth": 2.0, "zorder": 4},
    }
    finished, stopped, others, best = styles
    for trial in trials:
        kind = {FINISHED: finished, STOPPED: stopped}.get(trial.state, others)
        kind = best if trial.name == sweep.ranked[0].name else kind
        style = styles[kind] | {"label": kind}
        axes.plot(range(1, len(trial.curve) + 1), trial.curve, **style)
        if trial.state != FINISHED:
            axes.plot(len(trial.curve), trial.curve[-1], "x", color=style["color"])
    axes.set(xlabel="validation (epoch)", ylabel=sweep.label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles = {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    axes.legend(handles.values(), handles.keys(), frameon=False, fontsize=8)
    return figure


def draw_pair(sweep: SweepResults, parameters: Sequence[SweptParameter]) -> Figure:
    """Return the metric over two parameters together, interpolated between trials."""
    return _draw_with(plots.plot_contour, sweep, params=[one.key for one in parameters])


def _draw_with(plot: Callable[..., Any], sweep: SweepResults, **options: Any) -> Figure:
    """Return what one of Optuna's plots draws, without a trace in pyplot's own settings."""
    with mpl.rc_context({"axes.spines.right": True}), warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        axes = np.ravel(plot(_study_of(sweep), target_name=sweep.label, **options))[0]
    figure: Figure = axes.figure
    plt.close(figure)
    axes.set_title("")
    return figure
