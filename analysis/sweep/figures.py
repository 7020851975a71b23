"""Figures of a sweep: trials with intervals, marginal effects, importance, score against throughput."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from analysis.drawing.figures import BLUE, GREY, VERMILION
from analysis.drawing.forest import Series, draw_forest
from analysis.sweep.effects import Effect
from analysis.sweep.importance import Importance
from analysis.sweep.parallel import log_ticks, result_text, wrap_label
from analysis.sweep.parameters import value_text
from analysis.sweep.trials import Sweep, Trial
from analysis.sweep.verdict import Setting, Verdict

MOST_LINES = 30
COLUMNS = 3
LABEL_POINTS = (20.0, 11.0)
"""Room that a short text takes, in points."""


def draw_settings(
    sweep: Sweep, settings: Sequence[Setting] | Sequence[Trial], verdict: Verdict | None
) -> Figure:
    """Return the best trials or settings with their intervals, and what tells them from the best."""
    shown = settings[:MOST_LINES]
    known = {} if verdict is None else {one.run: one for one in verdict.comparisons}
    texts = []
    for one in shown:
        text = "best" if one is shown[0] else ""
        if one.name in known:
            text = (
                "distinguishable from the best"
                if known[one.name].is_distinguishable
                else "not distinguishable"
            )
        texts.append(f"{one.metric.value:.3f}   {text}")
    labels = [wrap_label(one.name, 40) for one in shown]
    return draw_forest(
        labels, [Series("", [one.metric for one in shown])], sweep.label, shown[0].metric.value, texts
    )


def draw_effects(sweep: Sweep, effects: Sequence[Effect]) -> Figure:
    """Return a panel for each parameter: trials, and curve with band or means with intervals."""
    columns = 2 if len(effects) == 4 else min(len(effects), COLUMNS)
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
        draw_levels(axes, effect) if effect.levels else draw_range(axes, effect)
        axes.set_title(effect_title(effect), fontsize=8.5)
        axes.set_xlabel(effect.parameter.key)
        if place % columns == 0:
            axes.set_ylabel(sweep.label)
    # a band may be wider than all trials; they are what the axis is for
    metric = effects[0].metric
    reach = float(np.ptp(metric)) or 0.01
    grid[0, 0].set_ylim(metric.min() - 0.6 * reach, metric.max() + 0.6 * reach)
    return figure


def draw_range(axes: Axes, effect: Effect) -> None:
    """Draw the trials along a range, and the curve with its band."""
    is_log, curve = effect.parameter.is_log, effect.curve

    def values(coordinates: np.ndarray) -> np.ndarray:
        return 10**coordinates if is_log else coordinates

    axes.plot(values(effect.coordinates), effect.metric, "o", color=GREY, markersize=3.5, alpha=0.8)
    if curve is not None:
        x = values(curve.positions)
        axes.fill_between(x, curve.low, curve.high, color=BLUE, alpha=0.18, linewidth=0)
        axes.plot(x, curve.value, color=BLUE, linewidth=1.8)
    elif effect.change is not None:
        slope, start = np.polyfit(effect.coordinates, effect.metric, 1)
        ends = np.array([effect.coordinates.min(), effect.coordinates.max()])
        axes.plot(values(ends), start + slope * ends, color=BLUE, linewidth=1.4, linestyle="--")
    if is_log:
        set_log(axes, *10 ** np.array([effect.coordinates.min(), effect.coordinates.max()]))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))


def set_log(axes: Axes, low: float, high: float) -> None:
    """Make the horizontal axis logarithmic, with ticks between two values."""
    ticks, labels = log_ticks(math.log10(low), math.log10(high))
    axes.set_xscale("log")
    axes.set_xticks(10**ticks, labels)
    axes.xaxis.set_minor_formatter(NullFormatter())


def draw_levels(axes: Axes, effect: Effect) -> None:
    """Draw the trials at each listed value, and their mean with its interval."""
    several = np.array(effect.counts)[effect.coordinates.astype(int)] > 1
    shift = 0.12 * np.sin(2.4 * np.arange(len(effect.metric))) * several
    axes.plot(effect.coordinates + shift, effect.metric, "o", color=GREY, markersize=3.5, alpha=0.8)
    for place, mean in enumerate(effect.levels):
        known = not math.isnan(mean.low)
        if known:  # with caps: a bar without one goes on beyond the axes
            bounds = [[mean.value - mean.low], [mean.high - mean.value]]
            axes.errorbar([place], [mean.value], yerr=bounds, color=BLUE, linewidth=1.6, capsize=4)
        face = BLUE if known else "white"
        axes.plot(place, mean.value, "D", color=BLUE, markersize=6, markerfacecolor=face)
    labels = [value_text(level) for level in effect.parameter.levels]
    axes.set_xticks(range(len(labels)), labels)
    axes.set_xlim(-0.5, len(labels) - 0.5)
    if max(map(len, labels)) * len(labels) > 36:
        for label in axes.get_xticklabels():
            label.set(rotation=40, ha="right", rotation_mode="anchor", fontsize=7.5)


def effect_title(effect: Effect) -> str:
    """Return the change along a parameter, and what keeps it from being trusted."""
    lines = []
    if effect.change is not None:
        change = effect.change
        lines.append(f"end to end {change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]")
    if effect.note:
        lines.append(effect.note)
    return "\n".join(lines)


def draw_importance(sweep: Sweep, importance: Importance) -> Figure:
    """Return the parameters by importance."""
    labels = [parameter.key for parameter, _ in importance.ranked]
    shares = [share for _, share in importance.ranked]
    texts = [f"{share.value:.2f} [{share.low:.2f}, {share.high:.2f}]" for share in shares]
    label = f"share of the variance of {sweep.label} that only it predicts"
    return draw_forest(labels, [Series("", shares)], label, 0.0, texts)


def pareto_front(throughput: np.ndarray, metric: np.ndarray, sign: int = 1) -> np.ndarray:
    """Return which trials, (trial,) bool, no other beats in one of the two and equals in the other.

    Parameters
    ----------
    throughput, metric
        (trial,); nan is never on the front.
    sign
        1 if larger metrics are better, else -1.
    """
    quality = sign * metric
    at_least = (throughput[None, :] >= throughput[:, None]) & (quality[None, :] >= quality[:, None])
    better = (throughput[None, :] > throughput[:, None]) | (quality[None, :] > quality[:, None])
    known: np.ndarray = ~(np.isnan(throughput) | np.isnan(metric))
    return known & ~(at_least & better).any(axis=1)


def front_of(sweep: Sweep) -> list[Trial]:
    """Return the trials on the front of score against throughput, the fastest first."""
    trials = sweep.ranked
    throughput = np.array([trial.clips_per_second for trial in trials])
    metric = np.array([trial.metric.value for trial in trials])
    front = [
        trial for trial, on in zip(trials, pareto_front(throughput, metric, sweep.sign), strict=True) if on
    ]
    return sorted(front, key=lambda trial: -trial.clips_per_second)


def draw_throughput(sweep: Sweep) -> Figure | None:
    """Return the metric over clips per second with the front marked; None if no throughput is known."""
    trials = [trial for trial in sweep.ranked if not math.isnan(trial.clips_per_second)]
    front = front_of(sweep)
    if not front:
        return None
    figure = Figure(figsize=(9.2, 4), layout="constrained")
    axes = figure.subplots()
    for trial in trials:
        axes.vlines(
            trial.clips_per_second, trial.metric.low, trial.metric.high, color=GREY, alpha=0.4, linewidth=1
        )
    speed = np.array([trial.clips_per_second for trial in trials])
    axes.plot(speed, [trial.metric.value for trial in trials], "o", color=GREY, markersize=4.5)
    x, y = [one.clips_per_second for one in front], [one.metric.value for one in front]
    axes.plot(x, y, color=VERMILION, linewidth=1, linestyle="--", zorder=3, drawstyle="steps-post")
    shorts = [short_name(trial, place) for place, trial in enumerate(front)]
    for x_one, y_one, trial, short in zip(x, y, front, shorts, strict=True):
        label = front_label(sweep, trial, short)
        axes.plot(x_one, y_one, "o", color=VERMILION, markersize=7, zorder=4, label=label)
    if speed.max() > 5 * speed.min():
        set_log(axes, speed.min(), speed.max())
    axes.set(xlabel="training throughput (clips per second)", ylabel=sweep.label)
    axes.margins(0.08)
    axes.legend(
        frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), markerscale=0.8,
        labelspacing=0.8, title="Not beaten in both", alignment="left", title_fontsize=8.5,
    )  # fmt: skip
    number_points(axes, list(zip(x, y, shorts, strict=True)))
    return figure


def number_points(axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """Write short texts above points, higher where one is in the way of another."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # now it is known where points are
    places = [axes.transData.transform((x, y)) * 72 / figure.dpi for x, y, _ in points]
    taken = [(float(at_x), float(at_y)) for at_x, at_y in places]
    for (x, y, text), (at_x, at_y) in zip(points, places, strict=True):
        offset = LABEL_POINTS[1] + 0.5
        while any(
            abs(at_x - other_x) < LABEL_POINTS[0] and abs(at_y + offset - other_y) < LABEL_POINTS[1]
            for other_x, other_y in taken
        ):
            offset += 2.0
        taken.append((at_x, at_y + offset))
        axes.annotate(
            text, (x, y), (0, offset), textcoords="offset points", ha="center", va="center", fontsize=8.5,
            color=VERMILION, weight="bold", zorder=5,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.4},
            arrowprops={"arrowstyle": "-", "color": VERMILION, "linewidth": 0.6, "shrinkA": 3, "shrinkB": 3},
        )  # fmt: skip


def short_name(trial: Trial, place: int) -> str:
    """Return what fits into a point: the trial's number, or its place on the front."""
    number = trial.name.removeprefix("trial ")
    return number if len(number) <= 3 else str(place + 1)


def front_label(sweep: Sweep, trial: Trial, short: str) -> str:
    """Return a trial of the front for the legend, with the value that names it where one parameter varies."""
    named = [value_text(trial.values[one.key]) for one in sweep.parameters]
    named = named if len(named) == 1 else []
    words = "\n".join([result_text(trial), *named, f"{trial.clips_per_second:.3g} clips per second"])
    return words if trial.name.endswith(short) else f"{short}  {words}"
