"""The command `tune`: read predictions and truth, fit post-processing, print what it is worth, write it."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core import checkpoint
from core.config import require
from core.files import write_atomically
from core.inference.config import PostConfig, TuneConfig
from core.inference.ensemble import find_checkpoints
from core.inference.submission import read_truth
from core.inference.windows import WINDOW_SECONDS
from core.scoring.cross_fit import Observations, Tuned, tune_rules
from core.scoring.evaluation import scored_species, unpack_predictions

PREDICTIONS = "predictions.parquet"


def tune(config: TuneConfig) -> Path:
    """Run the command; return the path of the settings.

    Raises
    ------
    ValueError
        If predictions, truth or runs are missing or do not fit together.
    """
    observed = read_runs(config.runs) if config.runs else read_probabilities(config)
    results = tune_rules(observed, config)
    show(observed, results)
    return write_tuned(Path(config.out), results[-1], observed, dataclasses.asdict(config))


def write_tuned(file: Path, chosen: Tuned, observed: Observations, settings: dict[str, Any]) -> Path:
    """Write what `core.inference --tuned` takes; return `file`.

    Parameters
    ----------
    file
        Appears whole.
    chosen
        The settings, and what they are worth.
    observed
        The rows that they were fitted to.
    settings
        Of the program that fitted them, to be kept beside.
    """
    content = {
        "post": dataclasses.asdict(chosen.post),
        "score": chosen.score.as_dict(),
        "optimism": chosen.optimism,
        "difference_to_untuned": chosen.difference.as_dict(),
        "tuned_on": {"rows": len(observed.truth), "recordings": len(set(observed.group))},
        "settings": settings,
    }
    write_atomically(file, json.dumps(content, indent=2))
    print(f"{file}: {describe(chosen.post)}", flush=True)
    return file


def read_runs(runs: tuple[str, ...]) -> Observations:
    """Return the out-of-fold predictions of runs.

    Raises
    ------
    ValueError
        If a run has none, or runs differ in their scored species or share a clip.
    """
    tables = []
    for run in runs:
        file = Path(run) / PREDICTIONS
        require(file.is_file(), f"runs: {file} does not exist; name finished runs that validate a fold")
        tables.append(pd.read_parquet(file))
    scored = {scored_species(table) for table in tables}
    require(len(scored) == 1, "runs: their scored species differ; tune them apart")
    table = pd.concat(tables, ignore_index=True)
    twice = table.duplicated(["recording", "start_seconds"])
    require(not twice.any(), "runs: two of them predict the same clips; name one run of each fold")
    species, truth, probability = unpack_predictions(table)
    return Observations(
        probability,
        truth,
        table["recording"].to_numpy(str),
        table["species"].to_numpy(str),
        counts_of_rows(runs, [len(table) for table in tables], table["fold"].to_numpy(), species),
        species,
    )


def read_probabilities(config: TuneConfig) -> Observations:
    """Return the probabilities of labelled soundscapes.

    Raises
    ------
    ValueError
        If the table has not the layout of `--probabilities`, or a row has no truth.
    """
    assert config.probabilities is not None
    assert config.truth is not None
    path = Path(config.probabilities)
    require(path.is_file(), f"probabilities={path}: no such file")
    table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    require(
        {"file_id", "end_time"} <= set(table.columns),
        f"probabilities={path}: needs columns file_id and end_time, as `--probabilities` writes them",
    )
    species = tuple(column for column in table if column not in ("file_id", "end_time"))
    names = [
        (str(name), int(end) // WINDOW_SECONDS - 1)
        for name, end in zip(table["file_id"], table["end_time"], strict=True)
    ]
    return Observations(
        table[list(species)].to_numpy(float),
        read_truth(Path(config.truth), names, species),
        table["file_id"].to_numpy(str),
        np.zeros(len(table), dtype=int),
        train_counts(config.checkpoints, species),
        species,
    )


def train_counts(paths: tuple[str, ...], species: tuple[str, ...]) -> np.ndarray:
    """Return the recordings that trained, by species, averaged over the checkpoints of some runs."""
    cards = [checkpoint.read_card(folder) for path in paths for folder in find_checkpoints(path)]
    if not cards:
        return np.zeros(len(species))
    return np.mean([[card.train_counts.get(code, 0) for code in species] for card in cards], axis=0)


def counts_of_rows(
    runs: Sequence[str], sizes: Sequence[int], folds: np.ndarray, species: tuple[str, ...]
) -> np.ndarray:
    """Return the recordings that trained the network which judged each row, (row, species).

    Parameters
    ----------
    runs
        Runs, or runs of all folds.
    sizes
        (run,) rows of each; they follow one another.
    folds
        (row,) the fold that judged it.
    species
        Codes.
    """
    counts = np.zeros((len(folds), len(species)))
    for run, end, size in zip(runs, np.cumsum(sizes), sizes, strict=True):
        for folder in find_checkpoints(run):
            card = checkpoint.read_card(folder)
            judged = np.flatnonzero(folds[end - size : end] == card.fold) + end - size
            counts[judged] = [card.train_counts.get(code, 0) for code in species]
    return counts


def show(observed: Observations, results: list[Tuned]) -> None:
    """Print the table of rules."""
    recordings, species = len(set(observed.group)), len(observed.species)
    print(f"{len(observed.truth)} rows, {recordings} recordings, {species} species\n")
    print(f"{'2022 score':16}{'cross-fitted':24}{'minus untuned':26}{'optimism':>9}  fitted to all")
    print(f"{'untuned':16}{results[0].untuned!s:24}{'':26}{'':>9}  {describe(PostConfig())}")
    for result in results:
        print(
            f"{result.name:16}{result.score!s:24}{result.difference!s:26}{result.optimism:9.3f}  "
            f"{describe(result.post)}"
        )
    print()


def describe(post: PostConfig) -> str:
    """Return such as `penalty 0.4, 0.85 quantile`."""
    words = []
    if post.penalty:
        words.append(f"penalty {post.penalty:g}")
    if post.rare_boost:
        words.append(f"rare boost {post.rare_boost:g}")
    rules = {
        "quantile": f"{post.quantile:g} quantile",
        "fixed": f"threshold {post.fixed:.3f}",
        "class_wise": f"{len(post.class_wise)} thresholds",
    }
    return ", ".join([*words, rules[post.threshold]])
