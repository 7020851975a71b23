"""The pictures of scores: species, confusions, settings of the decision, reliability; one palette and look.

Every function returns a figure, which training puts into a run's folder, and `analysis` into files with a
caption and into its page. A line whose points a reader may want to read carries their name as its `gid`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, PercentFormatter
from matplotlib.transforms import ScaledTranslation

from core.data.taxonomy import Taxonomy
from core.scoring.confusion import Confusion
from core.scoring.intervals import Interval, bounds_of
from core.scoring.metric_names import IN_CORE, SPECIES_LABELS
from core.scoring.reliability import Reliability
from core.scoring.score_curves import ScoreCurve

BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#7F7F7F"
ORANGE, PURPLE, SKY = "#E69F00", "#CC79A7", "#56B4E9"
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, "#000000")
"""For one line or group each, after Okabe and Ito: told apart by colour-blind readers too."""
NOTE_COLOUR = "#444444"
TEXT_SIZE = 7.5
FOREST_LINE_INCHES = 0.24
FOREST_AXES_INCHES, FOREST_LEAST_INCHES = 4.8, 7.2
"""Of the axis of a forest, whatever stands beside it; and of all of it."""
LEGEND_GAP_INCHES = 0.42
CURVE_SIZE = (4.8, 3.7)
"""In inches, of a chart that stands beside others: its text can still be read at 400 pixels."""
CURVE_POINTS = 240
"""Points of a drawn curve; more cannot be told apart."""
LOG_AXIS_RATIO = 50.0
"""Thresholds that span more than this ratio are drawn on a logarithmic axis."""
LEAST_SHARE = 0.005
"""Of the clips of a species, to have its number written."""
MAX_NUMBERED_SPECIES = 40
mpl.rcParams.update(
    {
        "axes.spines.top": False,
        "axes.spines.right": False,
        "font.size": 9,
        "svg.fonttype": "none",
        "svg.hashsalt": "bird-sed",  # the same figure twice is the same file
    }
)


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


def draw_intervals(
    axes: Axes,
    places: np.ndarray,
    intervals: Sequence[Interval],
    colour: str,
    *,
    label: str | None = None,
    marker: str = "o",
    is_upright: bool = False,
) -> None:
    """Draw values with their intervals; hollow points have none, here and in every picture.

    Parameters
    ----------
    axes
        Where to.
    places
        (interval,) where each lies on the other axis.
    intervals
        Undefined values are left out.
    colour
        Of all.
    label
        In the legend; None: not there.
    marker
        Shape of the points.
    is_upright
        Whether values go up, or across.
    """
    value, low, high = bounds_of(intervals)
    bounded = ~np.isnan(low)
    bars = axes.vlines if is_upright else axes.hlines
    bars(places[bounded], low[bounded], high[bounded], color=colour, linewidth=1.5)
    for chosen, fill, name in ((bounded, colour, label), (~bounded, "white", None)):
        points = (places[chosen], value[chosen]) if is_upright else (value[chosen], places[chosen])
        axes.plot(*points, marker, color=colour, markerfacecolor=fill, markersize=4.2, label=name)


def draw_forest(
    labels: Sequence[str],
    series: Sequence[Series],
    axis_label: str,
    reference: float,
    texts: Sequence[str] = (),
    reference_name: str = "",
) -> Figure:
    """Return a forest plot: points and their intervals, a line each.

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
    reference_name
        Of the dotted line in the legend of several series; empty: not there.
    """
    height = FOREST_LINE_INCHES * len(labels) * max(len(series), 1) ** 0.7
    legend = FOREST_LINE_INCHES * math.ceil((len(series) + bool(reference_name)) / 3)
    beside = text_inches(labels) + text_inches(texts, TEXT_SIZE)
    width = max(FOREST_LEAST_INCHES, FOREST_AXES_INCHES + beside)
    figure = Figure(figsize=(width, 0.8 + height + legend), layout="constrained")
    axes = figure.subplots()
    span = 0.36 * (1 - 1 / len(series))
    lines = np.arange(len(labels))
    for number, one in enumerate(series):
        shift = span * (2 * number / (len(series) - 1) - 1) if len(series) > 1 else 0.0
        draw_intervals(axes, lines + shift, one.intervals, COLOURS[number % len(COLOURS)], label=one.name)
    dotted = axes.axvline(reference, color="black", linewidth=0.7, linestyle=":")
    if len(series) > 1:
        dotted.set_label(reference_name or "_")
        for line in lines[::2]:  # told apart where a line holds several intervals
            axes.axhspan(line - 0.5, line + 0.5, color=GREY, alpha=0.08, linewidth=0)
        figure.legend(loc="outside upper left", frameon=False, fontsize=8, ncols=3)
    axes.set_yticks(lines, labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel(axis_label)
    axes.grid(axis="x", color=GREY, alpha=0.25, linewidth=0.6)
    axes.tick_params(axis="y", length=0)
    for line, text in enumerate(texts):
        axes.annotate(
            text, (1.01, line), xycoords=("axes fraction", "data"), va="center", fontsize=TEXT_SIZE,
            color=NOTE_COLOUR,
        )  # fmt: skip
    return figure


def text_inches(texts: Sequence[str], size: float = 9.0) -> float:
    """Return about how wide texts of a font `size` in points are, by the longest of their lines."""
    lines = (line for text in texts for line in text.split("\n"))
    return 0.6 * size / 72 * max(map(len, lines), default=0)


def set_log_ticks(axis: Axis) -> None:
    """Give a logarithmic axis, whose data are drawn, round numbers such as 0.03, more where it is short."""
    low, high = axis.get_view_interval()
    digits = (1.0,) if high > 300 * low else (1.0, 3.0) if high > 20 * low else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(subs=digits))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def add_legend_below(figure: Figure, *, columns: int) -> None:
    """Add a legend to a figure of one panel, below the label of the horizontal axis."""
    (axes,) = figure.axes
    gap = ScaledTranslation(0, -LEGEND_GAP_INCHES, figure.dpi_scale_trans)
    axes.legend(
        loc="upper left", bbox_to_anchor=(0, 0), bbox_transform=axes.transAxes + gap, borderaxespad=0,
        frameon=False, fontsize=8, ncols=columns,
    )  # fmt: skip


def draw_species_intervals(per_species: pd.DataFrame, taxonomy: Taxonomy | None = None) -> Figure:
    """Return a forest plot of the scored species that could be scored, most positive clips first.

    Parameters
    ----------
    per_species
        Of `core.scoring.evaluation.Evaluation`.
    taxonomy
        Knows names of the species; None: codes alone.
    """
    table = per_species[per_species["score"].notna()].sort_values("positives", ascending=False)
    series = [
        Series(SPECIES_LABELS[name], species_intervals(table, IN_CORE[name]))
        for name in ("score", "macro_auc", "cmap")
    ]
    names = map((taxonomy or Taxonomy()).label, table["species"])
    labels = [f"{name}, {number}" for name, number in zip(names, table["positives"], strict=True)]
    guess = "a guess, in the first two"
    return draw_forest(labels, series, "value with its bootstrap interval", 0.5, reference_name=guess)


def species_intervals(per_species: pd.DataFrame, name: str) -> list[Interval]:
    """Return the intervals (species,) of one metric of `core.scoring.evaluation.Evaluation.per_species`."""
    columns = (per_species[name + end] for end in ("", "_low", "_high"))
    return [Interval(*bounds) for bounds in zip(*columns, strict=True)]


def draw_confusion_matrix(confusion: Confusion, taxonomy: Taxonomy | None = None) -> Figure:
    """Return a heat map of what clips of each species are taken for, in percent.

    Parameters
    ----------
    confusion
        Of the clips.
    taxonomy
        Knows names of the species; None: codes alone.
    """
    number, taxonomy = len(confusion.species), taxonomy or Taxonomy()
    size = 1.8 + 0.34 * number
    rows = zip(map(taxonomy.label, confusion.species), confusion.num_clips, strict=True)
    labels = [f"{name}, {clips}" for name, clips in rows]
    figure = Figure(figsize=(size + 0.2 + text_inches(labels), size), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(confusion.share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(number), confusion.species, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(number), labels)
    axes.set(xlabel="species called", ylabel="clips of, number", title="What is taken for what, in percent")
    if number <= MAX_NUMBERED_SPECIES:
        for row, column in np.argwhere(confusion.share >= LEAST_SHARE):
            share = confusion.share[row, column]
            axes.text(
                column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=7,
                color="white" if share > 0.6 else "black",
            )  # fmt: skip
    for row in np.flatnonzero(confusion.num_clips == 0):
        axes.text((number - 1) / 2, int(row), "no clip", ha="center", va="center", fontsize=7, color=GREY)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    shares = PercentFormatter(1.0)
    figure.colorbar(image, ax=axes, label="share of the clips", shrink=0.7, format=shares)
    return figure


def draw_score_by_threshold(
    curve: ScoreCurve, *, decided: float | None = None, title: str | None = None
) -> Figure:
    """Return a figure of the 2022 score over the setting of the decision, with its band.

    Parameters
    ----------
    curve
        Of `core.scoring.score_curves`.
    decided
        The setting that a run decides with, to mark; None: no mark.
    title
        What was scored; None: what the curve is.
    """
    figure = Figure(figsize=CURVE_SIZE, layout="constrained")
    axes = figure.subplots()
    band = f"{curve.confidence:.0%} interval"
    drawn = np.unique(np.linspace(0, len(curve.positions) - 1, CURVE_POINTS).round().astype(int))
    positions = curve.positions[drawn]
    axes.fill_between(
        positions, curve.low[drawn], curve.high[drawn], color=BLUE, alpha=0.2, linewidth=0, label=band
    )
    axes.plot(positions, curve.score[drawn], color=BLUE, label="2022 score", gid="2022 score")
    axes.axvspan(
        curve.best.low, curve.best.high, color=VERMILION, alpha=0.12, linewidth=0, label=f"{band} of the best"
    )
    axes.axvline(
        curve.best.value, color=VERMILION, linestyle="--", label=f"best here, {curve.best.value:.3g}"
    )
    if decided is not None:
        axes.axvline(decided, color="black", linestyle=":", label=f"decided at {decided:.3g}")
    axes.axhline(0.5, color=GREY, linewidth=0.8, label="all positive, or none")
    if curve.kind == "threshold" and 0 < positions[0] < positions[-1] / LOG_AXIS_RATIO:
        axes.set_xscale("log")
        set_log_ticks(axes.xaxis)
    what = {"threshold": "threshold (probability)", "quantile": "quantile of all probabilities"}[curve.kind]
    axes.set(xlabel=what, ylabel="2022 score", title=title or f"Score by {curve.kind}")
    add_legend_below(figure, columns=2)
    return figure


def draw_reliability(found: Mapping[str, Reliability], *, title: str = "Reliability") -> Figure:
    """Return a figure of how often predictions came true beside their probability.

    Parameters
    ----------
    found
        What was predicted (such as "as trained") -> its diagram; up to three.
    title
        Of the figure.
    """
    figure = Figure(figsize=(CURVE_SIZE[0], CURVE_SIZE[1] + 0.45 * (len(found) - 1)), layout="constrained")
    axes = figure.subplots()
    top = max(np.nanmax([one.predicted, one.observed, one.high]) for one in found.values())
    top = min(1.0, 1.08 * float(top))
    axes.plot([0, top], [0, top], color=GREY, linewidth=1, linestyle=":", label="as often as predicted")
    for (name, one), colour, marker in zip(found.items(), (BLUE, VERMILION, GREEN), "os^", strict=False):
        axes.plot(one.predicted, one.observed, color=colour, linewidth=1, gid=name)
        bins = [Interval(*bounds) for bounds in zip(one.observed, one.low, one.high, strict=True)]
        label = f"{name}: calibration error {one.error},\nBrier score {one.brier}"
        draw_intervals(
            axes, one.predicted, bins, colour, label=label, marker=marker, is_upright=True
        )  # fmt: skip
    axes.set(xlim=(0, top), ylim=(-0.01 * top, top), xlabel="mean probability of a bin", title=title)
    axes.set_ylabel("share that was true, with interval")
    add_legend_below(figure, columns=1)
    return figure
