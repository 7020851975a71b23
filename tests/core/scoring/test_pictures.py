"""The pictures of scores carry their labels and values."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from core.data.taxonomy import Taxonomy
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


def test_a_forest_grows_with_its_labels_and_keeps_its_axis() -> None:
    interval = [Interval(0.5, 0.4, 0.6)]
    widths = []
    for label in ("short", "a long name of an experiment, fold 0, mixup.alpha=0.4, and its seed besides"):
        series = [Series("score", interval), Series("area", interval)]
        figure = draw_forest([label], series, "value", 0.5, ["+0.1"], reference_name="a guess")
        figure.draw_without_rendering()
        widths.append(figure.axes[0].bbox.width / figure.dpi)
        legend = figure.legends[0].get_window_extent()
        assert not legend.overlaps(figure.axes[0].bbox)
        assert [text.get_text() for text in figure.legends[0].get_texts()][-1] == "a guess"
    assert min(widths) > 4.2


def test_species_are_drawn_most_positives_first_and_those_without_a_score_left_out() -> None:
    table = pd.DataFrame({"species": ["rare", "common", "absent"], "positives": [2, 9, 0]})
    for name in ("score", "auc", "average_precision"):
        table[name] = [0.6, 0.8, np.nan]
        table[f"{name}_low"], table[f"{name}_high"] = [np.nan, 0.7, np.nan], [np.nan, 0.9, np.nan]
    figure = draw_species_intervals(table, Taxonomy.of(["common"], common=["Common Owl"]))
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Common Owl (common), 9", "rare, 2"]
