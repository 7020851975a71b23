"""The pictures of scores carry their labels and values."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from core.scoring.intervals import Interval
from core.scoring.pictures import Series, draw_forest, draw_intervals, draw_species_intervals


def test_an_interval_is_a_line_and_a_point_and_a_value_without_one_is_hollow() -> None:
    axes = Figure().subplots()
    intervals = [Interval(0.5, 0.4, 0.7), Interval(0.6, np.nan, np.nan), Interval(np.nan, np.nan, np.nan)]
    draw_intervals(axes, np.arange(3), intervals, "#0072B2", label="score", is_upright=True)
    (bar,) = axes.collections
    np.testing.assert_allclose(np.asarray(bar.get_paths()[0].vertices), np.array([[0, 0.4], [0, 0.7]]))
    full, hollow = axes.lines
    assert (full.get_label(), full.get_markerfacecolor()) == ("score", "#0072B2")
    assert hollow.get_markerfacecolor() == "white"
    np.testing.assert_allclose(np.asarray(hollow.get_xydata())[0], np.array([1, 0.6]))


def test_a_forest_names_its_lines_from_above_and_its_series_in_a_legend() -> None:
    series = [Series(name, [Interval(0.5, 0.4, 0.6)] * 2) for name in ("score", "area")]
    figure = draw_forest(["one", "two"], series, "value", 0.5, texts=["here", "there"])
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "two"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["score", "area"]
    assert [text.get_text() for text in axes.texts] == ["here", "there"]


def test_species_are_drawn_most_positives_first_and_those_without_a_score_left_out() -> None:
    table = pd.DataFrame({"species": ["rare", "common", "absent"], "positives": [2, 9, 0]})
    for name in ("score", "auc", "average_precision"):
        table[name] = [0.6, 0.8, np.nan]
        table[f"{name}_low"], table[f"{name}_high"] = [np.nan, 0.7, np.nan], [np.nan, 0.9, np.nan]
    (axes,) = draw_species_intervals(table).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["common (9)", "rare (2)"]
