"""Forest plots: a point and its interval a line."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing.figures import BLUE, COLOURS, GREY
from core.scoring.intervals import Interval

LINE_INCHES = 0.24


@dataclass(frozen=True)
class Series:
    """Intervals that share a colour and a place in the legend.

    Attributes
    ----------
    name
        For the legend.
    intervals
        (line,); undefined values are left out, undefined bounds leave a hollow point.
    """

    name: str
    intervals: Sequence[Interval]


def draw_forest(
    labels: Sequence[str],
    series: Sequence[Series],
    axis_label: str,
    reference: float,
    texts: Sequence[str] = (),
) -> Figure:
    """Return a forest plot.

    Parameters
    ----------
    labels
        (line,) from top to bottom.
    series
        One or several, drawn beside one another in each line.
    axis_label
        What the horizontal axis measures.
    reference
        Where a dotted line means no skill, or no difference.
    texts
        (line,) to the right of the axes, a row for each series; empty: none.
    """
    height = LINE_INCHES * len(labels) * max(len(series), 1) ** 0.7
    legend = LINE_INCHES * math.ceil(len(series) / 3)
    figure = Figure(figsize=(7.2, 0.8 + height + legend), layout="constrained")
    axes = figure.subplots()
    span = 0.36 * (1 - 1 / len(series))
    shifts = np.linspace(-span, span, len(series)) if len(series) > 1 else np.zeros(1)
    for number, (one, shift) in enumerate(zip(series, shifts, strict=True)):
        colour = COLOURS[number % len(COLOURS)] if len(series) > 1 else BLUE
        _draw_series(axes, one, shift, colour)
    if len(series) > 1:
        for line in range(0, len(labels), 2):  # told apart where a line holds several intervals
            axes.axhspan(line - 0.5, line + 0.5, color=GREY, alpha=0.08, linewidth=0)
    axes.axvline(reference, color="black", linewidth=0.7, linestyle=":")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel(axis_label)
    axes.grid(axis="x", color=GREY, alpha=0.25, linewidth=0.6)
    axes.tick_params(axis="y", length=0)
    for line, text in enumerate(texts):
        axes.annotate(
            text, (1.01, line), xycoords=("axes fraction", "data"), va="center", fontsize=7.5, color="#444444"
        )
    if len(series) > 1:
        figure.legend(loc="outside upper left", frameon=False, fontsize=8, ncols=3)
    return figure


def _draw_series(axes: Axes, series: Series, shift: float, colour: str) -> None:
    """Draw the points and intervals of one series."""
    value = np.array([interval.value for interval in series.intervals])
    low = np.array([interval.low for interval in series.intervals])
    high = np.array([interval.high for interval in series.intervals])
    place = np.arange(len(value)) + shift
    known = ~np.isnan(low)
    axes.hlines(place[known], low[known], high[known], color=colour, linewidth=1.6)
    axes.plot(value[known], place[known], "o", color=colour, markersize=4.5, label=series.name)
    axes.plot(value[~known], place[~known], "o", color=colour, markersize=4.5, markerfacecolor="white")
