"""Runs -> the charts of a report: learning curves, score by threshold, reliability."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.report.charts import Chart, Line, Mark
from analysis.report.selection import Selection
from analysis.runs import Run
from core.run_folder import RunFolder
from core.scoring.reliability import Reliability, reliability
from core.scoring.score_curves import ScoreCurve, score_by_threshold

POINTS = 240
"""Points of a curve in the page; more cannot be told apart."""
RESAMPLES = 1000
"""Behind the bands, or as many as the run's configuration says if it says fewer."""
LOG_RANGE = 50.0
"""Thresholds that span more than this ratio are drawn on a logarithmic axis."""
CURVES = (
    ("train/epoch_loss", "Training loss", "loss", True, None),
    ("valid/loss", "Validation loss", "loss", True, None),
    ("valid/score", "2022 score", "score", False, 0.5),
    ("valid/macro_auc", "Macro ROC-AUC", "area", False, 0.5),
    ("valid/padded_cmap", "Padded cmAP", "precision", False, None),
    ("train/lr", "Learning rate", "rate", False, None),
)


def learning_curves(selection: Selection) -> list[Chart]:
    """Return one chart for each logged number: all runs over their epochs."""
    charts = []
    histories = [(run, [epochs_of(RunFolder(folder)) for folder in run.members]) for run in selection.runs]
    several = any(len(folds) > 1 for _, folds in histories)
    folds_told = " A run of all folds is the mean of its folds; they are the thin lines." if several else ""
    for name, title, unit, is_log, chance in CURVES:
        lines = [
            line
            for number, (run, folds) in enumerate(histories)
            for line in lines_of(run.name, number, [series(rows, name) for rows in folds])
        ]
        if not lines:
            continue
        when = "at the end of each epoch" if name != "train/epoch_loss" else "mean over each epoch"
        guess = " The dotted line is what a guess reaches." if chance is not None else ""
        where = " of the validated clips, without interval" if name.startswith("valid/") else ""
        charts.append(
            Chart(
                key="curve-" + name.replace("/", "-").replace("_", "-"),
                title=title,
                x_label="epoch",
                y_label=unit,
                caption=f"{title}{where}, {when}.{guess}{folds_told}",
                lines=tuple(lines),
                whole_x=True,
                log_y=is_log,
                chance=chance,
            )
        )
    return charts


def epochs_of(folder: RunFolder) -> dict[int, dict[str, Any]]:
    """Return epoch -> what was logged in it, the last of each number."""
    rows: dict[int, dict[str, Any]] = {}
    for row in folder.history():
        if "epoch" in row:
            is_end = "train/epoch_loss" in row
            epoch = int(row["epoch"]) if is_end else int(row["epoch"]) + 1  # steps count from epoch 0
            rows.setdefault(epoch, {}).update(row)
    return rows


def series(rows: dict[int, dict[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return epochs and values of a logged number."""
    points = [(epoch, row[name]) for epoch, row in sorted(rows.items()) if row.get(name) is not None]
    epochs, values = zip(*points, strict=True) if points else ((), ())
    return np.array(epochs, dtype=float), np.array(values, dtype=float)


def lines_of(name: str, number: int, folds: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[Line]:
    """Return a run's lines: thin ones of its folds, and their mean over the epochs that all have."""
    folds = [fold for fold in folds if len(fold[0])]
    if len(folds) < 2:
        return [Line(name, x, y, number) for x, y in folds]
    shared = sorted(set.intersection(*({float(e) for e in x} for x, _ in folds)))
    mean = np.mean([[y[list(x).index(e)] for e in shared] for x, y in folds], axis=0)
    thin = [Line(f"{name}, fold", x, y, number, kind="thin") for x, y in folds]
    return [*thin, Line(name, np.array(shared), mean, number)]


def decision_charts(run: Run, number: int, threshold: float) -> list[Chart]:
    """Return a run's score by threshold, with the one that it decides at, and its reliability."""
    rows, confidence = run.predictions, run.valid.confidence
    resampler = rows.resampler(num_resamples=min(run.valid.num_resamples, RESAMPLES))
    curve = score_by_threshold(rows.truth, rows.probability, resampler, confidence)
    found = reliability(rows.truth, rows.probability, resampler, confidence=confidence)
    return [threshold_chart(run, number, curve, threshold), reliability_chart(run, number, found, confidence)]


def threshold_chart(run: Run, number: int, curve: ScoreCurve, threshold: float) -> Chart:
    """Return the 2022 score over the decision threshold."""
    chosen = np.unique(np.linspace(0, len(curve.positions) - 1, POINTS).round().astype(int))
    positions = curve.positions[chosen]
    quantile = run.valid.threshold_quantile
    return Chart(
        key=f"threshold-{number + 1}",
        title="Score by threshold",
        x_label="threshold (probability)",
        y_label="2022 score",
        caption=(
            f"{run.name}: the 2022 score if every species were decided at one threshold. The band holds "
            f"{curve.confidence:.0%} of resamples of recordings, point by point. 'decided' is "
            f"the {quantile:g} quantile, which the leaderboard uses; 'best here' is the best on these very "
            f"rows, so it flatters: {curve.best.value:.3g}, in {curve.confidence:.0%} of resamples between "
            f"{curve.best.low:.3g} and {curve.best.high:.3g}. {len(run.predictions)} clips."
        ),
        lines=(
            Line(run.name, positions, curve.score[chosen], number, curve.low[chosen], curve.high[chosen]),
        ),
        log_x=bool(positions[0] > 0 and positions[-1] > LOG_RANGE * positions[0]),
        marks=(Mark(threshold, "decided"), Mark(curve.best.value, "best here")),
        chance=0.5,
    )  # fmt: skip


def reliability_chart(run: Run, number: int, found: Reliability, confidence: float) -> Chart:
    """Return observed shares over mean probabilities."""
    heights = np.concatenate([found.predicted, found.high[np.isfinite(found.high)], found.observed])
    top = min(1.0, 1.06 * float(np.nanmax(heights))) if len(heights) else 1.0
    return Chart(
        key=f"reliability-{number + 1}",
        title="Reliability",
        x_label="mean probability of a bin",
        y_label="share that was true",
        caption=(
            f"{run.name}: predictions of all scored species in {len(found.count)} bins of about equally many "
            f"({int(np.median(found.count))} each), and how often they came true; bars are {confidence:.0%} "
            "bootstrap intervals over recordings. On the dotted line a probability means what it says: below "
            f"it is over-confident, above it under-confident. Expected calibration error {found.error} after "
            f"bias correction, Brier score {found.brier}."
        ),
        lines=(Line(run.name, found.predicted, found.observed, number, found.low, found.high, "points"),),
        x_range=(0.0, top),
        y_range=(0.0, top),
        diagonal=True,
    )  # fmt: skip
