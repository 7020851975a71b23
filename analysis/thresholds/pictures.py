"""Pictures of the rules of the decision, of how steady they are, and of the penalty."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.thresholds.penalty import Effects, PenaltyAnswer
from analysis.thresholds.rules import THRESHOLDS
from analysis.thresholds.stability import FittedSetting
from core.scoring.intervals import Interval, bounds_of
from core.scoring.judging import JudgedRule
from core.scoring.pictures import BLUE, COLOURS, GREY, ORANGE, VERMILION, draw_intervals

EFFECT_LABELS = {
    "penalty": "strength of the penalty",
    "tilt of the species' frequencies": "tilt (0 as validated, 1 all equal, 2 turned round)",
    "factor on all probabilities": "factor on all probabilities",
}


def draw_rules(judged: Sequence[JudgedRule]) -> Figure:
    """Return a figure of every rule's score, and of its difference to the first one."""
    figure = Figure(figsize=(9, 1.3 + 0.26 * len(judged)), layout="constrained")
    scores, differences = figure.subplots(1, 2, sharey=True)
    rows = np.arange(len(judged))[::-1]
    colours = [colour_of(one.name) for one in judged]
    draw_rows(scores, rows, [one.score for one in judged], colours)
    scores.scatter(
        [one.in_sample for one in judged],
        rows,
        marker="|",
        s=60,
        color="black",
        label="on the rows that fitted",
    )
    scores.set(xlabel="2022 score, cross-fitted", title="Score")
    scores.set_yticks(rows, [one.name for one in judged])
    scores.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.06))
    differences.axvline(0, color=GREY, linewidth=0.8)
    draw_rows(differences, rows, [one.difference for one in judged], colours)
    differences.scatter(
        [one.bound for one in judged],
        rows,
        marker="<",
        s=14,
        color="black",
        label="bound that holds for all at once",
    )
    differences.set(xlabel=f"minus {judged[0].name}, paired", title="Difference")
    differences.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.06))
    return figure


def colour_of(name: str) -> str:
    """Return the colour of a rule's threshold."""
    kinds = [place for place, kind in enumerate(THRESHOLDS) if name.startswith(kind)]
    return COLOURS[kinds[0] if kinds else len(THRESHOLDS) - 1]


def draw_rows(axes: Axes, rows: np.ndarray, intervals: Sequence[Interval], colours: Sequence[str]) -> None:
    """Draw one value with its interval a row, across, each in its colour."""
    for row, interval, colour in zip(rows, intervals, colours, strict=True):
        draw_intervals(axes, np.array([row]), [interval], colour)


def draw_stability(settings: Sequence[FittedSetting]) -> Figure:
    """Return a figure of where thresholds lie in resamples, and of how often each choice is made."""
    thresholds = [one for one in settings if not one.is_choice]
    choices = [one for one in settings if one.is_choice]
    figure = Figure(
        figsize=(9, max(1.4 + 0.26 * len(thresholds), 1.1 + 1.3 * len(choices))), layout="constrained"
    )
    left, right = figure.subfigures(1, 2, width_ratios=(1.15, 1), squeeze=False)[0]
    axes = left.subplots()
    rows = np.arange(len(thresholds))[::-1]
    draw_rows(axes, rows, [one.interval for one in thresholds], [VERMILION] + [BLUE] * (len(rows) - 1))
    axes.set_yticks(rows, [one.name.removeprefix("threshold of ") for one in thresholds])
    axes.set(xlabel="fitted threshold, with interval", title="Thresholds")
    panels = right.subplots(len(choices), 1, squeeze=False)
    for panel, one in zip(panels[:, 0], choices, strict=True):
        shares = dict(sorted(one.shares.items()))
        names = [f"{value:g}" for value in shares]
        is_own = [np.isclose(value, one.interval.value) for value in shares]
        panel.bar(names, list(shares.values()), color=[ORANGE if own else BLUE for own in is_own])
        panel.set(ylabel="share", title=f"{one.name[:1].upper()}{one.name[1:]}")
        if len(names) > 8:
            panel.set_xticks(range(0, len(names), -(-len(names) // 8)))
    return figure


def draw_penalty(answer: PenaltyAnswer) -> Figure:
    """Return a figure of the penalty's effect by strength, frequencies and height of probabilities."""
    figure = Figure(figsize=(10, 3.3), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for axes, effects in zip(panels, (answer.by_strength, answer.by_tilt, answer.by_factor), strict=True):
        draw_penalty_effects(axes, effects)
    panels[0].axvline(answer.strength, color="black", linestyle=":", linewidth=1)
    panels[0].set(ylabel="score with minus score without", title="By strength")
    panels[1].set(title="If species' frequencies change")
    panels[2].set(title="If the network is less sure")
    panels[2].invert_xaxis()
    return figure


def draw_penalty_effects(axes: Axes, effects: Effects) -> None:
    """Draw effects over a number, with their band."""
    places = np.array(effects.places, dtype=float)
    values, low, high = bounds_of(effects.effects)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.fill_between(places, low, high, color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(places, values, color=BLUE, marker="o", markersize=4)
    axes.set_xlabel(EFFECT_LABELS[effects.what])


def draw_penalty_species(answer: PenaltyAnswer) -> Figure:
    """Return a figure of what the penalty does to each species, and where each is heard more often."""
    order = np.argsort(answer.shares, kind="stable")
    codes = [answer.by_species.places[i] for i in order]
    rows = np.arange(len(codes))
    figure = Figure(figsize=(9, 1.3 + 0.28 * len(codes)), layout="constrained")
    left, middle, right = figure.subplots(1, 3, sharey=True, width_ratios=(1, 2, 2))
    left.barh(rows, answer.shares[order], color=GREY)
    left.set_yticks(rows, codes)
    left.set(xlabel="share of what trained", title="Training")
    for axes in (middle, right):
        axes.axvline(0, color=GREY, linewidth=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    draw_intervals(middle, rows, [answer.by_species.effects[i] for i in order], BLUE)
    middle.set(xlabel="the species' own score, with minus without", title="Each species")
    dominant = dict(zip(answer.by_dominant.places, answer.by_dominant.effects, strict=True))
    known = [row for row, code in zip(rows, codes, strict=True) if code in dominant]
    draw_intervals(right, np.array(known), [dominant[codes[row]] for row in known], VERMILION)
    right.set(xlabel="macro score, with minus without", title="If it is heard ten times as often")
    return figure
