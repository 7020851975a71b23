"""The pictures of a run: learning curves, species, decisions, spectrograms with what is heard in them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.scoring.reliability import Reliability
from core.scoring.score_curves import ScoreCurve

BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#7F7F7F"  # after Okabe and Ito
PICTURE_DPI = 120
LEAST_SHARE = 0.005  # of clips, to have its number written
mpl.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "font.size": 9})


def draw_curves(history: Sequence[dict[str, Any]], file: Path) -> Path:
    """Draw loss, metrics and learning rate over optimiser steps; return `file`.

    Parameters
    ----------
    history
        Rows of `metrics.jsonl`, each with its `global_step`.
    file
        Where the picture goes.
    """
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    losses, scores, rates = figure.subplots(1, 3)
    _lines(losses, history, {"train/loss": GREY, "train/epoch_loss": BLUE, "valid/loss": VERMILION})
    losses.set(title="Loss", ylabel="loss", yscale="log")
    _lines(scores, history, {"valid/score": BLUE, "valid/macro_auc": VERMILION, "valid/padded_cmap": GREY})
    scores.set(title="Validation on scored species", ylabel="metric", ylim=(0, 1.02))
    scores.axhline(0.5, color="black", linewidth=0.6, linestyle=":")
    _lines(rates, history, {"train/lr": BLUE})
    rates.set(title="Learning rate", ylabel="learning rate")
    for axes in (losses, scores, rates):
        axes.set_xlabel("optimiser step")
        if axes.get_legend_handles_labels()[1]:
            axes.legend(frameon=False, fontsize=8)
    figure.savefig(file, dpi=PICTURE_DPI)
    return file


def draw_species_intervals(per_species: pd.DataFrame, file: Path) -> Path:
    """Draw each scored species' AUC and 2022 score with intervals, beside its support; return `file`.

    Parameters
    ----------
    per_species
        Of `core.scoring.evaluation.Evaluation`.
    file
        Where the picture goes.
    """
    table = per_species.sort_values("positives").reset_index(drop=True)
    figure = Figure(figsize=(8, 1.4 + 0.32 * len(table)), layout="constrained")
    scores, support = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    for name, label, colour, shift in (
        ("auc", "ROC-AUC", VERMILION, 0.14),
        ("score", "2022 score (balanced accuracy)", BLUE, -0.14),
    ):
        value = table[name].to_numpy()
        bounds = np.stack([value - table[f"{name}_low"], table[f"{name}_high"] - value])
        scores.errorbar(
            value, table.index + shift, xerr=np.clip(bounds, 0, None), fmt="o", markersize=4,
            color=colour, label=label, capsize=2, linewidth=1,
        )  # fmt: skip
    scores.axvline(0.5, color="black", linewidth=0.6, linestyle=":")
    scores.set(xlim=(-0.02, 1.02), xlabel="value with 95 % bootstrap interval", title="Scored species")
    scores.set_yticks(table.index, table["species"])
    scores.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1.06), ncols=2)
    support.barh(table.index, table["positives"], color=GREY)
    support.bar_label(support.containers[0], padding=2, fontsize=8)
    support.set(xlabel="validated clips with it", title="Support")
    figure.savefig(file, dpi=PICTURE_DPI)
    return file


def draw_spectrograms(
    mels: np.ndarray,
    detections: np.ndarray,
    titles: Sequence[str],
    species: Sequence[str],
    clip_seconds: float,
    file: Path,
) -> Path:
    """Draw log-mels over the probabilities of the species that the network hears most; return `file`.

    Parameters
    ----------
    mels
        (clip, mel, frame) in dB.
    detections
        (clip, segment, species) probabilities.
    titles
        One per clip.
    species
        Codes of the last axis.
    clip_seconds
        Length of the clips.
    file
        Where it goes.
    """
    number = len(mels)
    figure = Figure(figsize=(3.6 * number, 3.8), layout="constrained")
    grid = figure.subplots(2, number, squeeze=False, sharex=True, height_ratios=(2, 1))
    for column in range(number):
        top, bottom = grid[0, column], grid[1, column]
        high = np.quantile(mels[column], 0.999)
        top.imshow(
            mels[column], origin="lower", aspect="auto", cmap="magma", vmin=high - 60, vmax=high,
            extent=(0, clip_seconds, 0, mels.shape[1]),
        )  # fmt: skip
        top.set(title=titles[column], ylabel="mel band" if column == 0 else None)
        loudest = np.argsort(-detections[column].max(axis=0))[:3]
        edges = np.linspace(0, clip_seconds, detections.shape[1] + 1)
        for index, style in zip(loudest, ("-", "--", ":"), strict=False):
            bottom.stairs(detections[column][:, index], edges, label=species[index], linestyle=style)
        bottom.set(ylim=(0, 1), xlabel="seconds", ylabel="probability" if column == 0 else None)
        bottom.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.4), ncols=3)
    figure.savefig(file, dpi=PICTURE_DPI)
    return file


def draw_confusion_matrix(
    truth: np.ndarray, probability: np.ndarray, species: Sequence[str], file: Path
) -> Path:
    """Draw which scored species is highest in the clips that hold each; return `file`.

    Parameters
    ----------
    truth, probability
        (clip, species).
    species
        Their codes. Those that no clip holds have no row.
    file
        Where it goes.
    """
    held = np.flatnonzero(truth.any(axis=0))
    highest = np.eye(len(species))[probability.argmax(axis=1)]
    counts = truth[:, held].sum(axis=0)
    shares = truth[:, held].T @ highest / counts[:, None]  # (held species, species)
    figure = Figure(figsize=(2.4 + 0.42 * len(species), 1.6 + 0.42 * len(held)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.argwhere(shares >= LEAST_SHARE):
        colour = "white" if shares[row, column] > 0.55 else "black"
        text = f"{100 * shares[row, column]:.0f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(len(species)), species, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(held)), [f"{species[int(i)]} ({n})" for i, n in zip(held, counts, strict=True)])
    axes.set(xlabel="scored species with the highest probability", ylabel="clips that hold (number)")
    axes.set_title("Confusion, in percent of the clips of a row")
    axes.spines[:].set_visible(False)
    figure.savefig(file, dpi=PICTURE_DPI)
    return file


def draw_score_by_threshold(
    curve: ScoreCurve, *, decided: float | None = None, title: str | None = None
) -> Figure:
    """Return a figure of the 2022 score over the setting of the decision, with its band.

    Parameters
    ----------
    curve
        Of `score_by_threshold` or `score_by_quantile` in `core.scoring.score_curves`.
    decided
        The setting that a run decides with, to mark; None: no mark.
    title
        What was scored; None: what the curve is.
    """
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    band = f"{curve.confidence:.0%} of resamples"
    axes.fill_between(curve.positions, curve.low, curve.high, color=BLUE, alpha=0.2, linewidth=0, label=band)
    axes.plot(curve.positions, curve.score, color=BLUE, label="these rows")
    axes.axvspan(
        curve.best.low, curve.best.high, color=VERMILION, alpha=0.12, linewidth=0, label=f"best in {band}"
    )
    axes.axvline(
        curve.best.value, color=VERMILION, linestyle="--", label=f"best here, {curve.best.value:.3g}"
    )
    if decided is not None:
        axes.axvline(decided, color="black", linestyle=":", label=f"decided at {decided:.3g}")
    axes.axhline(0.5, color=GREY, linewidth=0.8, label="all positive, or none")
    if curve.kind == "threshold" and curve.positions[0] > 0 and curve.positions[-1] > 50 * curve.positions[0]:
        axes.set_xscale("log")
    what = {"threshold": "threshold (probability)", "quantile": "quantile of all probabilities"}[curve.kind]
    axes.set(xlabel=what, ylabel="2022 score", title=title or f"Score by {curve.kind}")
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def draw_reliability(found: Mapping[str, Reliability], *, title: str = "Reliability") -> Figure:
    """Return a figure of how often predictions came true beside their probability.

    Parameters
    ----------
    found
        What was predicted (such as "as trained") -> its diagram; up to three.
    title
        Of the figure.
    """
    figure = Figure(figsize=(6.4, 3.9), layout="constrained")
    axes = figure.subplots()
    top = max(max(np.nanmax(one.predicted), np.nanmax(one.high)) for one in found.values())
    top = min(1.0, 1.08 * float(top))
    axes.plot([0, top], [0, top], color=GREY, linewidth=1, label="as often as predicted")
    for (name, one), colour, marker in zip(found.items(), (BLUE, VERMILION, GREEN), "os^", strict=False):
        bounds = np.clip([one.observed - one.low, one.high - one.observed], 0, None)
        axes.errorbar(
            one.predicted, one.observed, yerr=bounds, color=colour, marker=marker, markersize=4, capsize=2,
            linewidth=1, label=f"{name}\ncalibration error {one.error}\nBrier score {one.brier}",
        )  # fmt: skip
    axes.set(xlim=(0, top), ylim=(-0.01 * top, top), xlabel="mean probability of a bin", title=title)
    axes.set_ylabel("share that was true, with interval")
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _lines(axes: Axes, history: Sequence[dict[str, Any]], names: dict[str, str]) -> None:
    """Draw one line per logged name that occurs."""
    for name, colour in names.items():
        points = [(row["global_step"], row[name]) for row in history if row.get(name) is not None]
        if points:
            steps, values = zip(*points, strict=True)
            axes.plot(steps, values, color=colour, label=name, marker="o" if len(points) == 1 else None)
