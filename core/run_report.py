"""What a finished run leaves behind: predictions, metrics with intervals, pictures, and the printed table."""

from pathlib import Path
from typing import Any

import pandas as pd

from core.config import Config
from core.evaluation import Evaluation, evaluate, format_table
from core.machine import code_version
from core.pictures import draw_curves, draw_species
from core.run_folder import RunFolder


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
        summary |= evaluation.as_dict()
        print("\n" + format_table(evaluation, f"{config.name}, fold {config.data.fold}", config.valid))
    folder.write_json("summary", summary)
    print(f"Run folder: {folder.path}", flush=True)
    return evaluation, pictures
