"""Whether the memory of decisions stays the same while an archive grows, and the time grows in step.

    python -m benchmarks.archive [--windows 100000 1000000] [--species 234] [--out FOLDER]

Predictions of an archive are simulated into a journal, as inference leaves them: soundscapes of 10 minutes,
probabilities drawn from a beta distribution. A process of its own then finds the quantile of all of them,
decides every window, and writes the submission with a probability a species, and the table of recordings. Its
time and the most memory it ever held are printed for each size, and written as JSON.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.config import require
from core.data.taxonomy import Taxonomy
from core.inference.config import InferenceConfig
from core.inference.journal import FileFacts, FileResult, Journal
from core.inference.post_processing import DecidedSoundscapes, PostProcessing
from core.inference.run import write_tables
from core.inference.submission import Wanted
from core.machine import code_version, peak_memory_bytes
from core.program import run_program
from core.scoring.decisions import DecisionConfig

WINDOWS_OF_A_FILE = 120


@dataclass(frozen=True, kw_only=True)
class ArchiveBenchmark:
    """Decide and write simulated archives of several sizes; print time and memory."""

    windows: tuple[int, ...] = (100_000, 300_000, 1_000_000)
    """Windows of 5 s of each archive."""
    species: int = 234
    """Of the ensemble."""
    out: str = "outputs/archive"
    """Folder for the archives, which are deleted again, and for archive.json."""
    decide: int = 0
    """What a process of its own does: decide the archive of so many windows that lies in `out`."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(all(number >= WINDOWS_OF_A_FILE for number in self.windows), "windows: at least 120 each")
        require(self.species >= 2, f"species={self.species}: at least 2")


def names_of(number: int) -> list[str]:
    """Return the soundscapes of an archive of so many windows."""
    return [f"site{i % 20:02d}/{i:06d}" for i in range(number // WINDOWS_OF_A_FILE)]


def simulate_archive(folder: Path, number: int, num_species: int) -> None:
    """Write the journal of an archive.

    Parameters
    ----------
    folder
        Where.
    number
        Of windows.
    num_species
        Columns.
    """
    journal = open_journal(folder, number)
    generator = np.random.default_rng(0)
    drawn = generator.beta(0.3, 6.0, (50, WINDOWS_OF_A_FILE, num_species)).astype(np.float32)
    facts = FileFacts(seconds=5.0 * WINDOWS_OF_A_FILE, windows=WINDOWS_OF_A_FILE)
    for i, name in enumerate(names_of(number)):
        probability = np.roll(drawn[i % 50], i // 50, axis=1)[None]
        journal.add(name, FileResult(probability, np.zeros(0, np.float32), facts))
    journal.flush()


def open_journal(folder: Path, number: int) -> Journal:
    """Return the journal of an archive, of files that are not there."""
    return Journal(folder, {"windows": number}, {name: folder / name for name in names_of(number)})


def decide_archive(config: ArchiveBenchmark) -> None:
    """Decide and write the archive that lies in a folder; print seconds and the most megabytes held."""
    started, out = time.perf_counter(), Path(config.out)
    journal = open_journal(out / "journal", config.decide)
    journal.done()
    species = np.array([f"bird{i:03d}" for i in range(config.species)])
    scored = np.ones(config.species, bool)
    rule = DecisionConfig(penalty=0.4, quantile=0.999)
    post = PostProcessing(rule, species, scored, np.arange(1.0, config.species + 1))
    files = {name: Path(f"{name}.ogg") for name in names_of(config.decide)}
    decided = DecidedSoundscapes(journal=journal, files=files, post=post, smoothing=0.1)
    settings = InferenceConfig(
        checkpoints=("none",), soundscapes=("none",), out=str(out / "submission.csv"),
        by_recording=str(out / "recordings.parquet"),
    )  # fmt: skip
    threshold = float(decided.limits[0])
    found = time.perf_counter() - started
    write_tables(settings, Wanted("wide", tuple(species)), decided, Taxonomy.of(species.tolist()))
    peak = peak_memory_bytes() / 1e6
    size = (out / "submission.csv").stat().st_size / 1e9
    facts = {"quantile_seconds": found, "seconds": time.perf_counter() - started, "peak_mb": peak}
    print("RESULT" + json.dumps(facts | {"submission_gb": size, "threshold": threshold}))


def measure_archives(config: ArchiveBenchmark) -> None:
    """Simulate, decide and delete each archive; print and write the table."""
    if config.decide:
        decide_archive(config)
        return
    rows = []
    for number in config.windows:
        folder = Path(config.out) / str(number)
        simulate_archive(folder / "journal", number, config.species)
        words = [f"--out={folder}", f"--species={config.species}", f"--decide={number}"]
        command = [sys.executable, "-m", "benchmarks.archive", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
        rows.append({"windows": number} | json.loads(done.stdout.partition("RESULT")[2]))
        shutil.rmtree(folder)
        one = rows[-1]
        print(
            f"{number:>12,} windows x {config.species} species: quantile {one['quantile_seconds']:.1f} s, "
            f"all {one['seconds']:.1f} s, {1e6 * one['seconds'] / number:.1f} s a million windows, peak "
            f"{one['peak_mb']:.0f} MB, submission {one['submission_gb']:.2f} GB",
            flush=True,
        )
    file = Path(config.out) / "archive.json"
    file.write_text(json.dumps({"commit": code_version(), "species": config.species, "rows": rows}, indent=2))
    print(f"Written to {file}")


if __name__ == "__main__":
    run_program(ArchiveBenchmark, measure_archives)
