"""How fast five folds are on soundscapes: every engine beside the original's way.

    python -m benchmarks.inference [--quick] [--backbone NAME] [--backends NAME ...] [--device cuda]

Model-windows per second of five TimmSED models (random weights) on generated one-minute soundscapes of 12
windows, decoding included, every way in turns in one run:

- the original's way: each window loaded alone by librosa, torchaudio's log-mel per model, eager, batch 1;
- plain: the file decoded once, windows in a batch, a log-mel per model, eager;
  these two in a process of their own, without the settings of `core.machine.tune_cpu`;
- ours: one log-mel per front end, each engine of `core.inference.engines`, the next file decoded meanwhile;
- a student: the same with one network in the place of five (what it is worth: experiments/README.md).

The difference is the largest one of an ensemble's probability to the original's way. A student's rate is that
of the five networks it stands for. Published, on other machines: 30.6/s (the original, GPU), 49/s and 110/s
(2024's first and third place, CPU, OpenVINO and ONNX). The original's way waits at each small operation and
is the first to suffer from a busy machine: look at several runs before believing its ratio.
"""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.pool import Pool
from pathlib import Path

import librosa
import numpy as np
import torch
from scipy.special import expit
from torch import Tensor

from benchmarks.simulated import (
    NUM_MODELS,
    RATE,
    SECONDS,
    WINDOWS,
    build_ensemble,
    waves_of,
    write_soundscapes,
)
from benchmarks.timing import report_timings, time_in_turns, untuned_process
from benchmarks.training import original_log_mel
from core.config import FeatureConfig
from core.inference.config import WindowConfig
from core.inference.engines.backends import ONNX_FILE, Backend, BackendError, with_backend
from core.inference.engines.export import MelNetwork, write_onnx
from core.inference.ensemble import Ensemble
from core.inference.predictor import Predictor
from core.machine import tune_cpu
from core.models.folding import folded
from core.program import run_program

NUM_FILES = 4
STUDENT = "student, "
PUBLISHED = {"the original, GPU": 30.6, "2024 first place, CPU": 49.0, "2024 third place, CPU": 110.0}
Way = Callable[[Sequence[Path]], np.ndarray]
"""Soundscapes of a minute each -> mean probabilities (window, species) of all of them."""


@dataclass(frozen=True, kw_only=True)
class InferenceBenchmark:
    """Time every engine on soundscapes beside the original's way."""

    quick: bool = False
    """Under a minute: one model five times."""
    backbone: str = "tf_efficientnet_b0"
    """Network of timm."""
    backends: tuple[Backend, ...] = ("torch", "torch_bf16", "onnxruntime", "openvino", "openvino_bf16")
    """Engines."""
    device: str = "cpu"
    """Where torch's engines run."""
    rounds: int = 7
    """Turns of all ways."""
    out: str | None = None
    """Also write the table as .json."""


class OriginalWay:
    """Each window by itself: load, one log-mel per model, batch 1, default layout, no engine.

    Parameters
    ----------
    ensemble
        Its models, in whatever state they are.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        self.models = [member.model for member in ensemble.members]
        self.log_mel = original_log_mel(FeatureConfig())

    def logits(self, path: Path) -> Tensor:
        """Return (model, window, species)."""
        windows = []
        for window in range(WINDOWS):
            wave, _ = librosa.load(path, sr=RATE, offset=window * SECONDS, duration=SECONDS)
            waves = torch.from_numpy(np.pad(wave, (0, SECONDS * RATE - len(wave))))[None]
            logits = [model.from_mels(self.log_mel(waves)[:, None]).clip_logit for model in self.models]
            windows.append(torch.stack(logits))
        return torch.cat(windows, dim=1)

    @torch.inference_mode()
    def __call__(self, paths: Sequence[Path]) -> np.ndarray:
        """Return the mean probabilities (window, species)."""
        return np.concatenate([expit(self.logits(path).numpy()).mean(axis=0) for path in paths])


class PlainWay(OriginalWay):
    """The file decoded once, its windows in one batch, a log-mel per model, eager."""

    def logits(self, path: Path) -> Tensor:
        """Return (model, window, species)."""
        waves = waves_of(path)
        return torch.stack([model(waves).clip_logit for model in self.models])


UNTUNED: dict[str, Way] = {}
"""The first two ways, in a process that has plain torch's settings."""


def start_untuned(backbone: str, seeds: Sequence[int], file: Path) -> None:
    """Make the same models in the other process."""
    ensemble = build_ensemble(backbone, seeds, waves_of(file))
    UNTUNED.update({"the original's way": OriginalWay(ensemble), "plain, batched": PlainWay(ensemble)})


def run_untuned(name: str, paths: Sequence[Path]) -> np.ndarray:
    """Run one of the ways in the other process."""
    return UNTUNED[name](paths)


def ways_of(
    backends: Sequence[Backend], ensemble: Ensemble, device: torch.device, folder: Path, untuned: Pool
) -> dict[str, Way]:
    """Return what is timed, by name."""
    ways: dict[str, Way] = {
        name: lambda paths, name=name: untuned.apply(run_untuned, (name, paths))  # type: ignore[misc]
        for name in ("the original's way", "plain, batched")
    }
    one = Ensemble([replace(ensemble.members[0], weight=1.0)], ensemble.species)
    for prefix, models in (("", ensemble), (STUDENT, one)):
        for backend in backends:
            try:
                built = with_backend(models, backend, device, 1, folder)
            except BackendError as error:
                print(f"{prefix}{backend}: {error}")
                continue
            predict = Predictor(built, WindowConfig(), device).predict_files
            ways[prefix + backend] = lambda paths, predict=predict: np.concatenate(  # type: ignore[misc]
                [one.probability[0] for _, one in sorted(predict(paths), key=lambda one: one[0])]
            )
    return ways


def measure_inference(config: InferenceBenchmark) -> None:
    """Print the table."""
    device = torch.device(config.device)
    tune_cpu()
    seeds = [0] * NUM_MODELS if config.quick else list(range(NUM_MODELS))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = write_soundscapes(folder, 1 if config.quick else NUM_FILES)
        waves = waves_of(files[0])
        ensemble = build_ensemble(config.backbone, seeds, waves)
        if any(not backend.startswith("torch") for backend in config.backends):
            write_files(ensemble, seeds, waves, folder)
        with untuned_process(start_untuned, (config.backbone, seeds, files[0])) as untuned:
            ways = ways_of(config.backends, ensemble, device, folder, untuned)
            found = {name: way(files) for name, way in ways.items()}
            first, *_ = found.values()
            notes = {
                name: "another network"
                if name.startswith(STUDENT)
                else f"largest difference {np.abs(one - first).max():.1e}"
                for name, one in found.items()
            }
            timings = time_in_turns(
                f"Five {config.backbone} on {len(files)} soundscapes of a minute, decoding included",
                "model-windows",
                {name: partial(way, files) for name, way in ways.items()},
                WINDOWS * len(files) * NUM_MODELS,
                rounds=2 if config.quick else config.rounds,
                notes=notes,
            )
    report_timings([timings], device, config.out)
    print("Published: " + ", ".join(f"{name} {rate:g}/s" for name, rate in PUBLISHED.items()))


def write_files(ensemble: Ensemble, seeds: Sequence[int], waves: Tensor, folder: Path) -> None:
    """Write each model for the engines that read files; equal ones are written once."""
    for i, (member, seed) in enumerate(zip(ensemble.members, seeds, strict=True)):
        file = folder / f"member{i}" / ONNX_FILE
        file.parent.mkdir()
        if seed in seeds[:i]:
            shutil.copyfile(folder / f"member{seeds.index(seed)}" / ONNX_FILE, file)
            continue
        model = folded(member.model)
        with torch.no_grad():
            mels = model.front_end(waves[:2])
        write_onnx(MelNetwork(model, 1), mels, "mels", file)


if __name__ == "__main__":
    run_program(InferenceBenchmark, measure_inference)
