"""Weights of several runs as one ensemble: python -m analysis.ensemble RUN RUN ... [--out FOLDER].

Two ways to weights are tried. Greedy forward selection adds the run that helps most, again and again and
with replacement, so that a run may count several times (Caruana et al. 2004). Constrained weights, none
negative and 1 in sum, start there and move weight between pairs of runs in ever smaller steps while the
objective rises. Both are cross-fitted: recordings are cut into parts, and each part is predicted with
weights fitted on the others. The gain over the best single run and over the plain mean has an interval over
recordings. Which single run is the best is read from all rows, which flatters it, so the gain over it is
rather too small than too large.

The objective is macro ROC-AUC, or the 2022 score at the 0.85 quantile.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.drawing.figure_files import Drawing, save_drawings
from analysis.drawing.table_files import markdown, write_rows
from analysis.ensemble.weights import MIN_GAIN, EnsembleConfig, Weighted, weigh
from analysis.runs import Run, find_runs, predictions_of
from core.config import require
from core.program import run_program
from core.scoring.intervals import Interval
from core.scoring.metric_names import LABELS
from core.scoring.pictures import BLUE, COLOURS, GREY, VERMILION, draw_intervals
from core.scoring.predictions import UNITS


def weigh_runs(config: EnsembleConfig) -> list[Weighted]:
    """Judge single runs, the mean and fitted weights; print, and write where wanted.

    Raises
    ------
    ValueError
        If there are fewer than two runs, or they differ in clips, folds or labels.
    """
    runs = find_runs(config.runs)
    require(len(runs) >= 2, f"runs: an ensemble needs two or more, found {len(runs)} ({runs[0].name})")
    predictions, valid = predictions_of(runs), config.settled(runs[0].valid)
    names = [run.name for run in runs]
    results = weigh(predictions, config, valid)
    rows = _rows_of(results, names, LABELS[config.objective])
    print("\n".join(_format_results(results, rows, runs, config)), flush=True)
    if config.out is not None:
        write_rows(rows, Path(config.out) / "ensemble.csv")
        caption = (
            f"Gain in {LABELS[config.objective]} over the best single run, paired, with "
            f"{valid.confidence:.0%} intervals over {UNITS[config.by]}, and the weights fitted to all "
            f"rows; {len(predictions[0])} clips, combined by {config.combine}."
        )
        drawing = Drawing("ensemble", draw_ensemble(results, names), caption)
        save_drawings([drawing], Path(config.out), config.format)
    return results


def _rows_of(results: Sequence[Weighted], names: Sequence[str], label: str) -> list[dict[str, object]]:
    """Return the table of ensembles; `label` is what the weights raise."""
    return [
        {
            "ensemble": one.name,
            label: one.score,
            "over the best run": one.over_best,
            "over the plain mean": one.over_mean,
            "optimism": one.optimism,
            "weights": ", ".join(
                f"{name} {weight:.2f}" + (f" ({low:.2f} to {high:.2f})" if high - low > MIN_GAIN else "")
                for name, weight, low, high in zip(names, one.weights, one.low, one.high, strict=True)
                if high > 0
            ),
        }
        for one in results
    ]


def _format_results(
    results: Sequence[Weighted],
    rows: Sequence[dict[str, object]],
    runs: Sequence[Run],
    config: EnsembleConfig,
) -> list[str]:
    """Return the lines that are printed: the table, the verdict, the command."""
    singles, (mean, *fitted) = results[: len(runs)], results[len(runs) :]
    best = max(singles, key=lambda one: one.score.value)
    worth = [one for one in fitted if one.over_mean.low > 0]
    lines = [
        f"{len(runs)} runs, combined by {config.combine}, weights for {LABELS[config.objective]}",
        "",
        *markdown(rows),
        f"The plain mean against the best single run ({best.name}): {_verdict(mean.over_best)}.",
        *(
            f"The {one.name} weights against the best single run: {_verdict(one.over_best)}; "
            f"against the plain mean: {_verdict(one.over_mean)}."
            for one in fitted
        ),
    ]
    if mean.over_best.low <= 0 and not worth:
        lines.append(
            "No ensemble is distinguishable from the best single run by more than luck; the mean is shown."
        )
    chosen = max(worth, key=lambda one: one.over_mean.low, default=mean)
    return [*lines, "", "For soundscapes:", _inference_command(chosen, runs, config)]


def _verdict(interval: Interval) -> str:
    """Return what an interval says of a gain."""
    if interval.low > 0:
        return f"a gain, {interval}"
    return f"a loss, {interval}" if interval.high < 0 else f"not distinguishable from 0, {interval}"


def _inference_command(chosen: Weighted, runs: Sequence[Run], config: EnsembleConfig) -> str:
    """Return the command that predicts with some weights; runs of weight 0 are left out."""
    kept = [(run, weight) for run, weight in zip(runs, chosen.weights, strict=True) if weight > MIN_GAIN]
    folders = " ".join(str(run.folder) for run, _ in kept)
    weights = " ".join(f"{weight:.4g}" for _, weight in kept)
    return (
        f"python -m core.inference --checkpoints {folders} --weights {weights} --combine {config.combine} "
        "--soundscapes FOLDER --out submission.csv"
    )


def draw_ensemble(results: Sequence[Weighted], names: Sequence[str]) -> Figure:
    """Return a figure of every ensemble's gain over the best single run, and of its weights."""
    figure = Figure(figsize=(9, 1.5 + 0.32 * len(results)), layout="constrained")
    gains, weights = figure.subplots(1, 2, sharey=True, width_ratios=(1.2, 1))
    rows = np.arange(len(results))[::-1]
    gains.axvline(0, color=GREY, linewidth=0.8)
    for part, colour in ((slice(len(names)), BLUE), (slice(len(names), None), VERMILION)):
        draw_intervals(gains, rows[part], [one.over_best for one in results[part]], colour)
    gains.set_yticks(rows, [one.name for one in results])
    gains.set(xlabel="gain over the best single run", title="Gain")
    gains.xaxis.set_major_locator(MaxNLocator(5))
    left = np.zeros(len(results))
    for place, name in enumerate(names):
        widths = np.array([one.weights[place] for one in results])
        weights.barh(
            rows, widths, left=left, color=COLOURS[place % len(COLOURS)], label=name, edgecolor="white"
        )
        left += widths
    weights.set(xlabel="weight", title="Weights", xlim=(0, 1))
    weights.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


if __name__ == "__main__":
    run_program(EnsembleConfig, weigh_runs)
