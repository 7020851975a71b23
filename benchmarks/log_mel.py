"""How fast is the log-mel of a 30 s clip? Ours beside torchaudio's, each against float64.

    python -m benchmarks.log_mel [--batch 1] [--rounds 15]

- torchaudio: MelSpectrogram and AmplitudeToDB, as the published solution;
- one product: `torch.stft` and the whole filter bank as one matrix;
- ours: `core.features.LogMel`, each group of filters times the bins that it reaches.

Clips are six parts of 5 s of noise and tones at 32 kHz, in turns in one run.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import torch
import torchaudio
from torch import Tensor

from core.config import FeatureConfig
from core.features import POWER_FLOOR, LogMel
from core.machine import describe_environment, tune_cpu

PARTS, PART_SECONDS = 6, 5


def clips(number: int, rate: int) -> Tensor:
    """Return (clip * part, sample) waves."""
    generator = torch.Generator().manual_seed(0)
    waves = 0.02 * torch.randn(number * PARTS, PART_SECONDS * rate, generator=generator)
    pitch = 800 + 8000 * torch.rand(len(waves), 1, generator=generator)
    return waves + 0.2 * torch.sin(2 * torch.pi * pitch * torch.arange(waves.shape[1]) / rate)


def one_product(log_mel: LogMel, waves: Tensor) -> Tensor:
    """Return (item, mel, frame) in the precision of `waves`."""
    config = log_mel.config
    window = log_mel.window.to(waves.dtype)
    spectrum = torch.stft(waves, config.n_fft, config.hop_length, window=window, return_complex=True)
    power = spectrum.real.square() + spectrum.imag.square()
    mels = torch.matmul(log_mel.filters.to(waves.dtype), power)
    return 10 * torch.log10(mels.clamp_min(POWER_FLOOR))


def ways(log_mel: LogMel) -> dict[str, Callable[[Tensor], Tensor]]:
    """Return what is timed, by name."""
    config = log_mel.config
    mel = torchaudio.transforms.MelSpectrogram(
        config.sample_rate, config.n_fft, f_min=config.f_min_hz, f_max=config.f_max_hz,
        hop_length=config.hop_length, n_mels=config.num_mels,
    )  # fmt: skip
    decibel = torchaudio.transforms.AmplitudeToDB()
    return {
        "torchaudio": lambda waves: decibel(mel(waves)),
        "one product": lambda waves: one_product(log_mel, waves),
        "ours": lambda waves: log_mel(waves)[:, 0],
    }


@torch.inference_mode()
def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--batch", type=int, default=1, help="clips at once")
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    tune_cpu()
    environment = describe_environment(torch.device("cpu"))
    print(f"{environment['device']}, {torch.get_num_threads()} threads, Python {platform.python_version()}")
    print(", ".join(f"{name} {environment['packages'][name]}" for name in ("torch", "torchaudio")))
    log_mel = LogMel(FeatureConfig())
    waves = clips(given.batch, log_mel.config.sample_rate)
    exact = one_product(log_mel, waves.double())
    candidates = ways(log_mel)
    differences = {name: float((way(waves) - exact).abs().max()) for name, way in candidates.items()}
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(given.rounds):
        for name, way in candidates.items():
            started = time.perf_counter()
            way(waves)
            seconds[name].append(time.perf_counter() - started)
    print(f"\n{'':16}{'clips/s':>10}{'ratio':>8}{'largest difference to float64, dB':>36}")
    for name, values in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(seconds["torchaudio"], values, strict=True))
        rate = given.batch / statistics.median(values)
        print(f"{name:16}{rate:10.1f}{ratio:8.2f}{differences[name]:36.1e}")


if __name__ == "__main__":
    main()
