"""The report's charts and tables as figures of their own, drawn by matplotlib."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.compare import differences_caption, draw_differences
from analysis.drawing.figures import COLOURS, GREY
from analysis.drawing.forest import Series, draw_forest
from analysis.report.charts import Chart, Line, dash
from analysis.report.page import Detail
from analysis.report.selection import Group, Selection
from analysis.report.tables import METRICS, PER_SPECIES
from analysis.report.verdicts import comparisons
from core.scoring.evaluation import Evaluation
from core.scoring.intervals import Interval


@dataclass(frozen=True)
class SingleFigure:
    """A figure with the name of its file and its caption."""

    key: str
    figure: Figure
    caption: str


def single_figures(
    selection: Selection, curves: Sequence[Chart], details: Sequence[Detail]
) -> list[SingleFigure]:
    """Return everything that can be drawn: the tables as forests, then the charts."""
    charts = [*curves, *(chart for detail in details for chart in detail.charts)]
    drawn = [SingleFigure(chart.key, figure_of(chart), chart.caption) for chart in charts]
    return forests(selection, details) + drawn


def forests(selection: Selection, details: Sequence[Detail]) -> list[SingleFigure]:
    """Return a leaderboard for each group, its differences, and the species of each run."""
    evaluations = {selection.runs[detail.number].name: detail.evaluation for detail in details}
    found = []
    for number, group in enumerate(selection.groups, start=1):
        if not group.validated:
            continue
        ending = "" if number == 1 else f"-{number}"
        found.append(
            leaderboard(group, [evaluations[run.name] for run in group.runs], f"leaderboard{ending}")
        )
        if len(group.runs) > 1:
            compared = list(chain.from_iterable(comparisons(group)))
            figure, caption = draw_differences(compared), differences_caption(compared)
            found.append(SingleFigure(f"differences{ending}", figure, caption))
    names = [run.name for run in selection.runs]
    return found + [species(detail, names[detail.number]) for detail in details]


def leaderboard(group: Group, evaluations: Sequence[Evaluation], key: str) -> SingleFigure:
    """Return the runs of a group with their intervals."""
    series = [Series(label, [one.metrics[name] for one in evaluations]) for name, label in METRICS.items()]
    figure = draw_forest([run.name for run in group.runs], series, "value", 0.5)
    caption = (
        f"Runs that judged the same {evaluations[0].num_rows} clips. Dots are values, lines their "
        f"{group.runs[0].valid.confidence:.0%} bootstrap intervals over recordings, stratified by "
        "species. Dotted: what a guess reaches in the 2022 score and in ROC-AUC."
    )
    return SingleFigure(key, figure, caption)


def species(detail: Detail, name: str) -> SingleFigure:
    """Return the scored species of a run that could be judged, most positives first."""
    table = detail.evaluation.per_species
    table = table[table["score"].notna()].sort_values("positives", ascending=False)
    series = [
        Series(
            label,
            [
                Interval(*bounds)
                for bounds in zip(*(table[metric + end] for end in ("", "_low", "_high")), strict=True)
            ],
        )
        for metric, label in PER_SPECIES.items()
    ]
    labels = [f"{code} ({number})" for code, number in zip(table["species"], table["positives"], strict=True)]
    caption = (
        f"{name}: each scored species by itself, in brackets the validated clips that hold it. Lines are "
        "bootstrap intervals over recordings; a hollow dot has none, for want of recordings."
    )
    if detail.evaluation.left_out:
        caption += f" Not judged: {', '.join(detail.evaluation.left_out)}."
    return SingleFigure(f"species-{detail.number + 1}", draw_forest(labels, series, "value", 0.5), caption)


def figure_of(chart: Chart) -> Figure:
    """Return a chart as a matplotlib figure, for a file of its own."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    named: set[str] = set()
    for line in chart.lines:
        name = line.name if line.kind != "thin" and line.name not in named else "_"  # not in the legend
        named.add(line.name)
        draw_line(axes, line, name)
    if chart.chance is not None:
        axes.axhline(chart.chance, color=GREY, linewidth=0.8, linestyle=":")
    if chart.diagonal:
        axes.axline((0, 0), slope=1, color=GREY, linewidth=0.8, linestyle=":")
    for mark in chart.marks:
        axes.axvline(mark.x, color=GREY, linewidth=0.8, linestyle="--")
        axes.annotate(
            mark.label, (mark.x, 0), xycoords=("data", "axes fraction"), xytext=(3, 4),
            textcoords="offset points", va="bottom", fontsize=7.5, color="#444444", rotation=90,
        )  # fmt: skip
    axes.set(title=chart.title, xlabel=chart.x_label, ylabel=chart.y_label)
    axes.set_xscale("log" if chart.log_x else "linear")
    axes.set_yscale("log" if chart.log_y else "linear")
    axes.set(xlim=chart.x_range, ylim=chart.y_range)
    if chart.whole_x:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len({line.name for line in chart.lines if line.kind != "thin"}) > 1:
        figure.legend(loc="outside lower left", frameon=False, fontsize=8, ncols=2)
    return figure


def draw_line(axes: Axes, line: Line, name: str) -> None:
    """Draw a line, a band or points with bars."""
    colour = COLOURS[line.colour % len(COLOURS)]
    bounds = None if line.low is None or line.high is None else (line.low, line.high)
    if line.kind == "points":
        bars = None if bounds is None else np.clip([line.y - bounds[0], bounds[1] - line.y], 0, None)
        axes.errorbar(line.x, line.y, yerr=bars, fmt="o", markersize=4, linewidth=1, color=colour, label=name)
        return
    width, alpha = (0.7, 0.45) if line.kind == "thin" else (1.6, 1.0)
    marker = "o" if np.isfinite(line.y).sum() == 1 else None
    (artist,) = axes.plot(
        line.x, line.y, linewidth=width, alpha=alpha, marker=marker, color=colour, label=name
    )
    dashes = [float(word) for word in dash(line.colour).split()]
    if dashes and line.kind != "thin":
        artist.set_dashes(dashes)
    if bounds is not None:
        axes.fill_between(line.x, *bounds, color=colour, alpha=0.18, linewidth=0)
