"""Runs -> the drawings of a report, each with its caption: learning curves, decisions, tables as forests."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.compare import differences_drawing
from analysis.drawing.figure_files import Drawing
from analysis.report.leaderboard import board_metrics, comparisons
from analysis.report.selection import Group, Selection
from analysis.runs import Run
from core.run_folder import RunFolder
from core.scoring.evaluation import Evaluation
from core.scoring.metric_names import LABELS
from core.scoring.pictures import (
    COLOURS,
    CURVE_SIZE,
    GREY,
    Series,
    add_legend_below,
    draw_forest,
    draw_reliability,
    draw_score_by_threshold,
    draw_species_intervals,
    set_log_ticks,
)
from core.scoring.reliability import reliability
from core.scoring.score_curves import score_curve

DASHES = ((), (7, 3), (2, 2.5), (9, 3, 2, 3))
SAME_DASHES = 4
"""The first so many runs have solid lines, as many after them the next dashes: not told by colour alone."""
CURVES = (
    ("train/epoch_loss", "Training loss", "loss", "log", None),
    ("valid/loss", "Validation loss", "loss", "log", None),
    ("valid/score", "2022 score", "score", "linear", 0.5),
    ("valid/macro_auc", "Macro ROC-AUC", "area", "linear", 0.5),
    ("valid/padded_cmap", "Padded cmAP", "precision", "linear", None),
    ("valid/micro_f1", "2021 micro F1", "F1", "linear", None),
    ("train/lr", "Learning rate", "rate", "linear", None),
)
"""Name in the history, title, what it measures, its scale, and what a guess reaches."""


def dashes_of(number: int) -> tuple[float, ...]:
    """Return the dashes of the lines of a run, given its position: lengths of strokes and gaps."""
    return DASHES[(number // SAME_DASHES) % len(DASHES)]


def learning_curves(selection: Selection, *, has_legend: bool) -> list[Drawing]:
    """Return one drawing for each number that was logged: all runs over their epochs.

    `has_legend` says whether each names the runs; the page does so once for all.
    """
    histories = {
        run.name: [_epochs_of(RunFolder(folder)) for folder in run.members] for run in selection.runs
    }
    several = any(len(folds) > 1 for folds in histories.values())
    of_folds = " A run of all folds is the mean of its folds; they are the thin lines." if several else ""
    drawings = []
    for name, title, unit, scale, chance in CURVES:
        curves = {
            run: [{e: row[name] for e, row in rows.items() if row.get(name) is not None} for rows in folds]
            for run, folds in histories.items()
        }
        if not any(chain.from_iterable(curves.values())):
            continue
        when = "at the end of each epoch" if name != "train/epoch_loss" else "mean over each epoch"
        guess = " The dotted line is what a guess reaches." if chance is not None else ""
        where = " of the validated clips, without interval" if name.startswith("valid/") else ""
        figure = draw_learning_curve(curves, chance=chance, has_legend=has_legend)
        (axes,) = figure.axes
        axes.set(title=title, ylabel=unit, yscale=scale)
        if scale == "log":
            set_log_ticks(axes.yaxis)
        key = "curve-" + name.replace("/", "-").replace("_", "-")
        drawings.append(Drawing(key, figure, f"{title}{where}, {when}.{guess}{of_folds}"))
    return drawings


def _epochs_of(folder: RunFolder) -> dict[int, dict[str, Any]]:
    """Return epoch -> what was logged in it, the last of each number, in the order of epochs."""
    rows: dict[int, dict[str, Any]] = {}
    for row in folder.history():
        if "epoch" in row:
            is_end = "train/epoch_loss" in row
            epoch = int(row["epoch"]) if is_end else int(row["epoch"]) + 1  # steps count from epoch 0
            rows.setdefault(epoch, {}).update(row)
    return dict(sorted(rows.items()))


def draw_learning_curve(
    curves: Mapping[str, Sequence[Mapping[int, float]]], *, chance: float | None, has_legend: bool
) -> Figure:
    """Return a figure of a number over the epochs.

    Parameters
    ----------
    curves
        Run -> epoch -> value of each of its folds; of several also the mean over the epochs that all have.
    chance, has_legend
        What a guess reaches, and whether the runs are named.
    """
    figure = Figure(figsize=CURVE_SIZE, layout="constrained")
    axes = figure.subplots()
    for number, (run, folds) in enumerate(curves.items()):
        colour, known = COLOURS[number % len(COLOURS)], [fold for fold in folds if fold]
        if len(known) > 1:
            for fold in known:
                axes.plot(list(fold), list(fold.values()), color=colour, linewidth=0.7, alpha=0.45)
        shared = sorted(set.intersection(*map(set, known))) if known else []
        if shared:
            mean = [float(np.mean([fold[epoch] for fold in known])) for epoch in shared]
            (line,) = axes.plot(shared, mean, color=colour, linewidth=1.6, label=run, gid=run)
            line.set_marker("o" if len(shared) == 1 else "")
            if dashes := dashes_of(number):
                line.set_dashes(dashes)
    if chance is not None:
        axes.axhline(chance, color="black", linewidth=0.8, linestyle=":")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True, min_n_ticks=1))
    axes.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.6)
    if has_legend and len(curves) > 1:
        add_legend_below(figure, columns=2)
    return figure


def decision_drawings(run: Run, number: int, threshold: float) -> list[Drawing]:
    """Return a run's score by threshold and its reliability.

    Parameters
    ----------
    run, number
        That validated something, and its position, from 0.
    threshold
        That it decides with.
    """
    rows, confidence = run.predictions, run.valid.confidence
    resampler = rows.resampler(num_resamples=run.valid.num_resamples)
    curve = score_curve("threshold", rows.truth, rows.probability, resampler, confidence)
    found = reliability(rows.truth, rows.probability, resampler, confidence=confidence)
    by_threshold = (
        f"{run.name}: the 2022 score if every species were decided at one threshold. The band is the "
        f"{confidence:.0%} interval over recordings, point by point. 'decided' is the "
        f"{run.valid.threshold_quantile:g} quantile, which the leaderboard uses; 'best here' is the best on "
        f"these very rows, so it flatters: {curve.best.value:.3g}, with the interval "
        f"{curve.best.low:.3g} to {curve.best.high:.3g}. {len(rows)} clips."
    )
    in_bins = (
        f"{run.name}: predictions of all scored species in {len(found.count)} bins of about equally many "
        f"({int(np.median(found.count))} each), and how often they came true; bars are {confidence:.0%} "
        "bootstrap intervals over recordings. On the dotted line a probability means what it says: below it "
        "is over-confident, above it under-confident; a hollow point has no interval, as its clips are all "
        "alike. The calibration error is printed less what chance alone adds to it; the Brier score also "
        "falls where species are told apart better."
    )
    return [
        Drawing(f"threshold-{number + 1}", draw_score_by_threshold(curve, decided=threshold), by_threshold),
        Drawing(f"reliability-{number + 1}", draw_reliability({"as trained": found}), in_bins),
    ]


def forest_drawings(selection: Selection, evaluations: Mapping[str, Evaluation]) -> Iterator[Drawing]:
    """Yield a leaderboard for each group, its differences, and the species of each run.

    `evaluations` holds the metrics of each run that validated something by its name.
    """
    for number, group in enumerate(selection.groups, start=1):
        if group.validated:
            ending = "" if number == 1 else f"-{number}"
            yield _leaderboard_drawing(group, evaluations, f"leaderboard{ending}")
            if len(group.runs) > 1:
                compared = list(chain.from_iterable(comparisons(group, evaluations)))
                yield differences_drawing(compared, f"differences{ending}")
    for number, run in enumerate(selection.runs, start=1):
        if run.name in evaluations:
            evaluation = evaluations[run.name]
            caption = (
                f"{run.name}: each scored species by itself, and how many validated clips hold it. "
                "Lines: bootstrap intervals over recordings; hollow: none, too few recordings or all alike."
            )
            if evaluation.left_out:
                caption += f" Not judged: {', '.join(evaluation.left_out)}."
            yield Drawing(
                f"species-{number}", draw_species_intervals(evaluation.per_species, run.taxonomy), caption
            )


def _leaderboard_drawing(group: Group, evaluations: Mapping[str, Evaluation], key: str) -> Drawing:
    """Return the runs of a group with their intervals."""
    found = [evaluations[run.name] for run in group.runs]
    series = [Series(LABELS[name], [one.metrics[name] for one in found]) for name in board_metrics(group)]
    caption = (
        f"Runs that judged the same {found[0].num_rows} clips. Dots are values, lines their "
        f"{group.runs[0].valid.confidence:.0%} bootstrap intervals over recordings, stratified by species. "
        "Hollow: no interval."
    )
    names, guess = [run.name for run in group.runs], "a guess, in 2022 score and ROC-AUC"
    return Drawing(key, draw_forest(names, series, "value", 0.5, reference_name=guess), caption)
