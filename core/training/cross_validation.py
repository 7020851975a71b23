"""Every fold in turn as one group of runs, and the pooled result of the group.

The folder `<stamp>-all` holds the out-of-fold predictions of all folds and their metrics: each recording is
predicted by the one network that did not train on it.
"""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from core.config import Config
from core.machine import code_version
from core.run_folder import RunFolder, open_run_folder
from core.scoring.evaluation import evaluate, format_table


def fold_configs(config: Config) -> list[Config]:
    """Return one configuration per fold to train."""
    folds = list(range(config.data.num_folds)) if config.data.fold == "all" else [config.data.fold]
    return [replace(config, data=replace(config.data, fold=fold)) for fold in folds]


def report_group(config: Config, folders: Sequence[RunFolder], stamp: str) -> None:
    """Pool the predictions of finished folds, score them and print the table."""
    predictions = pd.concat(
        [pd.read_parquet(folder.path / "predictions.parquet") for folder in folders], ignore_index=True
    )
    if predictions.empty:
        print("No recording was validated (data.fold=None).", flush=True)
        return
    evaluation = evaluate(predictions, config.valid)
    runs = [folder.run_id for folder in folders]
    title = f"{config.name}, {len(runs)} folds pooled" if len(runs) > 1 else f"{config.name}, {runs[0]}"
    if config.data.fold == "all":
        group = open_run_folder(config, stamp, create=True)
        group.write_table("predictions", predictions)
        group.write_csv("species", evaluation.per_species)
        summary = {"experiment": config.name, "runs": runs, "code_version": code_version()}
        group.write_json("summary", summary | evaluation.as_dict())
        title += f" -> {group.path}"
    print("\n" + format_table(evaluation, title, config.valid), flush=True)
