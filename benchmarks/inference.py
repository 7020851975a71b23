"""How fast are five folds on soundscapes? Times every engine beside the original's way.

    python -m benchmarks.inference [--quick] [--backbone NAME] [--backends NAME ...] [--device cuda]

Model-windows per second of five TimmSED models (random weights) on generated one-minute soundscapes of 12
windows, decoding included, every way in turns in one run:

- the original's way: each window loaded alone by librosa, torchaudio's log-mel per model, eager, batch 1;
- plain: the file decoded once, windows in a batch, a log-mel per model, eager;
  these two in a process of their own, without the settings of `core.machine.tune_cpu`;
- ours: one log-mel per front end, each engine of `core.inference.engines`, the next file decoded meanwhile;
- a student: the same with one network in the place of five (what it is worth: experiments/README.md).

The difference is the largest one of an ensemble's probability to the original's way. A student's rate is that
of the five networks it stands for. Published, on other
machines: 30.6/s (the original, GPU), 49/s and 110/s (2024's first and third place, CPU, OpenVINO and ONNX).
On a CPU the ceiling is printed, too: what the networks' arithmetic alone would allow at the speed of a large
matrix product. The original's way waits at each small operation and is the first to suffer from a busy
machine: look at several runs before believing its ratio.
"""

import argparse
import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import librosa
import numpy as np
import soundfile
import torch
from scipy.special import expit
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.side_by_side import describe_machine, published_log_mel, time_in_turns
from core.checkpoint import Card
from core.config import FeatureConfig, TimmConfig
from core.inference.config import WindowConfig
from core.inference.engines.backends import BACKENDS, ONNX_FILE, Backend, BackendError, with_backend
from core.inference.engines.export import MelNetwork, write_onnx
from core.inference.ensemble import Ensemble, Member
from core.inference.predictor import Predictor
from core.machine import tune_cpu
from core.models.base import SpeciesModel
from core.models.folding import folded
from core.models.sed import TimmSED

NUM_MODELS, NUM_SPECIES, WINDOWS, SECONDS, NUM_FILES = 5, 21, 12, 5, 4
STUDENT = "student, "
MATRIX = 2048
PUBLISHED = {"the original, GPU": 30.6, "2024 first place, CPU": 49.0, "2024 third place, CPU": 110.0}
Way = Callable[[Sequence[Path]], np.ndarray]
"""Soundscapes of a minute each -> mean probabilities (window, species) of all of them."""
DEFAULT: tuple[Backend, ...] = ("torch", "torch_bf16", "onnxruntime", "openvino", "openvino_bf16")


def build_ensemble(backbone: str, seeds: Sequence[int]) -> Ensemble:
    """Return a model with random weights for each seed."""
    members = []
    for seed in seeds:
        torch.manual_seed(seed)
        config = TimmConfig(backbone=backbone, pretrained=False)
        model = TimmSED(config, FeatureConfig(), NUM_SPECIES).eval()
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.weight, 0.8, 1.2)
        torch.nn.init.constant_(model.scaler.norm.running_mean, -40.0)  # type: ignore[union-attr,arg-type]
        torch.nn.init.constant_(model.scaler.norm.running_var, 400.0)  # type: ignore[union-attr,arg-type]
        species = [f"species{i}" for i in range(NUM_SPECIES)]
        card = Card("benchmark", "benchmark", seed, "", "", {}, species, species, {}, {})
        columns = np.arange(NUM_SPECIES)
        members.append(Member(Path(), model, card, columns, 1 / len(seeds), model.from_mels))
    return Ensemble(members, species)


def spread(ensemble: Ensemble, waves: torch.Tensor) -> None:
    """Scale each classifier so that logits of these waves have a standard deviation of 2."""
    for member in ensemble.members:
        assert isinstance(member.model, TimmSED)
        with torch.inference_mode():
            deviation = member.model(waves).segment_logit.std()
        classifier = member.model.head.pool.classifier
        classifier.weight.data *= 2 / deviation
        classifier.bias.data.fill_(-2.0)  # type: ignore[union-attr]


def write_soundscapes(folder: Path, number: int) -> list[Path]:
    """Write one-minute files of noise and gliding tones, in OGG as the competition's are."""
    rate, paths = 32000, []
    for i in range(number):
        generator = np.random.default_rng(i)
        time_axis = np.arange(60 * rate) / rate
        wave = 0.02 * generator.standard_normal(len(time_axis))
        for _ in range(20):
            start, pitch, glide = (
                generator.uniform(0, 58),
                generator.uniform(800, 9000),
                generator.normal() * 500,
            )
            inside = (time_axis >= start) & (time_axis < start + 1.5)
            local = time_axis[inside] - start
            wave[inside] += (
                0.2 * np.sin(2 * np.pi * (pitch + glide * local) * local) * np.hanning(inside.sum())
            )
        path = folder / f"soundscape{i}.ogg"
        with soundfile.SoundFile(path, "w", rate, 1, format="OGG", subtype="VORBIS") as file:
            for block in np.array_split(wave.astype(np.float32), 60):  # its encoder overruns on long blocks
                file.write(block)
        paths.append(path)
    return paths


class OriginalWay:
    """Each window by itself: load, one log-mel per model, batch 1, default layout, no engine.

    Parameters
    ----------
    ensemble
        Its models, in whatever state they are.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        self.models = [member.model for member in ensemble.members]
        self.log_mel = published_log_mel(FeatureConfig())

    @torch.inference_mode()
    def __call__(self, path: Path) -> np.ndarray:
        """Return the mean probabilities (window, species)."""
        rows = []
        for window in range(WINDOWS):
            wave, _ = librosa.load(path, sr=32000, offset=window * SECONDS, duration=SECONDS)
            waves = torch.from_numpy(np.pad(wave, (0, SECONDS * 32000 - len(wave))))[None]
            logits = [model.from_mels(self.log_mel(waves)[:, None]).clip_logit for model in self.models]
            rows.append(expit(torch.stack(logits).numpy()).mean(axis=0))
        return np.concatenate(rows)


class PlainWay:
    """The file decoded once, its windows in one batch, a log-mel per model, eager.

    Parameters
    ----------
    ensemble
        Its models.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        self.models = [member.model for member in ensemble.members]

    @torch.inference_mode()
    def __call__(self, path: Path) -> np.ndarray:
        """Return the mean probabilities (window, species)."""
        wave, _ = soundfile.read(path, dtype="float32")
        waves = torch.from_numpy(wave[: WINDOWS * SECONDS * 32000]).reshape(WINDOWS, -1)
        logits = torch.stack([model(waves).clip_logit for model in self.models])
        return np.asarray(expit(logits.numpy()).mean(axis=0))


class Untuned:
    """The first two ways in a process that has plain torch's settings.

    Parameters
    ----------
    backbone, seeds, wave
        As the models here were made and scaled.
    """

    def __init__(self, backbone: str, seeds: Sequence[int], wave: torch.Tensor) -> None:
        context = multiprocessing.get_context("spawn")
        self.pool = context.Pool(1, start_untuned, (backbone, seeds, wave.numpy()))

    def way(self, kind: str) -> Way:
        """Return a way that runs there."""
        return lambda paths: np.asarray(self.pool.apply(run_untuned, (kind, list(paths))))

    def close(self) -> None:
        """End the process."""
        self.pool.terminate()


UNTUNED: dict[str, Callable[[Path], np.ndarray]] = {}


def start_untuned(backbone: str, seeds: Sequence[int], wave: np.ndarray) -> None:
    """Make the same models in the other process."""
    ensemble = build_ensemble(backbone, seeds)
    spread(ensemble, torch.from_numpy(wave))
    UNTUNED.update(original=OriginalWay(ensemble), plain=PlainWay(ensemble))


def run_untuned(kind: str, paths: Sequence[Path]) -> np.ndarray:
    """Run one of the ways in the other process."""
    return np.concatenate([UNTUNED[kind](path) for path in paths])


def engine(backend: Backend, ensemble: Ensemble, device: torch.device, folder: Path) -> Way:
    """Return the main command's way with an engine."""
    built = with_backend(ensemble, backend, device, 1, folder)
    predictor = Predictor(built, WindowConfig(), device)
    return lambda paths: np.concatenate([r.probability[0] for r in predictor.predict_files(paths)])


def ways_of(
    backends: list[Backend], ensemble: Ensemble, device: torch.device, folder: Path, untuned: Untuned
) -> dict[str, Way]:
    """Return what is timed, by name."""
    ways = {"the original's way": untuned.way("original"), "plain, batched": untuned.way("plain")}
    one = Ensemble([replace(ensemble.members[0], weight=1.0)], ensemble.species)
    for prefix, models in (("", ensemble), (STUDENT, one)):
        for backend in backends:
            try:
                ways[prefix + backend] = engine(backend, models, device, folder)
            except BackendError as error:
                print(f"{prefix}{backend}: {error}")
    return ways


def time_ways(ways: dict[str, Way], files: list[Path], rounds: int) -> dict[str, list[float]]:
    """Return seconds per soundscape of each way, taken in turns."""
    seconds = time_in_turns(ways, files, rounds)
    return {name: [taken / len(files) for taken in found] for name, found in seconds.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="under a minute: one model five times")
    parser.add_argument("--backbone", default="tf_efficientnet_b0")
    parser.add_argument("--backends", nargs="*", default=list(DEFAULT), choices=BACKENDS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    device, rounds = torch.device(given.device), 2 if given.quick else given.rounds
    tune_cpu()
    print(describe_machine(device, ("torch", "torchaudio", "timm")))
    seeds = [0] * NUM_MODELS if given.quick else list(range(NUM_MODELS))
    ensemble = build_ensemble(given.backbone, seeds)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = write_soundscapes(folder, 1 if given.quick else NUM_FILES)
        wave = torch.from_numpy(soundfile.read(files[0], dtype="float32")[0]).reshape(WINDOWS, -1)
        spread(ensemble, wave)
        if any(not backend.startswith("torch") for backend in given.backends):
            write_files(ensemble, seeds, wave, folder)
        untuned = Untuned(given.backbone, seeds, wave)
        ways = ways_of(given.backends, ensemble, device, folder, untuned)
        found = {name: way(files) for name, way in ways.items()}
        seconds = time_ways(ways, files, rounds)
        untuned.close()
    print_table(found, seconds, len(ensemble.members))
    if device.type == "cpu":
        print_ceiling(ensemble.members[0].model, wave)


def write_files(ensemble: Ensemble, seeds: Sequence[int], wave: torch.Tensor, folder: Path) -> None:
    """Write each model for the engines that read files; equal ones are written once."""
    for i, (member, seed) in enumerate(zip(ensemble.members, seeds, strict=True)):
        file = folder / f"member{i}" / ONNX_FILE
        file.parent.mkdir()
        if seed in seeds[:i]:
            shutil.copyfile(folder / f"member{seeds.index(seed)}" / ONNX_FILE, file)
            continue
        model = folded(member.model)
        with torch.no_grad():
            mels = model.front_end(wave[:2])
        write_onnx(MelNetwork(model, 1), mels, "mels", file)


def print_table(found: dict[str, np.ndarray], seconds: dict[str, list[float]], num_models: int) -> None:
    """Print rates, ratios to the first way and differences to it."""
    first = next(iter(seconds))
    print(f"\n{'':26}{'model-windows/s':>16}{'ratio':>8}{'largest difference':>20}")
    for name, values in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(seconds[first], values, strict=True))
        rate = WINDOWS * num_models / statistics.median(values)
        difference = f"{np.abs(found[name] - found[first]).max():.1e}"
        shown = "another network" if name.startswith(STUDENT) else difference
        print(f"{name:26}{rate:16.1f}{ratio:8.2f}{shown:>20}")
    print("\nPublished: " + ", ".join(f"{name} {rate:g}/s" for name, rate in PUBLISHED.items()))


def print_ceiling(model: SpeciesModel, waves: torch.Tensor) -> None:
    """Print how many windows a second the processor's largest matrix products would allow."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        mels = model.front_end(waves)
        before = counter.get_total_flops()
        model.from_mels(mels)
    operations = (counter.get_total_flops() - before) / len(waves)
    ceilings = []
    for name, kind in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        speed = matrix_speed(kind)
        ceilings.append(f"{name} {speed / operations:.0f}/s ({speed / 1e9:.0f} GFLOP/s)")
    print(f"Ceiling of {operations / 1e9:.3f} GFLOP a window: {', '.join(ceilings)}")


def matrix_speed(kind: torch.dtype) -> float:
    """Return operations per second of a large matrix product, the best of ten."""
    matrix = torch.randn(MATRIX, MATRIX).to(kind)
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - started)
    return float(2 * MATRIX**3 / min(seconds))


if __name__ == "__main__":
    main()
