"""Parallel coordinates of a sweep: an axis for each parameter and for the metric, a line for each trial."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.drawing.figures import COLOURS, GREY
from analysis.sweep.parameters import SweptParameter, value_text
from analysis.sweep.trials import Sweep, Trial

HIGHLIGHTED = 5
CHARACTER_INCHES = 0.068
LEAST_GAP = 1.3
HEIGHT = 3.9
LEGEND_INCHES = 2.5


@dataclass(frozen=True)
class Scale:
    """A vertical axis: where each trial lies on it, and its ticks; both from 0 to 1.

    Attributes
    ----------
    title
        Above the axis.
    places
        (trial,).
    ticks, labels
        Where there are marks, and what they say.
    """

    title: str
    places: np.ndarray
    ticks: np.ndarray
    labels: tuple[str, ...]

    @property
    def label_inches(self) -> float:
        """Width of the widest label."""
        return CHARACTER_INCHES * max(len(line) for label in self.labels for line in label.split("\n"))


def draw_parallel(sweep: Sweep) -> Figure:
    """Return parallel coordinates of the trials with a result, the best of them in colour."""
    trials = sweep.ranked
    scales = [parameter_scale(parameter, trials) for parameter in sweep.parameters]
    scales.append(metric_scale(sweep, trials))
    gaps = [max(LEAST_GAP, 0.45 + scale.label_inches) for scale in scales[1:]]
    at = np.concatenate([[0.0], np.cumsum(gaps)])
    margin = 0.3 + scales[0].label_inches
    figure = Figure(figsize=(margin + at[-1] + LEGEND_INCHES, HEIGHT))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-margin, at[-1] + LEGEND_INCHES), ylim=(-0.02, 1.02))
    axes.axis("off")
    draw_lines(axes, at, np.stack([scale.places for scale in scales], axis=1), trials)
    for where, scale in zip(at, scales, strict=True):
        draw_scale(axes, where, scale)
    axes.legend(
        loc="upper left", bbox_to_anchor=(at[-1] + 0.15, 1.0), bbox_transform=axes.transData, frameon=False,
        fontsize=8.5, labelspacing=0.9,
    )  # fmt: skip
    return figure


def draw_lines(axes: Axes, at: np.ndarray, places: np.ndarray, trials: Sequence[Trial]) -> None:
    """Draw one line a trial, the best last and thickest."""
    for rank in reversed(range(len(trials))):
        best = rank < HIGHLIGHTED
        axes.plot(
            at,
            places[rank],
            color=COLOURS[rank] if best else GREY,
            linewidth=2.4 - 0.25 * rank if best else 0.8,
            alpha=0.95 if best else 0.45,
            zorder=4 if best else 2,
        )
    for rank, trial in enumerate(trials[:HIGHLIGHTED]):
        axes.plot([], [], color=COLOURS[rank], linewidth=2.4, label=result_text(trial))
    others = len(trials) - HIGHLIGHTED
    if others > 0:
        label = "1 other trial" if others == 1 else f"{others} other trials"
        axes.plot([], [], color=GREY, linewidth=0.8, label=label)


def draw_scale(axes: Axes, where: float, scale: Scale) -> None:
    """Draw a vertical axis with its ticks to the left and its name above."""
    behind = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8}
    axes.plot([where, where], [0, 1], color="black", linewidth=0.9, zorder=5)
    for place, label in zip(scale.ticks, scale.labels, strict=True):
        axes.plot([where - 0.05, where], [place, place], color="black", linewidth=0.9, zorder=5)
        axes.text(
            where - 0.09, place, label, ha="right", va="center", fontsize=8, zorder=6, bbox=behind,
            linespacing=0.95,
        )  # fmt: skip
    axes.text(where, 1.05, scale.title, ha="center", va="bottom", fontsize=8.5, weight="bold")


def parameter_scale(parameter: SweptParameter, trials: Sequence[Trial]) -> Scale:
    """Return the axis of a parameter."""
    coordinates = parameter.coordinates(trial.values[parameter.key] for trial in trials)
    title = wrap_name(parameter.key)
    if not parameter.levels:
        low, high = coordinates.min(), coordinates.max()
        ticks, labels = log_ticks(low, high) if parameter.is_log else even_ticks(low, high)
        return Scale(title, (coordinates - low) / (high - low), (ticks - low) / (high - low), labels)
    count = len(parameter.levels)
    labels = tuple(wrap_label(value_text(level)) for level in parameter.levels)
    padding = min(0.15, 0.36 / count)  # room beyond the first and the last
    marks = np.linspace(padding, 1 - padding, count)
    return Scale(title, fan_out(marks, coordinates.astype(int), 0.85 * padding), marks, labels)


def fan_out(marks: np.ndarray, levels: np.ndarray, most: float) -> np.ndarray:
    """Return places of trials at their levels, those of one level, the best first, side by side downwards.

    Parameters
    ----------
    marks
        (level,) where levels are.
    levels
        (trial,) which level, best trial first.
    most
        How far from its mark a trial may be.
    """
    places = marks[levels]
    for level in range(len(marks)):
        (members,) = np.nonzero(levels == level)
        if len(members) > 1:
            reach = min(most, 0.01 * len(members))
            places[members] += np.linspace(reach, -reach, len(members))
    return places


def metric_scale(sweep: Sweep, trials: Sequence[Trial]) -> Scale:
    """Return the axis of the metric, the better the higher."""
    values = np.array([trial.metric.value for trial in trials])
    low, high = values.min(), values.max()
    if high == low:
        return Scale(wrap_name(sweep.label), np.full(len(values), 0.5), np.array([0.5]), (f"{low:.3g}",))
    ticks, labels = even_ticks(low, high)
    places, marks = (values - low) / (high - low), (ticks - low) / (high - low)
    if sweep.sign < 0:
        places, marks = 1 - places, 1 - marks
    return Scale(wrap_name(sweep.label), places, marks, labels)


def even_ticks(low: float, high: float) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return round numbers between two ends."""
    ticks = np.asarray(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    inside = ticks[(ticks >= low) & (ticks <= high)]
    return inside, tuple(f"{tick:.6g}" for tick in inside)


def log_ticks(low: float, high: float) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return round numbers between two ends that are logarithms to the base of ten."""
    powers = range(int(np.floor(low)), int(np.ceil(high)) + 1)
    for digits in ((1,), (1, 3), (1, 2, 5), tuple(range(1, 10))):
        numbers = [digit * 10.0**power for power in powers for digit in digits]
        inside = [number for number in numbers if low <= np.log10(number) <= high]
        if len(inside) >= 3:
            break
    if len(inside) < 3:  # a short range, in which even steps do
        inside = even_ticks(10**low, 10**high)[0].tolist()
    return np.log10(inside), tuple(f"{number:.3g}" for number in inside)


def result_text(trial: Trial) -> str:
    """Return a trial with its metric and, if known, the interval."""
    metric = trial.metric
    bounds = "" if np.isnan(metric.low) else f" [{metric.low:.3f}, {metric.high:.3f}]"
    return f"{trial.name}: {metric.value:.3f}{bounds}"


def wrap_name(key: str, width: int = 14) -> str:
    """Return a dotted name in short lines, broken behind dots and underscores."""
    return "\n".join(pieces(key, width, r"(?<=[._ ])"))


def wrap_label(text: str, width: int = 22) -> str:
    """Return a value in short lines, broken before dots and underscores."""
    return "\n".join(pieces(text, width, r"(?=[._])"))


def pieces(text: str, width: int, where: str) -> list[str]:
    """Return a text in lines of a width at most, broken where a pattern allows it."""
    lines = [""]
    for part in re.split(where, text):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return [line.strip() for line in lines]
