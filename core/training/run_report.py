"""What a finished run leaves behind: predictions, metrics with intervals, pictures, and the printed table."""

from pathlib import Path
from typing import Any

import pandas as pd

from core.config import Config
from core.machine import code_version
from core.run_folder import RunFolder
from core.scoring.evaluation import Evaluation, evaluate, format_table, unpack_predictions
from core.scoring.resampling import Resampler
from core.scoring.score_curves import reliability, score_by_threshold
from core.training.pictures import (
    DPI,
    draw_confusion,
    draw_curves,
    draw_reliability,
    draw_score_by_threshold,
    draw_species,
)

PICTURE_RESAMPLES = 500
"""Behind the bands of pictures: they stay within seconds on a competition's clips."""


def report_run(
    config: Config, folder: RunFolder, predictions: pd.DataFrame, facts: dict[str, Any]
) -> tuple[Evaluation | None, dict[str, Path]]:
    """Score a run, write its files and print its table.

    Parameters
    ----------
    config
        Of the run.
    folder
        Its folder; `summary.json` is written last and marks the run as finished.
    predictions
        Of the validated clips; empty where nothing was validated.
    facts
        Further entries of `summary.json`, such as minutes and parameters.

    Returns
    -------
    Evaluation or None
        None where nothing was validated.
    dict
        Name -> file of each picture.
    """
    folder.write_table("predictions", predictions)
    pictures = {"learning_curves": draw_curves(folder.history(), folder.path / "learning_curves.png")}
    summary: dict[str, Any] = {
        "experiment": config.name,
        "run": folder.run_id,
        "fold": config.data.fold,
        "seed": config.seed,
        "schedule": config.schedule,
        "code_version": code_version(),
        **facts,
    }
    evaluation = None
    if len(predictions):
        evaluation = evaluate(predictions, config.valid)
        folder.write_csv("species", evaluation.per_species)
        pictures["species"] = draw_species(evaluation.per_species, folder.path / "species.png")
        pictures |= draw_decisions(config, folder, predictions, evaluation.threshold)
        summary |= evaluation.as_dict()
        print("\n" + format_table(evaluation, f"{config.name}, fold {config.data.fold}", config.valid))
    folder.write_json("summary", summary)
    print(f"Run folder: {folder.path}", flush=True)
    return evaluation, pictures


def draw_decisions(
    config: Config, folder: RunFolder, predictions: pd.DataFrame, threshold: float
) -> dict[str, Path]:
    """Draw score by threshold, reliability and confusion; return name -> file.

    Parameters
    ----------
    config
        Of the run.
    folder
        Where the pictures go.
    predictions
        Of the validated clips, at least one.
    threshold
        What the run decides with.
    """
    scored, truth, probability = unpack_predictions(predictions)
    resampler = Resampler(predictions["recording"], predictions["species"], PICTURE_RESAMPLES)
    confidence = config.valid.confidence
    title = f"{config.name}, fold {config.data.fold}"
    figures = {
        "score_by_threshold": draw_score_by_threshold(
            score_by_threshold(truth, probability, resampler, confidence), decided=threshold, title=title
        ),
        "reliability": draw_reliability(
            {"as trained": reliability(truth, probability, resampler, confidence=confidence)},
            title=f"Reliability of {title}",
        ),
    }
    files = {name: folder.path / f"{name}.png" for name in figures}
    for name, figure in figures.items():
        figure.savefig(files[name], dpi=DPI)
    files["confusion"] = draw_confusion(truth, probability, scored, folder.path / "confusion.png")
    return files
