"""How fast an archive goes from its files through five networks, and what holds it up.

    python -m benchmarks.soundscapes [--device cuda --files 5500] [--backends torch_bf16] [--out FILE.json]

Soundscapes of a minute are written once each as WAV, whose samples need no decoding, and as OGG; links make
an archive of them. Five networks with random weights predict each archive as `core.inference` does: read, cut
into windows, log-mels once, probabilities. The first row is the networks alone, on windows that lie on the
device.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import soundfile
import torch

from benchmarks.simulated import (
    NUM_MODELS,
    RATE,
    SECONDS,
    WINDOWS,
    build_ensemble,
    waves_of,
    write_soundscapes,
)
from benchmarks.timing import report_timings, time_in_turns
from core.config import require
from core.inference.config import Backend, WindowConfig
from core.inference.engines.backends import with_backend
from core.inference.ensemble import Ensemble
from core.inference.predictor import Predictor
from core.machine import tune_cpu
from core.program import run_program

WARM_SHARE = 8
"""An eighth of the archive is predicted before times are taken."""


@dataclass(frozen=True, kw_only=True)
class SoundscapeBenchmark:
    """Time an archive of soundscapes through five networks, from its files on."""

    files: int = 12
    """One-minute soundscapes of the archive."""
    distinct: int = 16
    """Of them that differ."""
    backbone: str = "tf_efficientnet_b0"
    """Network of timm."""
    backends: tuple[Backend, ...] = ("torch", "torch_bf16")
    """Engines, of torch."""
    device: str = "cpu"
    """Where they run."""
    batch: int | None = None
    """Windows a batch; None: measured."""
    rounds: int = 2
    """Turns of all ways."""
    out: str | None = None
    """Also write the table as .json."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(min(self.files, self.distinct, self.rounds) >= 1, "files, distinct and rounds: at least 1")
        require(all(one.startswith("torch") for one in self.backends), "backends: those of torch")


@contextmanager
def linked_archives(config: SoundscapeBenchmark) -> Iterator[dict[str, list[Path]]]:
    """Yield the files of the archive in each format."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        compressed = write_soundscapes(folder, min(config.distinct, config.files))
        for path in compressed:
            wave, _ = soundfile.read(path, dtype="int16")
            soundfile.write(path.with_suffix(".wav"), wave[: 60 * RATE], RATE, subtype="PCM_16")
        archives = {}
        for suffix in (".wav", ".ogg"):
            archives[suffix[1:]] = [folder / f"{i}{suffix}" for i in range(config.files)]
            for i, link in enumerate(archives[suffix[1:]]):
                link.hardlink_to(compressed[i % len(compressed)].with_suffix(suffix))
        yield archives


def predict_archive(predictor: Predictor, files: list[Path]) -> None:
    """Predict all files; each must have its windows."""
    number = sum(result.facts.windows for _, result in predictor.predict_files(files))
    require(number == WINDOWS * len(files), f"{number} windows of {len(files)} files")


def predict_resident(ensemble: Ensemble, wave: torch.Tensor, number: int) -> None:
    """Predict `number` windows that lie on the device, as many batches as that takes."""
    (window_format,) = ensemble.window_formats
    for _ in range(0, number, len(wave)):
        logits = ensemble.window_logits(ensemble.outputs({window_format: wave}, 1), 1)
    logits.cpu()


def measure_soundscapes(config: SoundscapeBenchmark) -> None:
    """Print the table."""
    device = torch.device(config.device)
    tune_cpu()
    with linked_archives(config) as archives:
        waves = waves_of(archives["wav"][0])
        ensemble = build_ensemble(config.backbone, range(NUM_MODELS), waves)
        ways: dict[str, Callable[[], object]] = {}
        notes: dict[str, Callable[[], str]] = {}
        for backend in config.backends:
            built = with_backend(ensemble, backend, device, 1)
            size = config.batch or (WINDOWS if device.type == "cpu" else 1024)
            resident = (waves * 32768).short().repeat(-(-size // WINDOWS), 1)[:size].to(device)
            number = WINDOWS * config.files
            ways[f"{backend}, networks alone"] = partial(predict_resident, built, resident, number)
            predict_resident(built, resident, 3 * size)
            for name, files in archives.items():
                predictor = Predictor(built, WindowConfig(batch=config.batch), device)
                predict_archive(predictor, files[: max(len(files) // WARM_SHARE, 1)])
                ways[f"{backend}, {name}"] = partial(predict_archive, predictor, files)
                notes[f"{backend}, {name}"] = partial(_describe_batch, predictor)
        started = time.perf_counter()
        timings = time_in_turns(
            f"Five {config.backbone} on {config.files:,} soundscapes of a minute",
            f"windows of {SECONDS} s", ways, WINDOWS * config.files, rounds=config.rounds,
            warms_up=False,
        )  # fmt: skip
        timings.notes.update({name: note() for name, note in notes.items()})
    report_timings([timings], device, config.out)
    print(f"{(time.perf_counter() - started) / 60:.1f} minutes")


def _describe_batch(predictor: Predictor) -> str:
    return f"batches of {predictor.batch_size.size}, {predictor.num_decoders} threads decode"


if __name__ == "__main__":
    run_program(SoundscapeBenchmark, measure_soundscapes)
