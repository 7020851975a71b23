"""A training step beside the original's loop: python -m benchmarks.training [--quick] [--out FILE.json].

A step of selective mixup on 4 + 4 clips of 30 s: log-mels of 48 parts, mixup, network forward and backward on
24 pictures, AdamW. The original's loop is plain torch in a process of its own: torchaudio's log-mel of each
half, pictures in rows, AdamW unfused, threads and allocator as torch sets them. Ours is what `core.trainer`
does: one log-mel of both halves, channels last, the fused step, the settings of `core.machine.tune_cpu`.
Weights are random and the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torchaudio
from torch import Tensor

from benchmarks.timing import Timings, report_timings, time_in_turns, untuned_process
from core.config import (
    FeatureConfig,
    LossConfig,
    MixupConfig,
    OptimConfig,
    SpecAugmentConfig,
    TimmConfig,
    require,
)
from core.machine import tune_cpu
from core.models.sed import TimmSED
from core.program import run_program
from core.training.augment import Labelled, draw_augmentation
from core.training.losses import species_loss
from core.training.optim import build_optimizer

BATCH, PARTS, _CLIP_SECONDS, _SPECIES = 4, 6, 30, 152
LOOP: list[Callable[[], object]] = []
"""The original's step, in the process that is not tuned."""


@dataclass(frozen=True, kw_only=True)
class TrainingBenchmark:
    """Time a training step beside the original's loop."""

    backbones: tuple[str, ...] = ("tf_efficientnet_b0", "eca_nfnet_l0")
    """Networks of timm."""
    rounds: int = 5
    """Turns of all ways."""
    quick: bool = False
    """One small network, two rounds: under a minute."""
    device: str = "cpu"
    """Where our steps run; the original's loop runs there too."""
    out: str | None = None
    """Also write the tables as .json."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(self.rounds >= 1, f"rounds={self.rounds}: at least 1")


class TrainingStep:
    """What both loops have: a network, a batch, its labels."""

    def __init__(self, backbone: str, device: str) -> None:
        torch.manual_seed(0)
        self.device, self.features = torch.device(device), FeatureConfig()
        config = TimmConfig(backbone=backbone, pretrained=False)
        self.model = TimmSED(config, self.features, _SPECIES).to(self.device).train()
        generator = torch.Generator().manual_seed(0)
        samples = _CLIP_SECONDS * self.features.sample_rate
        waves = torch.randint(-3000, 3000, (2 * BATCH, samples), generator=generator)
        self.waves = waves.to(torch.int16)
        target = (torch.rand(2 * BATCH, _SPECIES, generator=generator) < 0.01).float()
        self.labels = Labelled(target, torch.ones_like(target), torch.ones(2 * BATCH))
        self.generator = generator

    def finish(self, output: object, labels: Labelled, optimizer: torch.optim.Optimizer) -> float:
        """Take the step; return its loss."""
        losses = species_loss(output, labels.target, labels.mask, labels.weight, LossConfig())  # type: ignore[arg-type]
        loss = losses.mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach())

    def drawn(self) -> Callable[[Tensor], Tensor]:
        """Return a step's augmentation: selective mixup, ordinary mixup, stripes."""
        return draw_augmentation(
            BATCH, BATCH, MixupConfig(), SpecAugmentConfig(), [0.0, 0.0, 1.0, 0.0], self.generator
        )


def original_log_mel(config: FeatureConfig) -> torch.nn.Sequential:
    """Return the original's front end, torchaudio's: (window, sample) -> (window, mel, frame) in dB."""
    mel = torchaudio.transforms.MelSpectrogram(
        config.sample_rate, config.n_fft, f_min=config.f_min_hz, f_max=config.f_max_hz,
        hop_length=config.hop_length, n_mels=config.num_mels,
    )  # fmt: skip
    return torch.nn.Sequential(mel, torchaudio.transforms.AmplitudeToDB())


class OriginalLoop(TrainingStep):
    """The original's: a log-mel a half, contiguous pictures, plain AdamW."""

    def __init__(self, backbone: str, device: str) -> None:
        super().__init__(backbone, device)
        self.log_mel = original_log_mel(self.features).to(self.device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3)

    def __call__(self) -> float:
        """Take a step."""
        waves = self.waves.float().div(32768.0).to(self.device)
        halves = [self.log_mel(half.reshape(BATCH * PARTS, -1))[:, None] for half in waves.split(BATCH)]
        augment = self.drawn()
        output = self.model.from_mels(torch.cat(halves), PARTS, augment)
        labels = augment.mix_labels(_moved(self.labels, self.device))  # type: ignore[attr-defined]
        return self.finish(output, labels, self.optimizer)


class OurLoop(TrainingStep):
    """What `core.trainer` does in a step."""

    def __init__(self, backbone: str, device: str, dtype: torch.dtype | None = None) -> None:
        super().__init__(backbone, device)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer, self.dtype = build_optimizer(self.model, OptimConfig()), dtype

    def __call__(self) -> float:
        """Take a step."""
        augment = self.drawn()
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None):
            output = self.model(self.waves.to(self.device), PARTS, augment)
        labels = augment.mix_labels(_moved(self.labels, self.device))  # type: ignore[attr-defined]
        return self.finish(output, labels, self.optimizer)


def _moved(labels: Labelled, device: torch.device) -> Labelled:
    return Labelled(labels.target.to(device), labels.mask.to(device), labels.weight.to(device))


def start_original(backbone: str, device: str) -> None:
    """Build the original's loop in its process."""
    LOOP.append(OriginalLoop(backbone, device))


def run_original(_: int) -> float:
    """Take a step of the original's loop."""
    return float(LOOP[0]())  # type: ignore[arg-type]


def compare_loops(backbone: str, config: TrainingBenchmark) -> Timings:
    """Return the steps of a network, timed in turns."""
    ours = {
        "ours, float32": OurLoop(backbone, config.device),
        "ours, bf16": OurLoop(backbone, config.device, torch.bfloat16),
    }
    with untuned_process(start_original, (backbone, config.device)) as process:
        ways: dict[str, Callable[[], object]] = {
            "the original's loop": partial(process.map, run_original, [0]),
            **ours,
        }
        rounds = 2 if config.quick else config.rounds
        question = f"A training step of {backbone}, {BATCH} clips of {_CLIP_SECONDS} s"
        return time_in_turns(question, "clips", ways, BATCH, rounds=rounds)


def measure_training(config: TrainingBenchmark) -> None:
    """Print the tables."""
    tune_cpu()
    backbones = config.backbones[:1] if config.quick else config.backbones
    report_timings([compare_loops(one, config) for one in backbones], torch.device(config.device), config.out)


if __name__ == "__main__":
    run_program(TrainingBenchmark, measure_training)
