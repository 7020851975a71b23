"""What benchmarks of speed share: the machine in words, the published log-mel, ways timed in turns."""

import platform
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
import torchaudio
from torch import Tensor

from core.config import FeatureConfig
from core.machine import describe_environment

Given = TypeVar("Given")


def describe_machine(device: torch.device, packages: tuple[str, ...]) -> str:
    """Return processor, threads and versions."""
    environment = describe_environment(device)
    versions = ", ".join(f"{name} {environment['packages'][name]}" for name in packages)
    return (
        f"{environment['device']}, {torch.get_num_threads()} threads, Python {platform.python_version()}, "
        f"{versions}"
    )


def published_log_mel(config: FeatureConfig) -> Callable[[Tensor], Tensor]:
    """Return the published solution's front end: waves (item, sample) -> dB (item, mel, frame)."""
    mel = torchaudio.transforms.MelSpectrogram(
        config.sample_rate, config.n_fft, f_min=config.f_min_hz, f_max=config.f_max_hz,
        hop_length=config.hop_length, n_mels=config.num_mels,
    )  # fmt: skip
    return torch.nn.Sequential(mel, torchaudio.transforms.AmplitudeToDB())


def time_in_turns(
    ways: Mapping[str, Callable[[Given], object]], given: Given, rounds: int
) -> dict[str, list[float]]:
    """Return the seconds that each way took in each round, every round through all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way(given)
            seconds[name].append(time.perf_counter() - started)
    return seconds
