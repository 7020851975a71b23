"""How the cost of opening data and of a step grows with recordings and species.

    python -m benchmarks.growth [--recordings 62500 125000 250000 500000] [--species 152 1000 10000]

Each row is a process of its own on an invented table of recordings (`train_metadata.csv`; there is no audio):
seconds to read it, to assign folds and to build labels, its largest memory; milliseconds to gather the labels
of a batch of 72 clips, and for loss and gradient of such a batch.
Xeno-canto's part of BirdSet has about 10,000 species and 500,000 recordings.
"""

import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from core.config import DataConfig, LossConfig, require
from core.data.competition import read_competition
from core.data.folds import folds_of
from core.data.labels import build_labels
from core.files import write_atomically
from core.machine import peak_memory_bytes
from core.models.base import Output
from core.program import run_program
from core.training.losses import species_loss

CLIPS, NUM_BATCHES = 72, 20


@dataclass(frozen=True, kw_only=True)
class GrowthConfig:
    """Measure how the cost of opening data and of a step grows."""

    recordings: tuple[int, ...] = (62_500, 125_000, 250_000, 500_000)
    """Sizes of the table, at the largest number of species."""
    species: tuple[int, ...] = (152, 1_000, 10_000)
    """Numbers of species, at the smallest table."""
    out: str | None = None
    """Also write the rows as .json."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(min(self.species) >= 2, f"species={self.species}: at least 2")
        least = max(self.species) * 2
        require(min(self.recordings) >= least, f"recordings={self.recordings}: two of each species, {least}")


def invent_table(folder: Path, num_recordings: int, num_species: int) -> None:
    """Write a table of recordings whose species are as unequal as people's recordings are."""
    generator = np.random.default_rng(0)
    codes = np.array([f"species{i:05d}" for i in range(num_species)])
    share = np.arange(1, num_species + 1) ** -0.7
    species = np.tile(np.arange(num_species), 2)
    more = generator.choice(num_species, num_recordings - len(species), p=share / share.sum())
    species = np.append(species, more)
    others: list[list[str]] = [[] for _ in range(num_recordings)]
    for row in np.flatnonzero(generator.random(num_recordings) < 0.3):
        others[row] = codes[generator.integers(num_species, size=generator.integers(1, 4))].tolist()
    table = pd.DataFrame(
        {
            "primary_label": codes[species],
            "secondary_labels": [str(one) for one in others],
            "filename": [f"{codes[one]}/XC{i}.ogg" for i, one in enumerate(species)],
            "rating": generator.integers(0, 11, num_recordings) / 2,
            "author": [f"author {i}" for i in generator.integers(num_recordings // 50, size=num_recordings)],
            "latitude": generator.normal(size=num_recordings).round(3),
            "longitude": generator.normal(size=num_recordings).round(3),
            "common_name": codes[species],
            "scientific_name": codes[species],
        }
    )
    (folder / "train_audio").mkdir()
    table.to_csv(folder / "train_metadata.csv", index=False)


def measure_row(num_recordings: int, num_species: int) -> dict[str, float]:
    """Return a row of the table."""
    torch.set_num_threads(1)
    row: dict[str, float] = {"recordings": num_recordings, "species": num_species}

    def timed(name: str, action: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        found = action()
        row[name] = time.perf_counter() - started
        return found

    with tempfile.TemporaryDirectory() as folder:
        invent_table(Path(folder), num_recordings, num_species)
        competition = timed("read_s", lambda: read_competition(folder))
    config = DataConfig()
    timed("folds_s", lambda: folds_of(competition, config))
    timed("author_folds_s", lambda: folds_of(competition, replace(config, group_by_author=True)))
    labels = timed("labels_s", lambda: build_labels(competition, config))
    row["memory_mb"] = peak_memory_bytes() / 1e6
    chosen = np.random.default_rng(1).integers(num_recordings, size=(NUM_BATCHES, CLIPS)).tolist()
    times: dict[str, list[float]] = {"gather_ms": [], "loss_ms": []}
    for recordings in chosen:
        started = time.perf_counter()
        taught = [labels.taught(recording) for recording in recordings]
        target, mask, weight = (torch.from_numpy(np.stack(part)) for part in zip(*taught, strict=True))
        gathered = time.perf_counter()
        logit = torch.zeros(CLIPS, num_species, requires_grad=True)
        output = Output(logit, logit[:, None], 1)
        (species_loss(output, target, mask, weight, LossConfig()) * weight).sum().backward()
        times["gather_ms"].append((gathered - started) * 1e3)
        times["loss_ms"].append((time.perf_counter() - gathered) * 1e3)
    return row | {name: statistics.median(values) for name, values in times.items()}


def measure_apart(num_recordings: int, num_species: int) -> dict[str, float]:
    """Return a row of the table from a process of its own, whose largest memory is the row's alone."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(measure_row, num_recordings, num_species).result()


def print_growth(config: GrowthConfig) -> None:
    """Print the table, a row as it comes."""
    sizes = [(min(config.recordings), species) for species in config.species]
    sizes += [(number, max(config.species)) for number in config.recordings[1:]]
    rows = []
    print("| recordings | species | read | folds | by author | labels | memory | gather labels | loss |")
    print("|---|---|---|---|---|---|---|---|---|")
    for number, species in sizes:
        row = measure_apart(number, species)
        seconds = " | ".join(
            f"{row[f'{name}_s']:.1f} s" for name in ("read", "folds", "author_folds", "labels")
        )
        print(
            f"| {number:,} | {species:,} | {seconds} | {row['memory_mb']:,.0f} MB "
            f"| {row['gather_ms']:.1f} ms | {row['loss_ms']:.1f} ms |",
            flush=True,
        )
        rows.append(row)
    if config.out is not None:
        write_atomically(Path(config.out), json.dumps(rows, indent=1))


if __name__ == "__main__":
    run_program(GrowthConfig, print_growth)
