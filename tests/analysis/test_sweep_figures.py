"""What figures of a sweep say and where they put it."""

import math
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis.sweep.effects import effect_of
from analysis.sweep.figures import draw_effects, draw_throughput, front_of, pareto_front
from analysis.sweep.parallel import draw_parallel, even_ticks, fan_out, log_ticks, parameter_scale, wrap_name
from analysis.sweep.parameters import SweptParameter
from analysis.sweep.trials import Sweep, Trial
from core.scoring.resampling import Interval

PARAMETERS = (
    SweptParameter("optim.lr", is_log=True),
    SweptParameter(
        "model.backbone", ("mobilenetv4_conv_small.e2400_r224_in1k", "eca_nfnet_l0.ra2_in1k"), False
    ),
    SweptParameter("mixup.selective_probability"),
)


def sweep_of(scores: list[float], speeds: list[float], goal: str = "maximize") -> Sweep:
    generator = np.random.default_rng(0)
    trials = tuple(
        Trial(
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
    return Sweep("here", "mine", "How much?", "random", "valid/score", goal, PARAMETERS, trials)


@pytest.fixture
def sweep() -> Sweep:
    generator = np.random.default_rng(1)
    return sweep_of(generator.uniform(0.5, 0.8, 24).tolist(), generator.uniform(50, 60, 24).tolist())


def texts_of(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def legend_of(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def lines_of(axes: Axes) -> list[tuple[Any, np.ndarray]]:
    """Return colour and places of each trial's line."""
    drawn = [(line.get_color(), np.asarray(line.get_ydata())) for line in axes.lines]
    return [(colour, places) for colour, places in drawn if len(places) == len(PARAMETERS) + 1]


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Return the pairs of texts that lie on one another."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    found = [
        text
        for axes in figure.axes
        for text in [
            *axes.texts,
            axes.title,
            axes.xaxis.label,
            *axes.get_xticklabels(),
            *axes.get_yticklabels(),
        ]
        if text.get_text() and text.get_visible() and axes.get_visible()
    ]
    boxes = [(text.get_text(), text.get_window_extent(renderer).shrunk(0.98, 0.9)) for text in found]
    return [
        (one, other)
        for place, (one, box) in enumerate(boxes)
        for other, other_box in boxes[place + 1 :]
        if box.overlaps(other_box)
    ]


def test_pareto_front_of_a_case_worked_by_hand() -> None:
    #        beaten   fast   slow and good  as fast as 1, worse  same as 2   unknown
    speed = np.array([10.0, 30.0, 5.0, 30.0, 5.0, math.nan])
    score = np.array([0.60, 0.70, 0.90, 0.65, 0.90, 0.99])
    assert pareto_front(speed, score).tolist() == [False, True, True, False, True, False]
    assert pareto_front(speed, score, sign=-1).tolist() == [True, False, False, True, False, False]


def test_throughput_names_the_trials_on_the_front_and_its_units() -> None:
    sweep = sweep_of([0.6, 0.7, 0.9, 0.65], [10.0, 30.0, 5.0, 30.0])
    assert [trial.name for trial in front_of(sweep)] == ["trial 1", "trial 2"]
    figure = draw_throughput(sweep)
    assert figure is not None
    (axes,) = figure.axes
    assert axes.get_xlabel() == "training throughput (clips per second)"
    assert axes.get_ylabel() == "2022 score"
    assert axes.get_xscale() == "log"
    assert texts_of(axes) == ["1", "2"]
    assert legend_of(axes) == [
        "trial 1: 0.700 [0.650, 0.750]\n30 clips per second",
        "trial 2: 0.900 [0.850, 0.950]\n5 clips per second",
    ]
    assert draw_throughput(sweep_of([0.6, 0.7], [math.nan, math.nan])) is None


def test_parallel_coordinates_have_an_axis_each_and_the_best_in_colour(sweep: Sweep) -> None:
    figure = draw_parallel(sweep)
    (axes,) = figure.axes
    texts = texts_of(axes)
    for name in ("optim.lr", "model.backbone", "mixup.\nselective_\nprobability", "2022 score"):
        assert name in texts
    assert {"0.001", "eca_nfnet_l0.ra2_in1k", "mobilenetv4_conv_small\n.e2400_r224_in1k"} <= set(texts)
    best = sweep.ranked[0]
    legend = legend_of(axes)
    assert legend[0] == f"{best.name}: {best.metric}"
    assert legend[-1] == "19 other trials"
    assert overlapping(figure) == []
    lines = lines_of(axes)
    assert len(lines) == 24
    assert all((places >= -0.001).all() and (places <= 1.001).all() for _, places in lines)
    assert [colour for colour, places in lines if places[-1] == 1.0] == ["#0072B2"]


def test_lower_is_drawn_higher_where_lower_is_better(sweep: Sweep) -> None:
    turned = sweep_of([0.6, 0.7, 0.9], [1.0, 1.0, 1.0], goal="minimize")
    (axes,) = draw_parallel(turned).axes
    assert dict(lines_of(axes))["#0072B2"][-1] == 1.0
    assert legend_of(axes)[0].startswith("trial 0: 0.600")


def test_a_logarithmic_axis_has_even_decades(sweep: Sweep) -> None:
    scale = parameter_scale(PARAMETERS[0], sweep.ranked)
    at = dict(zip(scale.labels, scale.ticks, strict=True))
    threefold, tenfold = at["0.003"] - at["0.001"], at["0.003"] - at["0.0003"]
    assert threefold / tenfold == pytest.approx(np.log10(3))


def test_ticks_are_round_and_within_their_ends() -> None:
    assert log_ticks(-1.0, 0.31)[1] == ("0.1", "0.3", "1") or len(log_ticks(-1.0, 0.31)[0]) >= 3
    for low, high in ((-5.0, -1.0), (0.0, 0.2), (-0.7, -0.1)):
        ticks, _ = log_ticks(low, high)
        assert len(ticks) >= 3
        assert low <= ticks.min()
        assert ticks.max() <= high
    ticks, labels = even_ticks(0.53, 0.62)
    assert set(labels) >= {"0.54", "0.6"}
    assert all(0.53 <= tick <= 0.62 for tick in ticks)


def test_trials_of_one_level_are_fanned_out_within_it() -> None:
    marks = np.array([0.1, 0.9])
    places = fan_out(marks, np.array([0, 1, 0] + [1] * 60), 0.09)
    assert places[0] > 0.1 > places[2], "the best of a level on top"
    assert places.min() >= 0.0
    assert places.max() <= 1.0


def test_names_break_behind_dots_and_underscores() -> None:
    assert wrap_name("mixup.alpha") == "mixup.alpha"
    assert wrap_name("mixup.selective_probability") == "mixup.\nselective_\nprobability"
    assert wrap_name("2022 score") == "2022 score"


def test_panels_of_effects_name_parameter_metric_and_change(sweep: Sweep) -> None:
    trials = sweep.ranked
    metric = np.array([trial.metric.value for trial in trials])
    effects = [
        effect_of(one, one.coordinates(trial.values[one.key] for trial in trials), metric, num_resamples=200)
        for one in sweep.parameters
    ]
    figure = draw_effects(sweep, effects)
    panels = figure.axes
    assert [axes.get_xlabel() for axes in panels] == [one.key for one in sweep.parameters]
    assert [axes.get_xscale() for axes in panels] == ["log", "linear", "linear"]
    assert panels[0].get_ylabel() == "2022 score"
    change = effects[0].change
    assert change is not None
    assert panels[0].get_title() == f"end to end {change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"
    assert [text.get_text() for text in panels[1].get_xticklabels()] == list(PARAMETERS[1].levels)
    assert overlapping(figure) == []
