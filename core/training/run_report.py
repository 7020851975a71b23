"""What a run prints at its start and leaves at its end: predictions, metrics, pictures, the table.

`report_run` closes one run; `report_group` pools the folds of `data.fold=all` in the folder `<stamp>-all`:
each recording is predicted by the one network that did not train on it. What a run logs while it trains is
written by `core.training.tracking`, into the files of `core.run_folder`.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from matplotlib.figure import Figure
from torch import nn

from core.config import Config
from core.data.clips import TrainBatches
from core.data.loaders import RunData
from core.data.ratings import describe_ratings
from core.data.taxonomy import Taxonomy, read_taxonomy
from core.data.window_items import WindowItems
from core.files import write_table
from core.machine import code_version
from core.run_folder import UNFINISHED, RunFolder, open_run_folder
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
from core.wording import counted

FEW_RECORDINGS = 3000
_T = TypeVar("_T")


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
        f"Labelled soundscapes: {len(items.train):,} windows of {counted(files[0], 'files')} train, "
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
    config: Config,
    folder: RunFolder,
    validated: Validated,
    taxonomy: Taxonomy,
    facts: dict[str, Any],
    pictures: Mapping[str, Callable[[Path], object]],
) -> tuple[Evaluation | None, dict[str, Path]]:
    """Write predictions and `summary.json`, print the table, draw; what fails keeps nothing else away.

    Parameters
    ----------
    config
        Of the run.
    folder
        Its folder.
    validated
        Predictions of clips and windows; empty where nothing was validated.
    taxonomy
        Names of species.
    facts
        Further entries of `summary.json`, those of `run_facts` among them.
    pictures
        Name -> what draws it into a file, beside those of the scores.

    Returns
    -------
    Evaluation or None
        None where nothing was validated.
    dict
        Name -> file of each picture.
    """
    predictions, soundscapes = validated.recordings, validated.soundscapes
    title = f"{config.name}, fold {config.data.fold}"
    write_table(predictions.to_table(), folder.path / FILES["recordings"])
    if len(soundscapes):
        write_table(soundscapes.to_table(), folder.path / FILES["soundscapes"])
    evaluation = _attempt("scores", lambda: evaluate(predictions, config.valid) if len(predictions) else None)
    heard = _attempt("scores of soundscapes", lambda: _evaluate_soundscapes(soundscapes, config))
    summary: dict[str, Any] = {
        "experiment": config.name,
        "run": folder.run_id,
        "fold": config.data.fold,
        "seed": config.seed,
        "schedule": config.schedule,
        "code_version": code_version(),
        **facts,
        **(evaluation.as_dict() if evaluation else {}),
        **_soundscape_entry(config, soundscapes, heard, evaluation),
        UNFINISHED: True,
    }
    folder.write_json("summary", summary)
    drawn = {"learning_curves": lambda file: draw_curves(folder.history(), file), **pictures}
    if evaluation is not None:
        _attempt("species.csv", lambda: _write_species(evaluation, taxonomy, folder))
        print("\n" + format_table(evaluation, title, config.valid))
        drawn |= score_pictures(config, predictions, evaluation, taxonomy)
    _print_soundscapes(config, soundscapes, heard, evaluation, title)
    print(f"Run folder: {folder.path}", flush=True)
    return evaluation, _draw(drawn, folder.path)


def _draw(pictures: Mapping[str, Callable[[Path], object]], folder: Path) -> dict[str, Path]:
    """Draw pictures into a folder; return name -> file of those that could be drawn."""
    files = {name: folder / f"{name}.png" for name in pictures}
    for name, draw in pictures.items():
        _attempt(files[name].name, lambda draw=draw, name=name: draw(files[name]))  # type: ignore[misc]
    return {name: file for name, file in files.items() if file.is_file()}


def _attempt(what: str, action: Callable[[], _T]) -> _T | None:
    """Return what `action` returns; where it fails, say so in a line and return None."""
    try:
        return action()
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"warning: {what} could not be made ({reason}); the run is kept without", file=sys.stderr)
        return None


def report_group(config: Config, folders: Sequence[RunFolder], stamp: str) -> Evaluation | None:
    """Pool the predictions of finished folds, score them and print the table; None where none validated.

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
        return None
    evaluation = evaluate(predictions, config.valid)
    heard = _evaluate_soundscapes(soundscapes, config)
    runs = [folder.run_id for folder in folders]
    title = f"{config.name}, {len(runs)} folds pooled" if len(runs) > 1 else f"{config.name}, {runs[0]}"
    where = ""
    if config.data.fold == "all":
        group = open_run_folder(config, stamp, create=True)
        where = f" -> {group.path}"
        write_table(predictions.to_table(), group.path / FILES["recordings"])
        if soundscapes:
            write_table(soundscapes.to_table(), group.path / FILES["soundscapes"])
        tables = [folder.path / "species.csv" for folder in folders]
        names = (read_taxonomy(file) for file in tables if file.is_file())
        _write_species(evaluation, Taxonomy().with_codes(predictions.species, *names), group)
        summary = {"experiment": config.name, "runs": runs, "code_version": code_version()}
        entry = _soundscape_entry(config, soundscapes, heard, evaluation)
        group.write_json("summary", summary | evaluation.as_dict() | entry)
    print("\n" + format_table(evaluation, f"{title}{where}", config.valid))
    _print_soundscapes(config, soundscapes, heard, evaluation, title)
    return evaluation


def _pooled(config: Config, folders: Sequence[RunFolder], name: str) -> Predictions | None:
    """Return what the runs of a group predicted, of their files of one name; None where none has one."""
    files = {folder.run_id: folder.path / name for folder in folders}
    parts = [Predictions.read(file, run) for run, file in files.items() if file.is_file()]
    return pool_predictions(parts, config.name) if parts else None


def _evaluate_soundscapes(predictions: Predictions | None, config: Config) -> Evaluation | None:
    """Return the scores of windows, drawn by another seed than those of recordings; None of none."""
    return evaluate(predictions, config.valid, seed=1) if predictions else None


def _soundscape_entry(
    config: Config, predictions: Predictions | None, heard: Evaluation | None, recordings: Evaluation | None
) -> dict[str, Any]:
    """Return the entry of `summary.json` about windows of soundscapes, empty where none were scored.

    Parameters
    ----------
    config
        Of the run.
    predictions, heard
        Of the windows, and their scores.
    recordings
        The scores that these are compared with.
    """
    if not predictions or heard is None:
        return {}
    differences = differences_from(heard, recordings, config.valid.confidence)
    entry = heard.as_dict() | _places(predictions)
    entry["minus_recordings"] = {name: one.as_dict() for name, one in differences.items()}
    return {"soundscapes": entry}


def _places(predictions: Predictions) -> dict[str, int]:
    return {"files": len(set(predictions.recording)), "sites": len(set(predictions.site) - {""})}


def _print_soundscapes(
    config: Config,
    predictions: Predictions | None,
    heard: Evaluation | None,
    recordings: Evaluation | None,
    title: str,
) -> None:
    """Print the table of windows of soundscapes, if any were scored; see `_soundscape_entry`."""
    if not predictions or heard is None:
        return
    places = _places(predictions)
    title += f": labelled soundscapes, {places['files']} files of {places['sites']} sites"
    differences = differences_from(heard, recordings, config.valid.confidence)
    print("\n" + format_table(heard, title, config.valid, differences), flush=True)


def _write_species(evaluation: Evaluation, taxonomy: Taxonomy, folder: RunFolder) -> None:
    """Write the table of species with their names, after their codes."""
    table = evaluation.per_species.copy()
    for place, (field, column) in enumerate(((0, "scientific_name"), (1, "common_name")), start=1):
        table.insert(place, column, [taxonomy.names(code)[field] for code in table["species"]])
    write_table(table, folder.path / "species.csv")


def score_pictures(
    config: Config, predictions: Predictions, evaluation: Evaluation, taxonomy: Taxonomy
) -> dict[str, Callable[[Path], object]]:
    """Return what draws species, score by threshold, reliability and confusion, by name.

    Parameters
    ----------
    config
        Of the run.
    predictions
        Of the validated clips, at least one.
    evaluation
        Of them.
    taxonomy
        Names of species.
    """
    truth, probability, valid = predictions.truth, predictions.probability, config.valid
    resampler = predictions.resampler(num_resamples=config.valid.num_resamples)
    title = f"{config.name}, fold {config.data.fold}"

    def draw_curve() -> Figure:
        curve = score_curve("threshold", truth, probability, resampler, valid.confidence)
        return draw_score_by_threshold(curve, decided=evaluation.threshold, title=title)

    def draw_calibration() -> Figure:
        found = reliability(truth, probability, resampler, confidence=valid.confidence)
        return draw_reliability({"as trained": found}, title=f"Reliability of {title}")

    figures: dict[str, Callable[[], Figure]] = {
        "species": lambda: draw_species_intervals(evaluation.per_species, taxonomy),
        "score_by_threshold": draw_curve,
        "reliability": draw_calibration,
        "confusion": lambda: draw_confusion_matrix(
            confusion_of(predictions, valid.threshold_quantile), taxonomy
        ),
    }
    return {
        name: lambda file, draw=draw: draw().savefig(file, dpi=PICTURE_DPI)  # type: ignore[misc]
        for name, draw in figures.items()
    }
