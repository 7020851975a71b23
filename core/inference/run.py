"""The main command: predict every soundscape, decide, write."""

import dataclasses
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from tqdm import tqdm

from core.config import require
from core.data.audio import duration_seconds
from core.data.audio_files import as_text, search_audio
from core.data.recorders import Origin, compile_pattern, describe_origin
from core.data.soundscapes import Soundscapes, search_soundscapes
from core.files import write_table
from core.inference.config import Backend, InferenceConfig
from core.inference.engines.backends import with_backend
from core.inference.engines.export import open_export
from core.inference.ensemble import Ensemble, load_ensemble
from core.inference.journal import FileResult, Journal
from core.inference.post_processing import decide_soundscapes, open_post_processing
from core.inference.predictor import Predictor
from core.inference.submission import (
    FORMS,
    Wanted,
    find_wanted,
    host_tables,
    ledger_of,
    write_submission,
)
from core.inference.tables import Decisions, write_detections, write_probabilities, write_recordings
from core.machine import tune_cpu

JOURNAL_POLL_SECONDS = 0.5
HOSTS_FOLDER = "test_soundscapes"
BAR = "{percentage:3.0f}%|{bar}| {n:.2f}/{total:.2f} h [{elapsed}<{remaining}, {postfix}]"


def predict(config: InferenceConfig) -> Path:
    """Run the main command; return the submission's path.

    Raises
    ------
    ValueError
        If checkpoints, soundscapes, rows or settings do not fit; the message says which and what to do.
    """
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    device = choose_device(config.device)
    if device.type == "cpu":
        tune_cpu(world)
    soundscapes = search(config)
    files = soundscapes.files
    origins = describe_all(files, config.pattern)
    ensemble, backend = open_ensemble(config, device)
    wanted = choose_wanted(config, files, ensemble)
    post = open_post_processing(config, ensemble)
    nocall = None
    if config.nocall is not None:
        nocall = load_ensemble([config.nocall], which=config.which, species=["bird"])
        nocall = with_backend(nocall, "torch", device, 1)
    by_segment = config.detections_by == "segment"
    predictor = Predictor(ensemble, config.windows, device, nocall, segments=by_segment, strict=config.strict)
    plan = plan_of(config, ensemble, nocall, backend)
    journal = Journal(Path(f"{config.out}.journal"), plan, files, rank)
    done = journal.done()
    mine = {name: path for name, path in list(files.items())[rank::world] if name not in done}
    if rank == 0:
        print_plan(ensemble, backend, files, len(done & set(files)), wanted)
    predict_files(predictor, mine, journal, quiet=rank != 0)
    if rank != 0:
        return Path(config.out)
    results = wait_for_all(journal, files)
    decided = decide_soundscapes(results, files, config, post, ensemble)
    decisions = {name: dataclasses.replace(one, origin=origins[name]) for name, one in decided.items()}
    rows = write_tables(config, wanted, decisions, results, ensemble)
    write_ledger(config, rows, results, soundscapes, origins)
    journal.remove()
    return Path(config.out)


def describe_all(files: Mapping[str, Path], pattern: str | None) -> dict[str, Origin]:
    """Return where and when each soundscape was recorded.

    Raises
    ------
    ValueError
        If a pattern is given and fits none.
    """
    compiled = compile_pattern(pattern) if pattern is not None else None
    if compiled is not None:
        unfit = [name for name in files if compiled.search(name) is None]
        require(
            not files or len(unfit) < len(files),
            f"pattern={pattern}: fits no soundscape, such as {next(iter(files), '')}",
        )
        if unfit:
            print(f"pattern: {len(unfit)} of {len(files)} soundscapes do not fit it, such as {unfit[0]}")
    return {name: describe_origin(path, name, compiled) for name, path in files.items()}


def choose_device(name: str | None) -> torch.device:
    """Return the named device, or this process's GPU where there is one."""
    if name is not None:
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    return torch.device("cpu")


def open_ensemble(config: InferenceConfig, device: torch.device) -> tuple[Ensemble, Backend]:
    """Return the ensemble with its networks in an engine, and that engine's name.

    Raises
    ------
    ValueError
        If checkpoints or export cannot be used, or were made for another context.
    """
    folder: Path | None = None
    default: Backend = "torch"
    species: Literal["all"] | None = "all" if config.species == "all" else None
    if config.exported is None:
        ensemble = load_ensemble(
            config.checkpoints,
            weights=config.weights,
            which=config.which,
            combine=config.combine,
            species=species,
        )
    else:
        folder = Path(config.exported)
        ensemble, manifest = open_export(folder, config.combine, species)
        if config.windows.context != manifest["context"]:
            message = (
                f"windows.context={config.windows.context}, but {folder} was made for {manifest['context']}: "
                f"use --windows.context={manifest['context']}, or export again with --context"
            )
            raise ValueError(message)
        if device.type == "cpu":
            default = manifest["backend"]
    chosen = default if config.backend == "auto" else config.backend
    return with_backend(ensemble, chosen, device, config.windows.context, folder), chosen


def search(config: InferenceConfig) -> Soundscapes:
    """Return the soundscapes: none where the host's folder is empty or missing, but its tables are there."""
    folder = Path(config.soundscapes[0])
    tables = [config.test] if config.test is not None else host_tables(config.soundscapes)
    is_empty = not search_audio(folder).files if folder.is_dir() else folder.name == HOSTS_FOLDER
    if len(config.soundscapes) == 1 and tables and not folder.is_file() and is_empty:
        return Soundscapes({}, ())
    return search_soundscapes(config.soundscapes)


def choose_wanted(config: InferenceConfig, files: Mapping[str, Path], ensemble: Ensemble) -> Wanted:
    """Return what the submission must hold.

    Raises
    ------
    ValueError
        If the host's table asks for a species that the ensemble does not predict, or nothing names a row.
    """
    form, is_named = config.form or ensemble.layout.submission, config.test is not None
    tables = [Path(config.test)] if config.test is not None else host_tables(config.soundscapes)
    scored = [code for code, is_scored in zip(ensemble.species, ensemble.scored, strict=True) if is_scored]
    wanted = find_wanted(form, tables, files, scored, is_named=is_named)
    require(
        bool(files) or wanted.rows is not None,
        f"soundscapes: no audio in {config.soundscapes[0]}, nor rows of the form {form} in a table beside it",
    )
    unknown = sorted(set(wanted.codes) - set(ensemble.species))
    if unknown:
        trained = set(unknown) <= set(ensemble.members[0].card.species)
        remedy = "are no scored species: add --species=all" if trained else "no checkpoint was trained on"
        message = f"{wanted.source or tables[-1]}: asks for {', '.join(unknown[:5])}, which {remedy}"
        raise ValueError(message)
    return wanted


def plan_of(
    config: InferenceConfig, ensemble: Ensemble, nocall: Ensemble | None, backend: Backend
) -> dict[str, Any]:
    """Return what a journal's results depend on: weights, windows, engine; not what is decided after."""
    members = [*ensemble.members, *(nocall.members if nocall else [])]
    cards = [(m.folder / "checkpoint.json").read_text() for m in members]
    return {
        "files": [json.loads(card)["files"] for card in cards],
        "formats": [member.window_format for member in members],
        "weights": [member.weight for member in members],
        "combine": ensemble.combine,
        "species": ensemble.species,
        "windows": dataclasses.asdict(config.windows) | {"smoothing": None, "batch": None},
        "backend": backend,
        "detections_by": config.detections_by,
        "strict": config.strict,
    }


def print_plan(
    ensemble: Ensemble, backend: Backend, files: Mapping[str, Path], num_done: int, wanted: Wanted
) -> None:
    """Print what is about to be done."""
    fronts = len(ensemble.groups)
    print(
        f"{len(ensemble.members)} models in {backend}, {fronts} front end{'s' if fronts > 1 else ''}, "
        f"{len(ensemble.species)} species; {len(files)} soundscapes"
        + (f", {num_done} of them done before" if num_done else "")
        + f"; {wanted.form}, rows of {wanted.source or 'every window'}",
        flush=True,
    )
    if not files:
        print(f"No audio yet (the host fills {HOSTS_FOLDER} later): each row is {FORMS[wanted.form].absent}")


def predict_files(
    predictor: Predictor, files: Mapping[str, Path], journal: Journal, *, quiet: bool = False
) -> None:
    """Predict files into the journal.

    Parameters
    ----------
    predictor
        The models.
    files
        Soundscape -> its file.
    journal
        Gets the results.
    quiet
        Without the bar that counts hours of audio, and without a forecast.
    """
    if not files:
        return
    hours = {name: duration_seconds(path) / 3600 for name, path in files.items()}
    total, predicted, started = sum(hours.values()), 0.0, time.monotonic()
    before = started
    layout = predictor.ensemble.layout
    budget = "" if layout.year is None else f" of the {layout.budget_minutes:g} min of {layout.name}"
    bar = tqdm(total=round(total, 4), unit="h", disable=quiet, bar_format=BAR)
    results = predictor.predict_files(list(files.values()))
    for position, (name, result) in enumerate(zip(files, results, strict=True)):
        now = time.monotonic()
        journal.add(name, dataclasses.replace(result, took_seconds=now - before))
        predicted += hours[name]
        bar.update(hours[name])
        seconds, before = now - started, now
        bar.set_postfix_str(f"{60 * predicted / seconds:.2f} h of audio/min")
        if position == 0 and not quiet and predicted > 0:
            forecast = format_duration(seconds * total / predicted)
            bar.write(f"Forecast: {len(files)} files, {total:.2f} h: {forecast}{budget}")
    journal.flush()
    bar.close()


def format_duration(seconds: float) -> str:
    """Return such as "41 min", "2.5 h" or "12 s"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def wait_for_all(journal: Journal, files: Mapping[str, Path]) -> dict[str, FileResult]:
    """Return the results of every file, once the other processes have written theirs."""
    while not journal.done() >= set(files):
        time.sleep(JOURNAL_POLL_SECONDS)
    results = journal.results()
    return {name: results[name] for name in files}


def write_tables(
    config: InferenceConfig,
    wanted: Wanted,
    decisions: Mapping[str, Decisions],
    results: Mapping[str, FileResult],
    ensemble: Ensemble,
) -> pd.DataFrame:
    """Write the wanted tables; return the rows of the submission.

    Parameters
    ----------
    config
        Which tables, and where.
    wanted
        What the submission must hold.
    decisions
        Usable soundscape -> what was decided.
    results
        Every soundscape -> what was predicted of it.
    ensemble
        Its species.

    Raises
    ------
    ValueError
        If no soundscape can be used and no table asks for rows all the same.
    """
    out, species = Path(config.out), ensemble.species
    if wanted.rows is None and not decisions:
        message = f"none of the {len(results)} soundscapes can be used: {first_reason(results)}"
        raise ValueError(message)
    rows, num_absent = write_submission(out, wanted, decisions, species)
    if config.probabilities is not None and decisions:
        write_probabilities(Path(config.probabilities), decisions, species)
    if config.by_recording is not None and decisions:
        write_recordings(Path(config.by_recording), decisions, ensemble.taxonomy)
    if config.detections is not None:
        write_detections(Path(config.detections), decisions, ensemble.taxonomy, config.detections_format)
    print(f"{out}: {len(rows)} rows, {len(decisions)} soundscapes", flush=True)
    if num_absent:
        absent = FORMS[wanted.form].absent
        print(f"{num_absent} rows are {absent} because their soundscape is missing or unusable")
    return rows


def write_ledger(
    config: InferenceConfig,
    rows: pd.DataFrame,
    results: Mapping[str, FileResult],
    soundscapes: Soundscapes,
    origins: Mapping[str, Origin],
) -> None:
    """Write what became of each file; print how many could not be used, or not all of them.

    Parameters
    ----------
    config
        Names the submission; the ledger lies beside it.
    rows
        Of the submission: their soundscapes should be there.
    results, origins
        Soundscape -> what was predicted of it, and where and when it was recorded.
    soundscapes
        What was found.
    """
    ledger = []
    for name, result in results.items():
        status = result.reason or (f"damaged: {result.damage}" if result.damage else "ok")
        ledger.append(
            (name, as_text(soundscapes.files[name]), *origins[name], status,
             result.probability.shape[1], result.seconds, round(result.took_seconds, 3), result.notes)
        )  # fmt: skip
    absent = sorted(set(rows["file_id"]) - set(results))
    ledger += [(name, "", "", "", "missing file", 0, 0.0, 0.0, "") for name in absent]
    ledger += [("", path, "", "", reason, 0, 0.0, 0.0, "") for path, reason in soundscapes.left_out]
    columns = [
        "file_id",
        "path",
        "site",
        "start_time",
        "status",
        "windows",
        "seconds",
        "took_seconds",
        "notes",
    ]
    out = Path(config.out)
    file = ledger_of(out)
    write_table(pd.DataFrame(ledger, columns=columns), file)
    num_bad = len(absent) + sum(result.probability.shape[1] == 0 for result in results.values())
    num_damaged = sum(bool(result.damage) for result in results.values() if not result.reason)
    told = [
        f"{num_bad} soundscapes missing or unusable" if num_bad else "",
        f"{num_damaged} damaged and predicted as far as they can be decoded" if num_damaged else "",
        f"{len(soundscapes.left_out)} lines about other files" if soundscapes.left_out else "",
    ]
    if any(told):
        print(f"{', '.join(filter(None, told))}: listed in {file.name}")


def first_reason(results: Mapping[str, FileResult]) -> str:
    """Return the first file that cannot be used, and why."""
    return next((f"{name}: {result.reason}" for name, result in results.items() if result.reason), "no audio")
