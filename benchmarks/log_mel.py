"""How fast is the log-mel of a 30 s clip? Ours beside torchaudio's, each against float64.

    python -m benchmarks.log_mel [--batch 1] [--rounds 15]

- torchaudio: MelSpectrogram and AmplitudeToDB, as the published solution;
- one product: `torch.stft` and the whole filter bank as one matrix;
- ours: `core.models.log_mel.LogMel`, each group of filters times the bins that it reaches.

Clips are six parts of 5 s of noise and tones at 32 kHz, in turns in one run.
"""

import argparse
import statistics
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.side_by_side import describe_machine, published_log_mel, time_in_turns
from core.config import FeatureConfig
from core.machine import tune_cpu
from core.models.log_mel import POWER_FLOOR, LogMel

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
    return {
        "torchaudio": published_log_mel(log_mel.config),
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
    print(describe_machine(torch.device("cpu"), ("torch", "torchaudio")))
    log_mel = LogMel(FeatureConfig())
    waves = clips(given.batch, log_mel.config.sample_rate)
    exact = one_product(log_mel, waves.double())
    candidates = ways(log_mel)
    differences = {name: float((way(waves) - exact).abs().max()) for name, way in candidates.items()}
    seconds = time_in_turns(candidates, waves, given.rounds)
    print(f"\n{'':16}{'clips/s':>10}{'ratio':>8}{'largest difference to float64, dB':>36}")
    for name, values in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(seconds["torchaudio"], values, strict=True))
        rate = given.batch / statistics.median(values)
        print(f"{name:16}{rate:10.1f}{ratio:8.2f}{differences[name]:36.1e}")


if __name__ == "__main__":
    main()
