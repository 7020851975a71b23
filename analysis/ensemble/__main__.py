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
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from matplotlib.figure import Figure

from analysis.command import ScoringOptions, run_command
from analysis.drawing.figure_files import Format, save_figure
from analysis.drawing.table_files import markdown, write_rows
from analysis.ensemble.weights import MIN_GAIN, Combine, Objective, Weighted, weigh
from analysis.runs import Run, find_runs, predictions_of
from core.config import require
from core.scoring.intervals import Interval
from core.scoring.metric_names import LABELS
from core.scoring.pictures import COLOURS, GREY
from core.scoring.predictions import UNITS


@dataclass(frozen=True, kw_only=True)
class EnsembleConfig(ScoringOptions):
    """Find weights of runs for an ensemble, and say whether they are worth anything."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Two or more runs, or runs of all folds, of the same clips; or folders that hold such."""
    out: str | None = None
    """Folder for the table and the figure."""
    format: Format = "png"
    """Of the figure."""
    objective: Objective = "macro_auc"
    """What the weights are to raise: macro ROC-AUC, or the 2022 score at the 0.85 quantile."""
    combine: Combine = "mean"
    """What is averaged: probabilities, logits, or ranks within a species; as in `core.inference`."""
    picks: int = 20
    """Rounds of the greedy selection; the best of them is taken."""
    splits: int = 5
    """Parts that the recordings are cut into."""
    partitions: int = 3
    """Ways of cutting them, each with the next seed, on all of which weights are judged."""

    def __post_init__(self) -> None:
        """Check ranges."""
        super().__post_init__()
        require(self.picks >= 1, f"picks={self.picks}: at least 1")
        require(self.splits >= 2, f"splits={self.splits}: at least 2")
        require(self.partitions >= 1, f"partitions={self.partitions}: at least 1")


def main() -> None:
    """Find weights of runs."""
    run_command(EnsembleConfig, weigh_runs)


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
    results = weigh(
        predictions,
        objective=config.objective,
        combine=config.combine,
        picks=config.picks,
        splits=config.splits,
        partitions=config.partitions,
        resampler=predictions[0].resampler(config.by, valid.num_resamples, config.seed),
        by=config.by,
        quantile=valid.threshold_quantile,
        confidence=valid.confidence,
    )
    print("\n".join(format_results(results, runs, config)), flush=True)
    if config.out is not None:
        folder = Path(config.out)
        write_rows(rows_of(results, names, config), folder / "ensemble.csv")
        caption = (
            f"Gain in {LABELS[config.objective]} over the best single run, paired, with "
            f"{valid.confidence:.0%} intervals over {UNITS[config.by]}, and the weights fitted to all "
            f"rows; {len(predictions[0])} clips, combined by {config.combine}."
        )
        print(save_figure(draw_ensemble(results, names), folder / f"ensemble.{config.format}", caption))
    return results


def rows_of(
    results: Sequence[Weighted], names: Sequence[str], config: EnsembleConfig
) -> list[dict[str, object]]:
    """Return the table of ensembles."""
    return [
        {
            "ensemble": one.name,
            LABELS[config.objective]: one.score,
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


def format_results(results: Sequence[Weighted], runs: Sequence[Run], config: EnsembleConfig) -> list[str]:
    """Return the lines that are printed: the table, the verdict, the command."""
    singles, (mean, *fitted) = results[: len(runs)], results[len(runs) :]
    best = max(singles, key=lambda one: one.score.value)
    lines = [
        f"{len(runs)} runs, combined by {config.combine}, weights for {LABELS[config.objective]}",
        "",
        *markdown(rows_of(results, [run.name for run in runs], config)),
        "",
        f"The plain mean against the best single run ({best.name}): {verdict(mean.over_best)}.",
    ]
    for one in fitted:
        lines += [
            f"The {one.name} weights against the best single run: {verdict(one.over_best)}; "
            f"against the plain mean: {verdict(one.over_mean)}."
        ]
    worth = [one for one in fitted if one.over_mean.low > 0]
    chosen = max(worth, key=lambda one: one.over_mean.low) if worth else mean
    if mean.over_best.low <= 0 and not worth:
        lines.append(
            "No ensemble is distinguishable from the best single run by more than luck; the mean is shown."
        )
    return [*lines, "", "For soundscapes:", inference_command(chosen, runs, config)]


def verdict(interval: Interval) -> str:
    """Return what an interval says of a gain."""
    if interval.low > 0:
        return f"a gain, {interval}"
    return f"a loss, {interval}" if interval.high < 0 else f"not distinguishable from 0, {interval}"


def inference_command(chosen: Weighted, runs: Sequence[Run], config: EnsembleConfig) -> str:
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
    for row, one in zip(rows, results, strict=True):
        colour = COLOURS[0] if one.name in names else COLOURS[1]
        gains.plot([one.over_best.low, one.over_best.high], [row, row], color=colour, linewidth=1.4)
        gains.plot(one.over_best.value, row, "o", color=colour, markersize=4)
    gains.set_yticks(rows, [one.name for one in results])
    gains.set(xlabel="gain over the best single run", title="Gain")
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
    main()
