"""The pictures of training: learning curves, and spectrograms with what the network detects in them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from core.config import FeatureConfig
from core.models.log_mel import bands_of_hertz
from core.scoring.metric_names import LABELS
from core.scoring.pictures import BLUE, GREEN, GREY, VERMILION, set_log_ticks

# Margins are fixed numbers: to find them, a constrained layout takes half of the time of a picture.
PICTURE_DPI = 120
FREQUENCIES_HZ = (500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16000.0)
FEW_POINTS = 12
LOSSES = {
    "train/loss": ("training, last steps", GREY),
    "train/epoch_loss": ("training, epoch", BLUE),
    "valid/loss": ("validation", VERMILION),
}
SCORES = {
    f"valid/{name}": (LABELS[name], colour)
    for name, colour in {
        "score": BLUE,
        "macro_auc": VERMILION,
        "padded_cmap": GREY,
        "micro_f1": GREEN,
    }.items()
}
"""What `metrics.jsonl` calls it -> what a reader calls it, and its colour."""


def draw_curves(history: Sequence[dict[str, Any]], file: Path) -> Path:
    """Draw loss, metrics and learning rate of rows of `metrics.jsonl` over optimiser steps; return `file`."""
    figure = Figure(figsize=(10, 3.2))
    figure.subplots_adjust(left=0.09, right=0.99, bottom=0.15, top=0.91, wspace=0.26)
    losses, scores, rates = figure.subplots(1, 3)
    _lines(losses, history, LOSSES)
    losses.set(title="Loss", ylabel="loss", yscale="log")
    set_log_ticks(losses.yaxis)
    _lines(scores, history, SCORES)
    scores.set(title="Validation on scored species", ylabel="metric", ylim=(0, 1.02))
    scores.axhline(0.5, color="black", linewidth=0.6, linestyle=":", label="a guess, in the first two")
    _lines(rates, history, {"train/lr": ("learning rate", BLUE)})
    rates.set(title="Learning rate")
    for axes in (losses, scores, rates):
        axes.set_xlabel("optimiser step")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
        if axes.get_legend_handles_labels()[1]:
            axes.legend(frameon=False, fontsize=8)
    figure.savefig(file, dpi=PICTURE_DPI)
    return file


def draw_spectrograms(
    mels: np.ndarray,
    detections: np.ndarray,
    titles: Sequence[str],
    species: Sequence[str],
    clip_seconds: float,
    features: FeatureConfig,
    file: Path,
) -> Path:
    """Draw log-mels over the probabilities of the species that the network detects most; return `file`.

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
    features
        Of the front end, for the frequencies of the bands.
    file
        Where it goes.
    """
    number = len(mels)
    hertz = [one for one in FREQUENCIES_HZ if features.f_min_hz <= one <= features.highest_hz]
    bands = bands_of_hertz(features, hertz)
    width = 3.6 * number
    figure = Figure(figsize=(width, 3.8))
    figure.subplots_adjust(
        left=0.6 / width, right=1 - 0.1 / width, bottom=0.2, top=0.93, wspace=0.16, hspace=0.1
    )
    grid = figure.subplots(2, number, squeeze=False, sharex=True, height_ratios=(2, 1))
    for column in range(number):
        top, bottom = grid[0, column], grid[1, column]
        high = np.quantile(mels[column], 0.999)
        top.imshow(
            mels[column], origin="lower", aspect="auto", cmap="magma", vmin=high - 60, vmax=high,
            extent=(0, clip_seconds, 0, mels.shape[1]),
        )  # fmt: skip
        top.set(title=titles[column], ylabel="kHz" if column == 0 else None)
        top.set_yticks(np.add(bands, 0.5), [f"{one / 1000:g}" for one in hertz])
        loudest = np.argsort(-detections[column].max(axis=0))[:3]
        edges = np.linspace(0, clip_seconds, detections.shape[1] + 1)
        for index, style in zip(loudest, ("-", "--", ":"), strict=False):
            bottom.stairs(
                detections[column][:, index], edges, label=species[index], linestyle=style, baseline=None
            )
        bottom.set(ylim=(0, 1), xlabel="seconds", ylabel="probability" if column == 0 else None)
        bottom.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.4), ncols=3)
    figure.savefig(file, dpi=PICTURE_DPI)
    return file


def _lines(axes: Axes, history: Sequence[dict[str, Any]], names: dict[str, tuple[str, str]]) -> None:
    """Draw one line per logged name that occurs, with its label and colour, the last ones on top."""
    for name, (label, colour) in names.items():
        points = [(row["global_step"], row[name]) for row in history if row.get(name) is not None]
        if points:
            steps, values = zip(*points, strict=True)
            axes.plot(
                steps, values, color=colour, label=label, marker="o" if len(points) <= FEW_POINTS else None
            )
