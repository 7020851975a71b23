"""The main command: predict every soundscape, decide, write."""

import dataclasses
import json
import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm import tqdm

from core.config import require
from core.data.audio import duration_seconds
from core.data.audio_files import as_text, search_audio
from core.data.layouts import Layout
from core.data.recorders import Origin, compile_pattern, tell_origin
from core.data.remote import AudioSource, RemoteFile, is_remote
from core.data.soundscapes import Soundscapes, search_soundscapes
from core.data.taxonomy import Taxonomy
from core.files import streaming_table, write_table
from core.inference.config import Backend, InferenceConfig
from core.inference.ensemble import Ensemble
from core.inference.journal import FileFacts, Journal
from core.inference.opening import Models, choose_backend, choose_device, load_models, open_predictor
from core.inference.post_processing import DecidedSoundscapes, decided_soundscapes, open_post_processing
from core.inference.predictor import Predictor
from core.inference.ray_pool import RayPool, started_pool
from core.inference.submission import (
    FORMS,
    Wanted,
    choose_form,
    find_wanted,
    host_tables,
    ledger_of,
    require_distinct_rows,
    write_wanted_rows,
    writing_submission,
)
from core.inference.tables import Decisions, Sink, probability_table, recording_table, writing_detections
from core.machine import is_launched, tune_cpu
from core.wording import counted

HOSTS_FOLDER = "test_soundscapes"
BAR = "{percentage:3.0f}%|{bar}| {n:.2f}/{total:.2f} h [{elapsed}<{remaining}, {postfix}]"


def predict(config: InferenceConfig) -> Path:
    """Run the main command; return the submission's path.

    Raises
    ------
    ValueError
        If checkpoints, soundscapes, rows or settings do not fit; the message says which and what to do.
    """
    refuse_launcher()
    soundscapes = search(config)
    files = soundscapes.files
    pattern = fitting_pattern(config.pattern, files)
    models = load_models(config)
    ensemble = models.ensemble
    wanted = choose_wanted(config, files, ensemble)
    post = open_post_processing(config, ensemble)
    with started_engine(config, models, files) as (engine, device):
        backend = choose_backend(config, models, device)
        journal = Journal(Path(f"{config.out}.journal"), plan_of(config, models, backend), files)
        done = journal.done()
        print_plan(ensemble, backend, files, len(done & set(files)), wanted)
        left = {name: path for name, path in files.items() if name not in done}
        predict_files(engine, left, journal, ensemble.layout)
    journal.done()
    origins = {
        name: tell_origin(Origin(one.site, one.start_time), name, pattern)
        for name, one in journal.facts.items()
    }
    with decided_soundscapes(journal, files, config, post, ensemble, origins) as decided:
        write_tables(config, wanted, decided, ensemble.taxonomy)
    write_ledger(config, wanted, journal.facts, soundscapes, origins)
    journal.remove()
    return Path(config.out)


def refuse_launcher() -> None:
    """Raise `ValueError` under a launcher, which may start several processes that each predict every file."""
    require(
        not is_launched() and int(os.environ.get("WORLD_SIZE", "1")) == 1,
        "inference takes no launcher: start it as python -m core.inference, and add --engine=ray for several "
        "GPUs or machines",
    )


@contextmanager
def started_engine(
    config: InferenceConfig, models: Models, files: Mapping[str, AudioSource]
) -> Iterator[tuple[Predictor | RayPool, torch.device]]:
    """Yield what predicts files, here or on a cluster, and the kind of device that it does so on."""
    if config.engine == "ray":
        with started_pool(config, models.ensemble, files.values()) as pool:
            yield pool, pool.device
        return
    device = choose_device(config.device)
    tune_cpu()
    yield open_predictor(config, models, device), device


def fitting_pattern(pattern: str | None, files: Collection[str]) -> re.Pattern[str] | None:
    """Return the pattern for names of soundscapes, and print how many do not fit it.

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
    return compiled


def search(config: InferenceConfig) -> Soundscapes:
    """Return the soundscapes: none where the host's folder is empty or missing, but its tables are there."""
    if is_remote(config.soundscapes[0]):
        return search_soundscapes(config.soundscapes)
    folder = Path(config.soundscapes[0])
    tables = [config.test] if config.test is not None else host_tables(config.soundscapes)
    is_empty = not search_audio(folder).files if folder.is_dir() else folder.name == HOSTS_FOLDER
    if len(config.soundscapes) == 1 and tables and not folder.is_file() and is_empty:
        return Soundscapes({}, ())
    return search_soundscapes(config.soundscapes)


def choose_wanted(config: InferenceConfig, files: Mapping[str, AudioSource], ensemble: Ensemble) -> Wanted:
    """Return what the submission must hold.

    Raises
    ------
    ValueError
        If the host's table asks for a species that the ensemble does not predict, or nothing names a row.
    """
    form, is_named = choose_form(config.form, config.test, ensemble.layout), config.test is not None
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


def plan_of(config: InferenceConfig, models: Models, backend: Backend) -> dict[str, Any]:
    """Return what a journal's results depend on: weights, windows, backend; not what is decided after."""
    ensemble, nocall = models.ensemble, models.nocall
    members = [*ensemble.members, *(nocall.members if nocall else [])]
    cards = [(m.folder / "checkpoint.json").read_text() for m in members]
    return {
        "files": [json.loads(card)["files"] for card in cards],
        "formats": [member.window_format for member in members],
        "weights": [member.weight for member in members],
        "combine": ensemble.combine,
        "species": ensemble.species,
        "windows": dataclasses.asdict(config.windows) | dict.fromkeys(("smoothing", "batch", "decoders")),
        "backend": backend,
        "detections_by": config.detections_by,
        "strict": config.strict,
    }


def print_plan(
    ensemble: Ensemble, backend: Backend, files: Mapping[str, AudioSource], num_done: int, wanted: Wanted
) -> None:
    """Print what is about to be done."""
    fronts = len(ensemble.groups)
    print(
        f"{counted(len(ensemble.members), 'models')} in {backend}, {counted(fronts, 'front ends')}, "
        f"{len(ensemble.species)} species; {counted(len(files), 'soundscapes')}"
        + (f", {num_done} of them done before" if num_done else "")
        + f"; {wanted.form}, rows of {wanted.source or 'every window'}",
        flush=True,
    )
    if not files:
        print(f"No audio yet (the host fills {HOSTS_FOLDER} later): each row is {FORMS[wanted.form].absent}")


def predict_files(
    engine: Predictor | RayPool, files: Mapping[str, AudioSource], journal: Journal, layout: Layout
) -> None:
    """Predict files into the journal, beside a bar that counts hours of audio, and forecast the end.

    Parameters
    ----------
    engine
        What predicts.
    files
        Soundscape -> its file.
    journal
        Gets the results.
    layout
        Of the year whose time limit is told.
    """
    if not files:
        return
    hours = {
        name: (path.seconds if isinstance(path, RemoteFile) else duration_seconds(path)) / 3600
        for name, path in files.items()
    }
    total, predicted, started = sum(hours.values()), 0.0, time.monotonic()
    before = started
    budget = "" if layout.year is None else f" of the {layout.budget_minutes:g} min of {layout.name}"
    names = list(files)
    with tqdm(total=round(total + 1e-4, 4), unit="h", bar_format=BAR) as bar, flushing(journal):
        for number, (position, result) in enumerate(engine.predict_files(list(files.values()))):
            name, now = names[position], time.monotonic()
            facts = dataclasses.replace(result.facts, took_seconds=now - before)
            journal.add(name, dataclasses.replace(result, facts=facts))
            predicted += hours[name]
            bar.update(hours[name])
            seconds, before = now - started, now
            bar.set_postfix_str(f"{60 * predicted / seconds:.2f} h of audio/min")
            if number == 0 and predicted > 0:
                forecast = format_duration(seconds * total / predicted)
                bar.write(f"Forecast: {counted(len(files), 'files')}, {total:.2f} h: {forecast}{budget}")


@contextmanager
def flushing(journal: Journal) -> Iterator[None]:
    """Write what a journal keeps at the end, whatever that is."""
    try:
        yield
    finally:
        journal.flush()


def format_duration(seconds: float) -> str:
    """Return such as "41 min", "2.5 h" or "12 s"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def write_tables(
    config: InferenceConfig, wanted: Wanted, decided: DecidedSoundscapes, taxonomy: Taxonomy
) -> None:
    """Write the wanted tables, and print how many rows the submission has.

    Parameters
    ----------
    config
        Which tables, and where.
    wanted
        What the submission must hold.
    decided
        The decisions.
    taxonomy
        Codes and names of the decisions' columns.

    Raises
    ------
    ValueError
        If no soundscape can be used and no table asks for rows all the same, or two have the same row_id.
    """
    out, facts, windows = Path(config.out), decided.journal.facts, decided.windows
    if wanted.rows is None and not windows:
        message = f"none of the {len(facts)} soundscapes can be used: {first_reason(facts)}"
        raise ValueError(message)
    with ExitStack() as opened:
        sinks = open_sinks(opened, config, wanted, decided, taxonomy)
        for chunk in decided.read() if sinks else ():
            for add in sinks:
                add(chunk)
    num_absent = write_wanted_rows(out, wanted, decided) if wanted.rows is not None else 0
    per_window = len(wanted.codes) if wanted.form == "targets" else 1
    number = sum(windows.values()) * per_window if wanted.rows is None else len(wanted.rows)
    print(f"{out}: {number} rows, {counted(len(windows), 'soundscapes')}", flush=True)
    if num_absent:
        absent = FORMS[wanted.form].absent
        print(f"{num_absent} rows are {absent}: their soundscape, or window of it, is missing or unusable")


def open_sinks(
    opened: ExitStack,
    config: InferenceConfig,
    wanted: Wanted,
    decided: DecidedSoundscapes,
    taxonomy: Taxonomy,
) -> list[Sink]:
    """Return what writes the wanted tables while decisions are read; see `write_tables`.

    Parameters
    ----------
    opened
        Its end makes the files appear.
    config, wanted, decided, taxonomy
        As there.
    """
    sinks: list[Sink] = []
    if wanted.rows is None:
        require_distinct_rows(wanted.form, decided.windows, wanted.codes)
        sinks.append(opened.enter_context(writing_submission(Path(config.out), wanted, taxonomy.codes)))
    tables = {
        config.probabilities: partial(probability_table, species=taxonomy.codes),
        config.by_recording: partial(recording_table, taxonomy=taxonomy),
    }
    for file, table in tables.items():
        if file is not None and decided.windows:
            append = opened.enter_context(streaming_table(file))
            sinks.append(partial(_append_table, append, table))
    if config.detections is not None:
        folder, formats = Path(config.detections), config.detections_format
        sinks.append(opened.enter_context(writing_detections(folder, taxonomy, formats)))
    return sinks


def _append_table(
    append: Callable[[pd.DataFrame], None],
    table: Callable[[Mapping[str, Decisions]], pd.DataFrame],
    decisions: Mapping[str, Decisions],
) -> None:
    append(table(decisions))


def write_ledger(
    config: InferenceConfig,
    wanted: Wanted,
    facts: Mapping[str, FileFacts],
    soundscapes: Soundscapes,
    origins: Mapping[str, Origin],
) -> None:
    """Write what became of each file; print how many could not be used, or not all of them.

    Parameters
    ----------
    config
        Names the submission; the ledger lies beside it.
    wanted
        The soundscapes of its rows should be there.
    facts, origins
        Soundscape -> what is known of it, and where and when it was recorded.
    soundscapes
        What was found.
    """
    ledger = []
    for name, path in soundscapes.files.items():
        one = facts[name]
        status = one.reason or (f"damaged: {one.damage}" if one.damage else "ok")
        took = round(one.took_seconds, 3)
        ledger.append(
            (name, as_text(path), *origins[name], status, one.windows, one.seconds, took, one.notes)
        )
    absent = [] if wanted.rows is None else sorted(set(wanted.rows["file_id"]) - set(facts))
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
    file = ledger_of(Path(config.out))
    write_table(pd.DataFrame(ledger, columns=columns), file)
    num_bad = len(absent) + sum(one.windows == 0 for one in facts.values())
    num_damaged = sum(bool(one.damage) for one in facts.values() if not one.reason)
    notes = [
        f"{counted(num_bad, 'soundscapes')} missing or unusable" if num_bad else "",
        f"{num_damaged} damaged and predicted as far as they can be decoded" if num_damaged else "",
        f"{counted(len(soundscapes.left_out), 'lines')} about other files" if soundscapes.left_out else "",
    ]
    if any(notes):
        print(f"{', '.join(filter(None, notes))}: listed in {file.name}")


def first_reason(facts: Mapping[str, FileFacts]) -> str:
    """Return the first file that cannot be used, and why."""
    return next((f"{name}: {one.reason}" for name, one in facts.items() if one.reason), "no audio")
