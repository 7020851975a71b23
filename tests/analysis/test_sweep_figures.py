"""What figures of a sweep say and where they put it."""

import math
from dataclasses import replace
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from analysis.sweep.effects import marginal_effect
from analysis.sweep.figures import (
    draw_history,
    draw_marginal_effects,
    draw_pair,
    draw_parallel,
    draw_throughput,
)  # fmt: skip
from analysis.sweep.swept import SweptParameter
from analysis.sweep.trial_results import SweepResults, TrialResult
from core.scoring.intervals import Interval
from core.scoring.pictures import BLUE
from sweeps.sweep_file import Goal

PARAMETERS = (
    SweptParameter("optim.lr", is_log=True),
    SweptParameter(
        "model.backbone", ("mobilenetv4_conv_small.e2400_r224_in1k", "eca_nfnet_l0.ra2_in1k"), False
    ),
    SweptParameter("mixup.selective_probability"),
)


def sweep_of(scores: list[float], speeds: list[float], goal: Goal = "maximize") -> SweepResults:
    generator = np.random.default_rng(0)
    trials = tuple(
        TrialResult(
            name=f"trial {number}",
            state="finished",
            values={
                "optim.lr": float(10 ** generator.uniform(-4, -2)),
                "model.backbone": PARAMETERS[1].levels[number % 2],
                "mixup.selective_probability": float(generator.random()),
            },
            metric=Interval(score, score - 0.05, score + 0.05),
            clips_per_second=speed,
        )
        for number, (score, speed) in enumerate(zip(scores, speeds, strict=True))
    )
    return SweepResults("here", "mine", "How much?", "random", "valid/score", goal, PARAMETERS, trials)


@pytest.fixture
def sweep() -> SweepResults:
    generator = np.random.default_rng(1)
    return sweep_of(generator.uniform(0.5, 0.8, 24).tolist(), generator.uniform(50, 60, 24).tolist())


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Return the pairs of texts that lie on one another."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    shown = [axes for axes in figure.axes if axes.get_visible()]
    found = [text for axes in shown for text in (*axes.texts, axes.title, axes.xaxis.label)]
    for axes in shown:
        for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            found += [tick.label1 for tick in ticks]
    found = [text for text in found if text.get_text() and text.get_visible()]
    boxes = [(text.get_text(), text.get_window_extent(renderer).shrunk(0.98, 0.9)) for text in found]
    return [
        (one, other)
        for place, (one, box) in enumerate(boxes)
        for other, other_box in boxes[place + 1 :]
        if box.overlaps(other_box)
    ]


def test_front_of_a_case_worked_by_hand() -> None:
    #        beaten  fast  slow and good  as fast as 1, worse  same as 2  unknown
    speeds = [10.0, 30.0, 5.0, 30.0, 5.0, math.nan]
    scores = [0.60, 0.70, 0.90, 0.65, 0.90, 0.99]
    assert {trial.name for trial in sweep_of(scores, speeds).front} == {"trial 1", "trial 2", "trial 4"}
    lowest = sweep_of(scores, speeds, goal="minimize").front
    assert {trial.name for trial in lowest} == {"trial 0", "trial 3"}


def test_throughput_names_the_trials_on_the_front_and_its_units() -> None:
    sweep = sweep_of([0.6, 0.7, 0.9, 0.65], [10.0, 30.0, 5.0, 30.0])
    assert [trial.name for trial in sweep.front] == ["trial 1", "trial 2"]
    figure = draw_throughput(sweep)
    assert figure is not None
    (axes,) = figure.axes
    assert axes.get_xlabel() == "training throughput (clips per second)"
    assert axes.get_ylabel() == "2022 score"
    assert axes.get_xscale() == "log"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "trial 1: 0.700 [0.650, 0.750]\n30 clips per second",
        "trial 2: 0.900 [0.850, 0.950]\n5 clips per second",
    ]
    without = sweep_of([0.6, 0.7], [10.0, 20.0])
    trials = tuple(replace(one, metric=Interval(one.metric.value, np.nan, np.nan)) for one in without.trials)
    bare = draw_throughput(replace(without, trials=trials))
    assert bare is not None
    shown = [line for line in bare.axes[0].lines if line.get_marker() == "o" and np.size(line.get_xydata())]
    assert {line.get_markerfacecolor() for line in shown} == {"white"}  # none has an interval
    assert draw_throughput(sweep_of([0.6, 0.7], [math.nan, math.nan])) is None


def test_parallel_coordinates_have_an_axis_each_and_the_best_in_the_strongest_colour(
    sweep: SweepResults,
) -> None:
    axes, *scales = draw_parallel(sweep).axes
    names = ["2022 score", "mixup\n.selective\n_probability", "model.backbone", "optim.lr"]
    assert [label.get_text() for label in axes.get_xticklabels()] == names
    assert [scale.get_yscale() for scale in scales] == ["linear", "linear", "log"]
    labels = {label.get_text() for label in scales[1].get_yticklabels()}
    assert labels == {"eca_nfnet_l0.ra2_in1k", "mobilenetv4_conv_small\n.e2400_r224_in1k"}
    assert best_line(axes)[0] == (0.0, sweep.ranked[0].metric.value)


def best_line(axes: Axes) -> Any:
    """Return the places of the line whose colour is the blue of the best."""
    (lines,) = axes.collections
    assert isinstance(lines, LineCollection)
    lines.update_scalarmappable()
    (place,) = [
        i
        for i, colour in enumerate(np.asarray(lines.get_colors()).tolist())
        if to_hex(colour) == BLUE.lower()
    ]
    return list(map(tuple, lines.get_segments()[place]))


def test_the_lowest_is_the_best_where_lower_is_better() -> None:
    turned = sweep_of([0.6, 0.7, 0.9], [1.0, 1.0, 1.0], goal="minimize")
    assert best_line(draw_parallel(turned).axes[0])[0] == (0.0, 0.6)


def test_optunas_plots_name_metric_and_parameters_and_leave_no_trace(sweep: SweepResults) -> None:
    before = dict(mpl.rcParams)
    (history,) = draw_history(sweep).axes
    assert (history.get_xlabel(), history.get_ylabel()) == ("trial", "2022 score")
    (few,) = draw_history(sweep_of([0.7, 0.75, 0.72], [1.0, 2.0, 3.0])).axes
    assert all(tick == round(tick) for tick in few.get_xticks())
    pair = draw_pair(sweep, PARAMETERS[:2]).axes[0]
    assert (pair.get_xlabel(), pair.get_ylabel()) == ("model.backbone", "optim.lr")
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []


def test_panels_of_effects_name_parameter_metric_and_change(sweep: SweepResults) -> None:
    trials = sweep.ranked
    metric = np.array([trial.metric.value for trial in trials])
    effects = [
        marginal_effect(
            one, one.coordinates(trial.values[one.key] for trial in trials), metric, num_resamples=200
        )
        for one in sweep.parameters
    ]
    figure = draw_marginal_effects(sweep, effects)
    panels = figure.axes
    assert [axes.get_xlabel() for axes in panels] == [one.key for one in sweep.parameters]
    assert [axes.get_xscale() for axes in panels] == ["log", "linear", "linear"]
    assert panels[0].get_ylabel() == "2022 score"
    change = effects[0].change
    assert change is not None
    assert panels[0].get_title() == f"end to end {change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"
    levels = ["mobilenetv4_conv_small\n.e2400_r224_in1k", "eca_nfnet_l0.ra2_in1k"]
    assert [text.get_text() for text in panels[1].get_xticklabels()] == levels
    assert overlapping(figure) == []
