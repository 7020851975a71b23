"""Tables and figures of a sweep on disk, each figure with its caption."""

from pathlib import Path

from matplotlib.figure import Figure

from analysis.drawing.figure_files import Format, save_figure
from analysis.drawing.table_files import write_rows
from analysis.sweep.effects import KERNEL
from analysis.sweep.figures import (
    MOST_LINES,
    draw_history,
    draw_importance,
    draw_learning_curves,
    draw_marginal_effects,
    draw_pair,
    draw_parallel,
    draw_settings,
    draw_throughput,
)
from analysis.sweep.findings import SweepFindings

Drawn = dict[str, tuple[Figure | None, str]]
"""Name -> figure and caption; None for a figure that cannot be drawn."""


def write_all(found: SweepFindings, folder: Path, kind: Format) -> list[Path]:
    """Write tables and figures.

    Parameters
    ----------
    found
        What they show.
    folder
        Where they go.
    kind
        Format of the figures.

    Returns
    -------
    list of Path
        The files.
    """
    sweep = found.sweep
    written = [write_rows(rows, folder / f"{name}.csv") for name, rows in found.tables().items()]
    number = len(sweep.ranked)
    others = len(sweep.trials) - number
    trials = f"{number} finished trials of the sweep {sweep.name}"
    trials += f" ({others} others left out)" if others else ""
    drawn = _figures_of_trials(found, trials) | _figures_of_parameters(found, trials)
    return written + [
        save_figure(figure, folder / f"{name}.{kind}", caption)
        for name, (figure, caption) in drawn.items()
        if figure is not None
    ]


def _figures_of_trials(found: SweepFindings, trials: str) -> Drawn:
    """Return the figures of a sweep's trials; `trials` says in captions what they show."""
    sweep = found.sweep
    shown = f", the {MOST_LINES} best" if len(found.settings) > MOST_LINES else ""
    pooled = ", the folds of a setting pooled" if found.pooled else ""
    return {
        "trials": (
            draw_settings(found),
            f"{sweep.label} of the {trials}{shown}{pooled}. "
            "Lines: bootstrap intervals over recordings. Words: outcome of the paired test with the best, "
            "corrected for the choice of the best. Dotted: the best.",
        ),
        "throughput": (
            draw_throughput(sweep),
            f"{sweep.label} over training throughput, the median of what each run logged; {trials}. In "
            "colour: trials that no other beats in both. Vertical lines: intervals over recordings.",
        ),
        "history": (
            draw_history(sweep) if len(sweep.ranked) > 1 else None,
            f"{sweep.label} of the trials of the sweep {sweep.name} in the order in which they began, and "
            "the best so far; crosses: what trials that were stopped early had reached.",
        ),
        "learning_curves": (
            draw_learning_curves(sweep),
            f"{sweep.label} after one validation after another, a line a trial of the sweep {sweep.name}. "
            "A cross: its trial ended there, before its last epoch.",
        ),
    }


def _figures_of_parameters(found: SweepFindings, trials: str) -> Drawn:
    """Return the figures of what a sweep varied; `trials` says in captions what they show."""
    sweep, importance = found.sweep, found.importance
    if not found.effects:
        return {}
    drawn: Drawn = {
        "parallel_coordinates": (
            draw_parallel(sweep),
            f"{sweep.label} and parameters of the {trials}, a line each, the better the bluer.",
        ),
        "marginal_effects": (
            draw_marginal_effects(sweep, found.effects),
            f"{sweep.label} along each parameter, whatever else varied; {trials}, a point each. Curves: "
            f"lines fitted locally, kernel {KERNEL:.0%} of the range wide; dashed: one straight line, "
            "where trials are too few for a curve. Blue points: means of a listed value, hollow where it is "
            "that of one trial and has no interval. Grey points of one value lie a little apart, that none "
            "covers another: sideways they say nothing. "
            "Bands and bars: pointwise bootstrap intervals over trials. Dotted: mean of all. End to end: "
            "change along one straight line.",
        ),
    }
    if importance is not None:
        caution = f" Caution: {importance.caution}." if importance.caution else ""
        drawn["importance"] = (
            draw_importance(sweep, importance),
            "Permutation importance of each parameter in a random forest, on trials it has not seen; it "
            f"predicts {importance.explained:.0%} of their variance. {trials.capitalize()}. Lines: "
            f"bootstrap intervals over trials.{caution}",
        )
        pair = [parameter for parameter, _ in importance.ranked[:2]]
        over = " and ".join(parameter.key for parameter in pair)
        drawn["most_important_pair"] = (
            draw_pair(sweep, pair) if len(pair) == 2 else None,
            f"{sweep.label} over {over}, interpolated between the {trials} (points).{caution}",
        )
    return drawn
