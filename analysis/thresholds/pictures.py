"""Pictures of the rules of the decision, of how steady they are, and of the penalty."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.thresholds.penalty import (
    BY_DOMINANT,
    BY_FACTOR,
    BY_SPECIES,
    BY_STRENGTH,
    BY_TILT,
    Effects,
    PenaltyAnswer,
)
from analysis.thresholds.rules import PENALTY, THRESHOLDS
from analysis.thresholds.stability import FittedSetting
from core.data.taxonomy import Taxonomy
from core.scoring.intervals import Interval, bounds_of
from core.scoring.judging import JudgedRule
from core.scoring.pictures import BLUE, COLOURS, GREY, ORANGE, VERMILION, draw_intervals, text_inches

PENALTY_PANELS = {
    BY_STRENGTH: ("By strength", "strength of the penalty"),
    BY_TILT: ("If species' frequencies change", "tilt (0 as validated, 1 all equal, 2 turned round)"),
    BY_FACTOR: ("If the network is less sure", "factor on all probabilities"),
}
"""Kind of change -> title and label of its panel."""


def draw_rules(judged: Sequence[JudgedRule]) -> Figure:
    """Return a figure of every rule's score, and of its difference to the first one."""
    figure = Figure(figsize=(9, 1.3 + 0.26 * len(judged)), layout="constrained")
    scores, differences = figure.subplots(1, 2, sharey=True)
    rows = np.arange(len(judged))[::-1]
    colours = [_colour_of(one.name) for one in judged]
    _draw_rows(scores, rows, [one.score for one in judged], colours)
    in_sample = [one.in_sample for one in judged]
    scores.plot(in_sample, rows, "|", color="black", markersize=7, label="on the rows that fitted")
    scores.set(xlabel="2022 score, cross-fitted", title="Score")
    scores.set_yticks(rows, [one.name for one in judged])
    differences.axvline(0, color=GREY, linewidth=0.8)
    _draw_rows(differences, rows, [one.difference for one in judged], colours)
    bounds = [one.bound for one in judged]
    differences.plot(
        bounds, rows, "<", color="black", markersize=3.5, label="lower bound for all rules at once"
    )
    differences.set(xlabel=f"minus {judged[0].name}, paired", title="Difference")
    figure.legend(loc="outside upper right", frameon=False, fontsize=8, ncols=2)
    return figure


def _colour_of(name: str) -> str:
    """Return the colour of a rule's threshold."""
    kinds = [place for place, kind in enumerate(THRESHOLDS) if name.startswith(kind)]
    return COLOURS[kinds[0] if kinds else len(THRESHOLDS) - 1]


def _draw_rows(axes: Axes, rows: np.ndarray, intervals: Sequence[Interval], colours: Sequence[str]) -> None:
    """Draw one value with its interval a row, across, each in its colour."""
    for row, interval, colour in zip(rows, intervals, colours, strict=True):
        draw_intervals(axes, np.array([row]), [interval], colour)


def draw_stability(settings: Sequence[FittedSetting], taxonomy: Taxonomy | None = None) -> Figure:
    """Return a figure of where thresholds lie in resamples, and of how often each choice is made.

    Parameters
    ----------
    settings
        Fitted, each by itself.
    taxonomy
        Knows names of the species; None: codes alone.
    """
    thresholds = [one for one in settings if not one.is_choice]
    choices = [one for one in settings if one.is_choice]
    names = [one.name.removeprefix("threshold of ") for one in thresholds]
    labels = [(taxonomy or Taxonomy()).label(name) for name in names]
    widths = (3.8 + text_inches(labels), 4.2)
    height = max(1.4 + 0.26 * len(thresholds), 1.1 + 1.3 * len(choices))
    figure = Figure(figsize=(sum(widths), height), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=widths, squeeze=False)[0]
    axes = left.subplots()
    rows = np.arange(len(thresholds))[::-1]
    _draw_rows(axes, rows, [one.interval for one in thresholds], [VERMILION] + [BLUE] * (len(rows) - 1))
    axes.set_yticks(rows, labels)
    axes.set(xlabel="fitted threshold, with interval", title="Thresholds")
    panels = right.subplots(len(choices), 1, squeeze=False)
    for panel, one in zip(panels[:, 0], choices, strict=True):
        values = np.array(sorted(one.shares))
        colours = [ORANGE if value else BLUE for value in np.isclose(values, one.interval.value)]
        width = 0.8 * np.diff(values).min(initial=0.1)
        panel.bar(values, [one.shares[value] for value in values], width, color=colours)
        panel.xaxis.set_major_locator(MaxNLocator(6))
        panel.set(ylabel="share", title=f"{one.name[:1].upper()}{one.name[1:]}")
    return figure


def draw_penalty(answer: PenaltyAnswer) -> Figure:
    """Return a figure of the penalty's effect by strength, frequencies and height of probabilities."""
    figure = Figure(figsize=(10, 3.3), layout="constrained")
    panels = figure.subplots(1, len(PENALTY_PANELS), sharey=True)
    for axes, (kind, (title, label)) in zip(panels, PENALTY_PANELS.items(), strict=True):
        _draw_effects(axes, answer.effects[kind])
        axes.set(title=title, xlabel=label)
    panels[0].axvline(PENALTY, color="black", linestyle=":", linewidth=1)
    panels[0].set_ylabel("score with minus score without")
    panels[2].invert_xaxis()
    return figure


def _draw_effects(axes: Axes, effects: Effects) -> None:
    """Draw effects over a number, with their band."""
    places, found = np.array(list(effects), dtype=float), list(effects.values())
    values, low, high = bounds_of(found)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.fill_between(places, low, high, color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(places, values, color=BLUE)
    draw_intervals(axes, places, found, BLUE, is_upright=True)


def draw_penalty_species(answer: PenaltyAnswer, taxonomy: Taxonomy | None = None) -> Figure:
    """Return a figure of what the penalty does to each species, and where each is heard more often.

    Parameters
    ----------
    answer
        What is known about the penalty.
    taxonomy
        Knows names of the species; None: codes alone.
    """
    order, by_species = np.argsort(answer.shares, kind="stable"), answer.effects[BY_SPECIES]
    codes = np.array(list(by_species))[order]
    labels = list(map((taxonomy or Taxonomy()).label, codes))
    rows = np.arange(len(codes))
    figure = Figure(figsize=(8.3 + text_inches(labels), 1.3 + 0.28 * len(codes)), layout="constrained")
    left, middle, right = figure.subplots(1, 3, sharey=True, width_ratios=(1, 2, 2))
    left.barh(rows, answer.shares[order], color=GREY)
    left.set_yticks(rows, labels)
    left.set(xlabel="share of what trained", title="Training")
    left.xaxis.set_major_locator(MaxNLocator(3))
    for axes in (middle, right):
        axes.axvline(0, color=GREY, linewidth=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    draw_intervals(middle, rows, [by_species[code] for code in codes], BLUE)
    middle.set(xlabel="the species' own score, with minus without", title="Each species")
    dominant = answer.effects[BY_DOMINANT]
    known = [row for row, code in zip(rows, codes, strict=True) if code in dominant]
    draw_intervals(right, np.array(known), [dominant[codes[row]] for row in known], VERMILION)
    right.set(xlabel="macro score, with minus without", title="If it is heard ten times as often")
    return figure
