"""What a run prints at its start and leaves at its end: predictions, metrics, pictures, the table.

`report_run` closes one run; `report_group` pools the folds of `data.fold=all` in the folder `<stamp>-all`:
each recording is predicted by the one network that did not train on it. What a run logs while it trains is
written by `core.training.tracking`, into the files of `core.run_folder`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from core.config import Config
from core.data.clips import TrainBatches
from core.data.loaders import RunData
from core.data.ratings import describe_ratings
from core.data.taxonomy import Taxonomy, read_taxonomy
from core.data.window_items import WindowItems
from core.files import write_table
from core.machine import code_version
from core.run_folder import RunFolder, open_run_folder
from core.scoring.confusion import confusion_of
from core.scoring.evaluation import Evaluation, differences_from, evaluate, format_table
from core.scoring.pictures import (
    draw_confusion_matrix,
    draw_reliability,
    draw_score_by_threshold,
    draw_species_intervals,
)
from core.scoring.predictions import FILES, Predictions, pool_predictions
from core.scoring.reliability import reliability
from core.scoring.score_curves import score_curve
from core.training.pictures import PICTURE_DPI, draw_curves
from core.training.state import Progress
from core.training.validation import Validated

FEW_RECORDINGS = 3000


def format_start(config: Config, data: RunData, model: nn.Module, batches: TrainBatches, machine: str) -> str:
    """Return the lines that say what is about to be trained.

    Parameters
    ----------
    config
        Of the run, of one fold.
    data, model
        What it trains and validates on, and what.
    batches
        Of the training loader.
    machine
        Processes and device, such as "1 x cuda".
    """
    competition = data.competition
    unknown = competition.unknown_secondary
    secondary = f"; {sum(unknown.values())} secondary labels of {len(unknown)} unknown species"
    return (
        f"{config.name}, fold {config.data.fold}: {len(data.train)} recordings train, "
        f"{len(data.valid)} validate, {len(competition.species)} species, {len(competition.scored)} scored"
        f"{secondary if unknown else ''}\n{describe_ratings(competition, config.data)}\n"
        + "".join(f"Noted: {note}\n" for note in competition.notes)
        + _describe_soundscapes(data.soundscapes)
        + f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, "
        f"{batches.num_steps} steps of {batches.size} clips x {config.epochs} epochs, "
        f"{machine}, precision {config.precision}"
    )


def _describe_soundscapes(items: WindowItems) -> str:
    """Return the line about labelled soundscapes, empty where there are none."""
    if len(items.windows) == 0:
        return ""
    files = [len(items.windows.rows(chosen).paths) for chosen in (items.train, items.valid)]
    return (
        f"Labelled soundscapes: {len(items.train):,} windows of {files[0]} files train, "
        f"{len(items.valid):,} of {files[1]} validate\n"
    )


def format_advice(config: Config, num_recordings: int) -> str:
    """Return the line that names the experiment for few recordings, empty where it does not help."""
    if config.for_few is None or config.schedule == "demo" or num_recordings > FEW_RECORDINGS:
        return ""
    return (
        f"Only {num_recordings:,} recordings train: experiments/{config.for_few} learns more from so few.\n"
    )


def run_facts(config: Config, data: RunData, model: nn.Module, progress: Progress) -> dict[str, Any]:
    """Return what `summary.json` tells of a run beside its metrics.

    Parameters
    ----------
    config, data, model
        Of the run.
    progress
        At its end.
    """
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "minutes": progress.seconds / 60,
        "epochs": config.epochs,
        "global_step": progress.global_step,
        "metric": config.valid.main_metric,
        f"best_epoch_{config.valid.main_metric}": progress.best,
        "train_recordings": len(data.train),
        "train_windows": len(data.soundscapes.train),
        "bad_files": len(data.bad),
    }


def report_run(
    config: Config, folder: RunFolder, validated: Validated, taxonomy: Taxonomy, facts: dict[str, Any]
) -> tuple[Evaluation | None, dict[str, Path]]:
    """Score a run, write its files and print its table.

    Parameters
    ----------
    config
        Of the run.
    folder
        Its folder; `summary.json` is written last and marks the run as finished.
    validated
        Predictions of clips and windows; empty where nothing was validated.
    taxonomy
        Names of species.
    facts
        Further entries of `summary.json`, those of `run_facts` among them.

    Returns
    -------
    Evaluation or None
        None where nothing was validated.
    dict
        Name -> file of each picture.
    """
    predictions, title = validated.recordings, f"{config.name}, fold {config.data.fold}"
    write_table(predictions.to_table(), folder.path / FILES["recordings"])
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
        write_table(_with_names(evaluation.per_species, taxonomy), folder.path / "species.csv")
        pictures |= draw_scores(config, folder, predictions, evaluation)
        summary |= evaluation.as_dict()
        print("\n" + format_table(evaluation, title, config.valid))
    summary |= _report_soundscapes(config, folder.path, validated.soundscapes, evaluation, title)
    folder.write_json("summary", summary)
    print(f"Run folder: {folder.path}", flush=True)
    return evaluation, pictures


def report_group(config: Config, folders: Sequence[RunFolder], stamp: str) -> None:
    """Pool the predictions of finished folds, score them and print the table.

    Parameters
    ----------
    config
        As it was given; with `data.fold=all` the pooled result gets a folder of its own.
    folders
        Of the runs, one a fold.
    stamp
        What the runs of the group share.
    """
    predictions, soundscapes = (_pooled(config, folders, file) for file in FILES.values())
    if predictions is None or len(predictions) == 0:
        print("No recording was validated (data.fold=None).", flush=True)
        return
    evaluation = evaluate(predictions, config.valid)
    runs = [folder.run_id for folder in folders]
    title = f"{config.name}, {len(runs)} folds pooled" if len(runs) > 1 else f"{config.name}, {runs[0]}"
    group = open_run_folder(config, stamp, create=True) if config.data.fold == "all" else None
    print("\n" + format_table(evaluation, f"{title} -> {group.path}" if group else title, config.valid))
    path = group.path if group else None
    heard = _report_soundscapes(config, path, soundscapes, evaluation, title)
    if group is not None:
        write_table(predictions.to_table(), group.path / FILES["recordings"])
        tables = [folder.path / "species.csv" for folder in folders]
        names = (read_taxonomy(file) for file in tables if file.is_file())
        taxonomy = Taxonomy().with_codes(predictions.species, *names)
        write_table(_with_names(evaluation.per_species, taxonomy), group.path / "species.csv")
        summary = {"experiment": config.name, "runs": runs, "code_version": code_version()}
        group.write_json("summary", summary | evaluation.as_dict() | heard)


def _pooled(config: Config, folders: Sequence[RunFolder], name: str) -> Predictions | None:
    """Return what the runs of a group predicted, of their files of one name; None where none has one."""
    files = {folder.run_id: folder.path / name for folder in folders}
    parts = [Predictions.read(file, run) for run, file in files.items() if file.is_file()]
    return pool_predictions(parts, config.name) if parts else None


def _report_soundscapes(
    config: Config,
    folder: Path | None,
    predictions: Predictions | None,
    recordings: Evaluation | None,
    title: str,
) -> dict[str, Any]:
    """Score windows of soundscapes, print their table, and return the entry of `summary.json`.

    Parameters
    ----------
    config
        Of the run.
    folder
        Where the predictions go; None: nowhere.
    predictions
        Of the windows; nothing is done without any.
    recordings
        The scores that these are compared with.
    title
        What predicted.
    """
    if not predictions:
        return {}
    if folder is not None:
        write_table(predictions.to_table(), folder / FILES["soundscapes"])
    evaluation = evaluate(predictions, config.valid, seed=1)
    differences = differences_from(evaluation, recordings, config.valid.confidence)
    files, sites = len(set(predictions.recording)), len(set(predictions.site) - {""})
    title += f": labelled soundscapes, {files} files of {sites} sites"
    print("\n" + format_table(evaluation, title, config.valid, differences), flush=True)
    entry = evaluation.as_dict() | {"files": files, "sites": sites}
    entry["minus_recordings"] = {name: one.as_dict() for name, one in differences.items()}
    return {"soundscapes": entry}


def _with_names(per_species: pd.DataFrame, taxonomy: Taxonomy) -> pd.DataFrame:
    """Return the table of species with their names, after their codes."""
    table = per_species.copy()
    for place, (field, column) in enumerate(((0, "scientific_name"), (1, "common_name")), start=1):
        table.insert(place, column, [taxonomy.names(code)[field] for code in table["species"]])
    return table


def draw_scores(
    config: Config, folder: RunFolder, predictions: Predictions, evaluation: Evaluation
) -> dict[str, Path]:
    """Draw species, score by threshold, reliability and confusion; return name -> file.

    Parameters
    ----------
    config
        Of the run.
    folder
        Where the pictures go.
    predictions
        Of the validated clips, at least one.
    evaluation
        Of them.
    """
    truth, probability, valid = predictions.truth, predictions.probability, config.valid
    resampler = predictions.resampler(num_resamples=config.valid.num_resamples)
    curve = score_curve("threshold", truth, probability, resampler, valid.confidence)
    found = reliability(truth, probability, resampler, confidence=valid.confidence)
    title = f"{config.name}, fold {config.data.fold}"
    figures = {
        "species": draw_species_intervals(evaluation.per_species),
        "score_by_threshold": draw_score_by_threshold(curve, decided=evaluation.threshold, title=title),
        "reliability": draw_reliability({"as trained": found}, title=f"Reliability of {title}"),
        "confusion": draw_confusion_matrix(confusion_of(predictions, valid.threshold_quantile)),
    }
    files = {name: folder.path / f"{name}.png" for name in figures}
    for name, figure in figures.items():
        figure.savefig(files[name], dpi=PICTURE_DPI)
    return files
