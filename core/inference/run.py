"""The main command: predict every soundscape, decide, write."""

import dataclasses
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from core.config_values import from_dict
from core.data.audio import duration_seconds
from core.files import replacing
from core.inference.config import Backend, InferenceConfig, PostConfig
from core.inference.engines.backends import with_backend
from core.inference.engines.export import open_export
from core.inference.ensemble import Ensemble, load_ensemble
from core.inference.journal import FileResult, Journal
from core.inference.predictor import Predictor, find_soundscapes
from core.inference.submission import (
    Decisions,
    all_rows,
    read_rows,
    write_detections,
    write_probabilities,
    write_submission,
)
from core.inference.windows import smooth
from core.machine import tune_cpu
from core.scoring.decisions import adjust, thresholds

POLL_SECONDS = 0.5
KAGGLE_HOURS = 9.0


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
    files = find_soundscapes(config.soundscapes)
    rows_file = find_rows(config)
    rows = read_rows(rows_file) if rows_file is not None else None
    post = read_tuned(Path(config.tuned)) if config.tuned is not None else config.post
    ensemble, backend = open_ensemble(config, device)
    refuse_unknown_birds(rows, ensemble, rows_file)
    nocall = None
    if config.nocall is not None:
        nocall = load_ensemble([config.nocall], which=config.which, species=["bird"])
        nocall = with_backend(nocall, "torch", device, 1)
    by_segment = config.detections_by == "segment"
    predictor = Predictor(ensemble, config.windows, device, nocall, segments=by_segment)
    journal = Journal(Path(f"{config.out}.journal"), plan_of(config, ensemble, nocall, backend), rank)
    done = journal.done()
    mine = {name: path for name, path in list(files.items())[rank::world] if name not in done}
    if rank == 0:
        announce(ensemble, backend, files, len(done & set(files)), rows_file)
    predict_files(predictor, mine, journal, quiet=rank != 0)
    if rank != 0:
        return Path(config.out)
    results = wait_for_all(journal, files)
    decisions = decide(results, files, config, post, ensemble)
    write_everything(config, rows, decisions, results, files, ensemble)
    journal.remove()
    return Path(config.out)


def choose_device(name: str | None) -> torch.device:
    """Return the named device, or this process's GPU where there is one."""
    if name is not None:
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    return torch.device("cpu")


def open_ensemble(config: InferenceConfig, device: torch.device) -> tuple[Ensemble, Backend]:
    """Return the ensemble with its networks in an engine, and that engine's name."""
    folder, backend = None, config.backend
    default: Backend = "torch"
    if config.exported is None:
        ensemble = load_ensemble(
            config.checkpoints, weights=config.weights, which=config.which, combine=config.combine
        )
    else:
        folder = Path(config.exported)
        ensemble, manifest = open_export(folder, config.combine)
        if config.windows.context != manifest["context"]:
            message = (
                f"windows.context={config.windows.context}, but {folder} was made for {manifest['context']}: "
                f"use --windows.context={manifest['context']}, or export again with --context"
            )
            raise ValueError(message)
        if device.type == "cpu":
            default = manifest["backend"]
    chosen = default if backend == "auto" else backend
    return with_backend(ensemble, chosen, device, config.windows.context, folder), chosen


def find_rows(config: InferenceConfig) -> Path | None:
    """Return the table of wanted rows: the named one, or test.csv beside the folder of soundscapes."""
    if config.test is not None:
        return Path(config.test)
    beside = Path(config.soundscapes[0]).parent / "test.csv"
    return beside if Path(config.soundscapes[0]).is_dir() and beside.is_file() else None


def refuse_unknown_birds(rows: pd.DataFrame | None, ensemble: Ensemble, file: Path | None) -> None:
    """Raise `ValueError` if rows are wanted of a species that the ensemble does not score."""
    if rows is None:
        return
    unknown = sorted(set(rows["bird"]) - set(ensemble.species))
    if unknown:
        message = f"{file}: asks for {', '.join(unknown[:5])}, which the checkpoints do not score"
        raise ValueError(message)


def plan_of(
    config: InferenceConfig, ensemble: Ensemble, nocall: Ensemble | None, backend: Backend
) -> dict[str, Any]:
    """Return what the probabilities depend on: weights, windows, engine; not what is decided after."""
    members = [*ensemble.members, *(nocall.members if nocall else [])]
    cards = [(m.folder / "checkpoint.json").read_text() for m in members]
    return {
        "files": [json.loads(card)["files"] for card in cards],
        "weights": [member.weight for member in members],
        "combine": ensemble.combine,
        "species": ensemble.species,
        "windows": dataclasses.asdict(config.windows) | {"smoothing": None, "batch": None},
        "backend": backend,
        "detections_by": config.detections_by,
    }


def announce(
    ensemble: Ensemble, backend: Backend, files: Mapping[str, Path], num_done: int, rows: Path | None
) -> None:
    """Print what is about to be done."""
    fronts = len(ensemble.groups)
    print(
        f"{len(ensemble.members)} models in {backend}, {fronts} front end{'s' if fronts > 1 else ''}, "
        f"{len(ensemble.species)} species; {len(files)} soundscapes"
        + (f", {num_done} of them done before" if num_done else "")
        + (f"; rows of {rows}" if rows else "; rows of every window"),
        flush=True,
    )


def predict_files(
    predictor: Predictor, files: Mapping[str, Path], journal: Journal, *, quiet: bool = False
) -> None:
    """Predict files into the journal, with a bar that counts hours of audio."""
    if not files:
        return
    hours = {name: duration_seconds(path) / 3600 for name, path in files.items()}
    total, heard, started = sum(hours.values()), 0.0, time.monotonic()
    bar = tqdm(total=round(total, 4), unit="h", disable=quiet, bar_format=BAR)
    results = predictor.predict_files(files.values())
    for position, (name, result) in enumerate(zip(files, results, strict=True)):
        journal.add(name, result)
        heard += hours[name]
        bar.update(hours[name])
        seconds = time.monotonic() - started
        bar.set_postfix_str(f"{60 * heard / seconds:.2f} h of audio/min")
        if position == 0 and not quiet and heard > 0:
            left = seconds * total / heard
            bar.write(f"Forecast: {len(files)} files, {total:.2f} h: {span(left)} of the {KAGGLE_HOURS:g} h")
    journal.flush()
    bar.close()


BAR = "{percentage:3.0f}%|{bar}| {n:.2f}/{total:.2f} h [{elapsed}<{remaining}, {postfix}]"


def span(seconds: float) -> str:
    """Return such as "41 min", "2.5 h" or "12 s"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def wait_for_all(journal: Journal, files: Mapping[str, Path]) -> dict[str, FileResult]:
    """Return the results of every file, once the other processes have written theirs."""
    while not journal.done() >= set(files):
        time.sleep(POLL_SECONDS)
    results = journal.results()
    return {name: results[name] for name in files}


def decide(
    results: Mapping[str, FileResult],
    files: Mapping[str, Path],
    config: InferenceConfig,
    post: PostConfig,
    ensemble: Ensemble,
) -> dict[str, Decisions]:
    """Return the decisions about every usable soundscape; the quantile is over all of them."""
    usable = {name: result for name, result in results.items() if result.probability.shape[1]}
    if not usable:
        return {}
    ends = np.cumsum([result.probability.shape[1] for result in usable.values()])
    members = np.concatenate([result.probability for result in usable.values()], axis=1)
    pooled = ensemble.ranked(members) if ensemble.combine == "rank" else members[0].astype(np.float64)
    smoothed = [smooth(piece, config.windows.smoothing) for piece in np.split(pooled, ends[:-1])]
    probability = np.concatenate(smoothed)
    bird = np.concatenate([result.bird for result in usable.values()]).astype(np.float64)
    heard = bird if len(bird) else None
    counts = ensemble.train_counts()
    adjusted = adjust(probability, post, counts, heard)
    limits = thresholds(adjusted, post, ensemble.species)
    target = adjusted >= limits
    segments = np.concatenate([result.segments for result in usable.values()])
    if config.detections_by == "segment":
        segments = decide_segments(segments, target, post, counts, heard, limits)
    split = (np.split(array, ends[:-1]) for array in (probability, adjusted, target))
    by_file = np.split(segments, ends[:-1]) if len(segments) else [segments] * len(usable)
    parts = zip(usable, *split, by_file, strict=True)
    return {name: Decisions(p, a, t, files[name], s) for name, p, a, t, s in parts}


def decide_segments(
    segments: np.ndarray, target: np.ndarray, post: PostConfig, counts: np.ndarray,
    bird: np.ndarray | None, limits: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Return (window, segment, species) bool: what is heard when, in the windows that are True.

    Segments go through the same steps and thresholds as windows. In a window that is True the loudest
    segment always counts, so that no decision is lost.
    """
    number = segments.shape[1]
    flat = segments.astype(np.float64).reshape(-1, segments.shape[2])
    repeated = None if bird is None else np.repeat(bird, number)
    above = (adjust(flat, post, counts, repeated) >= limits).reshape(segments.shape)
    loudest = segments == segments.max(axis=1, keepdims=True)
    return np.asarray((above | loudest) & target[:, None])


def write_everything(
    config: InferenceConfig,
    rows: pd.DataFrame | None,
    decisions: Mapping[str, Decisions],
    results: Mapping[str, FileResult],
    files: Mapping[str, Path],
    ensemble: Ensemble,
) -> None:
    """Write the wanted tables and the ledger; print where, and what could not be used."""
    out, species = Path(config.out), ensemble.species
    if rows is None and not decisions:
        message = f"none of the {len(files)} soundscapes can be used: {first_reason(results)}"
        raise ValueError(message)
    wanted = all_rows(decisions, species) if rows is None else rows
    absent = write_submission(out, wanted, decisions, species)
    if config.probabilities is not None and decisions:
        write_probabilities(Path(config.probabilities), decisions, species)
    if config.detections is not None:
        write_detections(Path(config.detections), decisions, species)
    unheard = sorted(set(wanted["file_id"]) - set(files))
    ledger = [
        (name, str(files[name]), r.reason or "ok", r.probability.shape[1], r.seconds)
        for name, r in results.items()
    ]
    ledger += [(name, "", "missing file", 0, 0.0) for name in unheard]
    table = pd.DataFrame(ledger, columns=["file_id", "path", "status", "windows", "seconds"])
    with replacing(out.with_name(f"{out.stem}_ledger.csv")) as new:
        table.to_csv(new, index=False)
    bad = table[table["status"] != "ok"]
    print(f"{out}: {len(wanted)} rows, {len(table) - len(bad)} soundscapes", flush=True)
    if len(bad) or absent:
        where = f"{out.stem}_ledger.csv"
        print(
            f"{len(bad)} soundscapes missing or unusable, listed in {where}; {absent} rows are False for it"
        )


def first_reason(results: Mapping[str, FileResult]) -> str:
    """Return the first file that cannot be used, and why."""
    return next((f"{name}: {result.reason}" for name, result in results.items() if result.reason), "no audio")


def read_tuned(path: Path) -> PostConfig:
    """Return post-processing settings from the json of `core.inference tune`.

    Raises
    ------
    ValueError
        If the file is not such a json.
    """
    try:
        content = json.loads(path.read_text())
        return from_dict(PostConfig(), content["post"])
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        message = f"tuned={path}: not written by `core.inference tune` ({error})"
        raise ValueError(message) from error
