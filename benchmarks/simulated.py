"""Networks with random weights, and soundscapes of noise and gliding tones: what times are measured on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from core.checkpoint import Card
from core.config import FeatureConfig, TimmConfig
from core.inference.ensemble import Ensemble, Member
from core.models.sed import TimmSED

NUM_MODELS, NUM_SPECIES, WINDOWS, SECONDS, RATE = 5, 21, 12, 5, 32000


def build_ensemble(backbone: str, seeds: Sequence[int], waves: Tensor) -> Ensemble:
    """Return a model a seed with random weights, its logits of some waves scaled to a deviation of 2."""
    members = []
    species, columns = [f"species{i}" for i in range(NUM_SPECIES)], np.arange(NUM_SPECIES)
    for seed in seeds:
        torch.manual_seed(seed)
        config = TimmConfig(backbone=backbone, pretrained=False)
        model = TimmSED(config, FeatureConfig(), NUM_SPECIES).eval()
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.weight, 0.8, 1.2)
        torch.nn.init.constant_(model.scaler.norm.running_mean, -40.0)  # type: ignore[union-attr,arg-type]
        torch.nn.init.constant_(model.scaler.norm.running_var, 400.0)  # type: ignore[union-attr,arg-type]
        with torch.inference_mode():
            deviation = model(waves).segment_logit.std()
        classifier = model.head.pool.classifier
        classifier.weight.data *= 2 / deviation
        classifier.bias.data.fill_(-2.0)  # type: ignore[union-attr]
        card = Card("benchmark", "benchmark", seed, "", "", {}, species, species, {}, {})
        members.append(Member(Path(), model, card, columns, 1 / len(seeds), model.from_mels))
    return Ensemble(members, species)


def write_soundscapes(folder: Path, number: int) -> list[Path]:
    """Write one-minute files of noise and gliding tones, in OGG as the competition's are."""
    paths = [folder / f"soundscape{i}.ogg" for i in range(number)]
    local = np.arange(1.5 * RATE) / RATE
    for i, path in enumerate(paths):
        generator = np.random.default_rng(i)
        wave = 0.02 * generator.standard_normal(60 * RATE)
        for _ in range(20):
            start, pitch, glide = (
                generator.integers(58 * RATE),
                generator.uniform(800, 9000),
                generator.normal(),
            )
            tone = np.sin(2 * np.pi * (pitch + 500 * glide * local) * local) * np.hanning(len(local))
            wave[start : start + len(local)] += 0.2 * tone
        with soundfile.SoundFile(path, "w", RATE, 1, format="OGG", subtype="VORBIS") as file:
            for block in np.array_split(wave.astype(np.float32), 60):  # its encoder overruns on long blocks
                file.write(block)
    return paths


def waves_of(path: Path) -> Tensor:
    """Return the waves (window, sample) of a soundscape."""
    return torch.from_numpy(soundfile.read(path, dtype="float32")[0][: 60 * RATE]).reshape(WINDOWS, -1)
