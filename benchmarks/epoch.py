"""How many clips a second an experiment trains, data and all: python -m benchmarks.epoch [--out FILE.json].

Generated recordings, 66 s long on average and decoded into the cache before, are trained by the experiments
themselves, in a process each, for two epochs, with background noise where wished. The first epoch warms up;
of the second, the median of what the run logged is told: clips a second, and the share of time that was spent
waiting for a batch.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch

from benchmarks.timing import describe_machine
from core.config import require
from core.files import write_atomically
from core.machine import PROJECT
from core.program import run_program

_RATE, _SPECIES, _CHANCES = 32000, 20, (0.5, 0.25, 0.25)
LENGTHS = (30.0, 102.0)
"""Seconds of the shortest and of the longest recording."""


@dataclass(frozen=True, kw_only=True)
class EpochBenchmark:
    """Train experiments on generated recordings; print clips a second and the share of waiting."""

    experiments: tuple[str, ...] = ("timm_007", "timm_008")
    """Folders of `experiments/`."""
    precision: str = "bf16"
    """Mixed precision of the network."""
    options: str = ""
    """Further words of the experiments' command, with spaces between them, such as "--compile=True"."""
    recordings: int = 40
    """Generated."""
    steps: int = 30
    """Of an epoch."""
    with_noise: bool = False
    """Background noise is mixed into clips, as published."""
    device: str = "cpu"
    """Named in the table; the experiments take a GPU where there is one."""
    out: str | None = None
    """Also write the table as .json."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(self.recordings >= 2 * _SPECIES, f"recordings={self.recordings}: at least {2 * _SPECIES}")
        require(self.steps >= 1, "steps: at least 1")


def write_recordings(folder: Path, number: int) -> None:
    """Write WAV files of noise in folders of species, and some of background."""
    generator = np.random.default_rng(0)
    for i, seconds in enumerate(np.linspace(*LENGTHS, number)):
        file = folder / "train_audio" / f"species{i % _SPECIES:02d}" / f"{i}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, _noise(generator, seconds), _RATE, subtype="PCM_16")
    for i, _ in enumerate(_CHANCES):
        file = folder / f"background{i}" / "noise.wav"
        file.parent.mkdir()
        soundfile.write(file, _noise(generator, 60.0), _RATE, subtype="PCM_16")


def _noise(generator: np.random.Generator, seconds: float) -> np.ndarray:
    return generator.integers(-3000, 3000, round(seconds * _RATE), np.int16)


def train_experiment(name: str, folder: Path, config: EpochBenchmark) -> dict[str, float | str]:
    """Train an experiment in a process of its own; return what it logged in its second epoch."""
    words = [
        f"--data.root={folder}", f"--data.cache={folder / 'cache'}", f"--output_dir={folder / name}",
        f"--precision={config.precision}", "--model.pretrained=False", "--epochs=2", "--tracking.use=False",
        f"--data.min_epoch_steps={config.steps}", *config.options.split(),
    ]  # fmt: skip
    if config.with_noise:
        folders = [str(folder / f"background{i}") for i, _ in enumerate(_CHANCES)]
        words += [
            f"--data.noise.folders={json.dumps(folders)}",
            f"--data.noise.probabilities={list(_CHANCES)}",
        ]
    command = [sys.executable, str(PROJECT / "experiments" / name / "run.py"), *words]
    subprocess.run(command, check=True)
    (log,) = (folder / name).rglob("metrics.jsonl")
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    rows = [row for row in rows if row["epoch"] == 1 and "train/clips_per_second" in row]
    speed, wait = (
        statistics.median(row[key] for row in rows) for key in ("train/clips_per_second", "train/data_wait")
    )
    return {"experiment": name, "clips_per_second": speed, "waiting": wait}


def measure_epochs(config: EpochBenchmark) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_recordings(folder, config.recordings)
        rows = [train_experiment(name, folder, config) for name in config.experiments]
    machine = describe_machine(torch.device(config.device))
    print(f"{machine}\n\n| | clips of 30 s/s | waiting |\n|---|---|---|")
    for row in rows:
        print(f"| {row['experiment']} | {row['clips_per_second']:.4g} | {row['waiting']:.1%} |")
    if config.out is not None:
        content = {"machine": machine, "options": config.options, "rows": rows}
        write_atomically(Path(config.out), json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    run_program(EpochBenchmark, measure_epochs)
