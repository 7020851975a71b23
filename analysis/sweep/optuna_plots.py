"""Optuna's plots of a sweep: parallel coordinates, the course of the search, two parameters together.

Of Optuna's other plots, slices lack the bands that `analysis.sweep.effects` has, and importances the
intervals that `analysis.sweep.importance` has.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import optuna
from matplotlib import pyplot as plt
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from optuna.visualization import matplotlib as plots

from analysis.sweep.figures import in_lines
from analysis.sweep.swept import SweptParameter
from analysis.sweep.trial_results import SweepResults
from core.scoring.pictures import BLUE, set_log_ticks
from sweeps.parameters import is_number, value_text

COLUMN_INCHES, HEIGHT_INCHES = 2.0, 4.0


def _study_of(sweep: SweepResults) -> optuna.Study:
    """Return the trials as a study of Optuna, numbered alike; those without a result have failed."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction=sweep.goal)
    space = {one.key: _space_of(one, sweep) for one in sweep.parameters}
    for trial in sweep.trials:
        facts: dict[str, Any] = {"state": optuna.trial.TrialState.FAIL}
        if trial.has_result:
            params = {one.key: _shown_value(one, trial.values[one.key]) for one in sweep.parameters}
            facts = {"params": params, "distributions": space, "value": trial.metric.value}
        study.add_trial(optuna.trial.create_trial(**facts))
    return study


def _space_of(parameter: SweptParameter, sweep: SweepResults) -> optuna.distributions.BaseDistribution:
    """Return the levels of a parameter, or the range in which its trials lie."""
    if parameter.levels:
        choices = [_shown_value(parameter, level) for level in parameter.levels]
        return optuna.distributions.CategoricalDistribution(choices)
    values = [float(trial.values[parameter.key]) for trial in sweep.ranked]
    return optuna.distributions.FloatDistribution(min(values), max(values), log=parameter.is_log)


def _shown_value(parameter: SweptParameter, value: Any) -> Any:
    """Return a value as plots show it: a number, or its text in short lines."""
    if not parameter.levels:
        return float(value)
    level = parameter.levels[int(parameter.coordinate(value))]
    return level if all(map(is_number, parameter.levels)) else in_lines(value_text(level))


def draw_parallel(sweep: SweepResults) -> Figure:
    """Return parallel coordinates of the trials with a result, a line each, the better the bluer."""
    figure = _draw_with(plots.plot_parallel_coordinate, sweep)
    axes, colour_bar, *scales = figure.axes
    colour_bar.remove()
    names = [sweep.label, *sorted(parameter.key for parameter in sweep.parameters)]
    figure.set_size_inches(COLUMN_INCHES * len(names), HEIGHT_INCHES)
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(names)), [in_lines(name, 14) for name in names], rotation=0, weight="bold")
    axes.tick_params(axis="x", length=0, labelsize=8.5, pad=8)
    lines = axes.collections[0]
    shades = ["#DDDDDD", BLUE] if sweep.sign > 0 else [BLUE, "#DDDDDD"]
    lines.set(linewidth=1.2, cmap=LinearSegmentedColormap.from_list("quality", shades))
    for scale in (axes, *scales):
        scale.set_position((0.08, 0.1, 0.8, 0.74))
        if scale.get_yscale() == "log":
            set_log_ticks(scale.yaxis)
        for label in scale.get_yticklabels():
            label.set(fontsize=8, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.6})
    return figure


def draw_history(sweep: SweepResults) -> Figure:
    """Return the metric of one trial after another, and the best so far."""
    figure = _draw_with(plots.plot_optimization_history, sweep)
    figure.set_size_inches(7.2, HEIGHT_INCHES)
    return figure


def draw_pair(sweep: SweepResults, parameters: Sequence[SweptParameter]) -> Figure:
    """Return the metric over two parameters together, interpolated between trials."""
    return _draw_with(plots.plot_contour, sweep, params=[one.key for one in parameters])


def _draw_with(plot: Callable[..., Any], sweep: SweepResults, **options: Any) -> Figure:
    """Return what one of Optuna's plots draws, without a trace in pyplot's own settings."""
    with mpl.rc_context({"axes.spines.right": True}), warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        axes = np.ravel(plot(_study_of(sweep), target_name=sweep.label, **options))[0]
    figure: Figure = axes.figure
    plt.close(figure)
    axes.set_title("")
    return figure
