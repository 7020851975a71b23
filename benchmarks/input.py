"""The input path beside the original's: python -m benchmarks.input [--quick] [--out FILE.json].

Batches of 36 clips of 30 s, from OGG recordings of 66 s on average to float32 on the host, with background
noise (chances of 0.5, 0.25 and 0.25, as published) and without. The original's way loads each clip and each
noise by librosa with an offset, item by item; torchcodec, opensoundscape and audiomentations take part where
they are installed. Ours is the loader of `core.data.loaders` over the cache, of samples as they are and of
FLAC, in the same process: without threads, as on a CPU.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import torch
from scipy.sparse import csr_array

from benchmarks.peers import LoadClip, MixNoise, clip_loaders, noise_mixer
from benchmarks.timing import Timings, report_timings, time_in_turns
from core.config import DataConfig, MixupConfig, require
from core.config_data import NoiseConfig
from core.data.clip_loader import ClipLoader
from core.data.clips import Pool, TrainBatches, TrainClips
from core.data.labels import Labels
from core.data.noise import NoiseSets
from core.data.pcm import PcmStore
from core.machine import tune_cpu
from core.program import run_program
from core.training.augment import mix_noise

_RATE, _CLIPS, _SPECIES = 32000, 36, 152
RECORDING_SECONDS, NOISE_SECONDS = (30.0, 102.0), (5.0, 60.0)
CHANCES = [0.5, 0.25, 0.25]


@dataclass(frozen=True, kw_only=True)
class InputBenchmark:
    """Time the input path beside the original's."""

    recordings: int = 72
    """Generated, 66 s long on average."""
    clip_seconds: float = 30.0
    """Of each clip."""
    rounds: int = 5
    """Turns of all ways."""
    quick: bool = False
    """A third of the recordings, two rounds."""
    out: str | None = None
    """Also write the table as .json."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(min(self.recordings, self.rounds) >= 1, "recordings and rounds: at least 1")


def write_sounds(folder: Path, number: int, seconds: tuple[float, float]) -> list[Path]:
    """Write OGG files of coloured noise, their lengths spread evenly."""
    folder.mkdir()
    files = []
    for i, length in enumerate(np.linspace(*seconds, number)):
        generator = np.random.default_rng(i)
        files.append(folder / f"{i}.ogg")
        with soundfile.SoundFile(files[-1], "w", _RATE, 1, format="OGG", subtype="VORBIS") as file:
            for _ in range(int(length)):  # its encoder overruns on long blocks
                file.write(0.1 * generator.standard_normal(_RATE).astype(np.float32))
    return files


def load_batch(
    load: LoadClip, recordings: list[Path], seconds: float, generator: np.random.Generator
) -> list[np.ndarray]:
    """Return a batch of clips, each loaded by itself, (sample,) float32."""
    batch = []
    for path in generator.permutation(np.array(recordings, dtype=object))[:_CLIPS]:
        surplus = max(soundfile.info(path).duration - seconds, 0)
        wave = load(path, generator.uniform(0, surplus), seconds)
        batch.append(np.pad(wave, (0, max(int(seconds * _RATE) - len(wave), 0))))
    return batch


def mix_originally(
    load: LoadClip, noises: list[list[Path]], generator: np.random.Generator, wave: np.ndarray
) -> np.ndarray:
    """Return a clip with noise mixed in as the original does it."""
    for files, chance in zip(noises, CHANCES, strict=True):
        if generator.random() < chance:
            noise = load(files[generator.integers(len(files))], 0.0, NOISE_SECONDS[1])
            start = generator.integers(max(len(noise) - len(wave), 0) + 1)
            noise = np.resize(noise[start : start + len(wave)], len(wave))
            level = np.sqrt(np.mean(wave**2) / np.mean(noise**2)) / 10 ** (generator.uniform(0, 3) / 20)
            wave = wave + noise * np.float32(level)
    return wave


def compare_paths(config: InputBenchmark, folder: Path) -> list[Timings]:
    """Return the input paths with noise and without, timed in turns."""
    number = config.recordings // 3 if config.quick else config.recordings
    recordings = write_sounds(folder / "recordings", max(number, 2), RECORDING_SECONDS)
    noises = [write_sounds(folder / f"noise{i}", 6, NOISE_SECONDS) for i in range(len(CHANCES))]
    store, *sets = (PcmStore(files, _RATE, folder / "cache", quiet=True) for files in (recordings, *noises))
    compressed = PcmStore(recordings, _RATE, folder / "cache", quiet=True, cache_format="flac")
    data = DataConfig(
        clip_seconds=config.clip_seconds, batch_size=_CLIPS, min_epoch_steps=1_000_000,
        noise=NoiseConfig(probabilities=CHANCES),
    )  # fmt: skip
    held = csr_array(np.eye(len(recordings), _SPECIES, dtype=np.float32))
    labels = Labels(held > 0, held, csr_array(held.shape, dtype=bool), np.ones(len(recordings), np.float32))

    def batches(store: PcmStore, noise: NoiseSets | None) -> Callable[[], object]:
        pool = Pool(np.arange(len(recordings)))
        sampler = TrainBatches(pool, Pool(np.arange(0)), _few_steps(data), MixupConfig(), seed=0)
        clips = TrainClips(store, labels, data, noise, 0)
        loader = iter(ClipLoader(clips, sampler))

        def take() -> torch.Tensor:
            batch = next(loader)
            return mix_noise(batch.wave, batch.noise)

        return take

    generator, loaders = np.random.default_rng(0), clip_loaders(_RATE)
    first = next(iter(loaders.values()))

    def batch_by(load: LoadClip, mix: MixNoise | None = None) -> np.ndarray:
        waves = load_batch(load, recordings, config.clip_seconds, generator)
        return np.stack(waves if mix is None else list(map(mix, waves)))

    with_noise: dict[str, Callable[[], object]] = {
        "the original's way": partial(batch_by, first, partial(mix_originally, first, noises, generator))
    }
    mixer = noise_mixer([folder / f"noise{i}" for i in range(len(CHANCES))], CHANCES, _RATE)
    if mixer is not None:
        with_noise["librosa and audiomentations"] = partial(batch_by, first, mixer)
    with_noise["ours"] = batches(store, NoiseSets(sets, data.noise))
    without: dict[str, Callable[[], object]] = {
        name: partial(batch_by, load) for name, load in loaders.items()
    }
    without |= {"ours": batches(store, None), "ours, FLAC": batches(compressed, None)}
    question = f"A batch of {_CLIPS} clips of {config.clip_seconds:g} s, one process"
    timed = partial(time_in_turns, unit="clips", items=_CLIPS, rounds=2 if config.quick else config.rounds)
    return [timed(question + ", with background noise", ways=with_noise), timed(question, ways=without)]


def _few_steps(data: DataConfig) -> DataConfig:
    """Return the settings with an epoch of a thousand steps: draws are made at its start."""
    return DataConfig(batch_size=data.batch_size, min_epoch_steps=1_000)


def measure_input(config: InputBenchmark) -> None:
    """Print the table."""
    tune_cpu()
    with tempfile.TemporaryDirectory() as folder:
        report_timings(compare_paths(config, Path(folder)), torch.device("cpu"), config.out)


if __name__ == "__main__":
    run_program(InputBenchmark, measure_input)
