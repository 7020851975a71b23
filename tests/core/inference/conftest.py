"""A trained ensemble of two folds, and soundscapes of odd lengths."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.inference.config import ExportConfig
from core.inference.engines.export import export
from tests.conftest import made_once
from tests.runs import train_two_folds

RATE = 32000


@dataclass(frozen=True)
class Trained:
    """Two runs on the tiny data, which lies in `root`."""

    root: Path
    runs: tuple[str, str]


@pytest.fixture(scope="session")
def trained(tiny_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = made_once(tmp_path_factory, "trained", lambda made: train_two_folds(tiny_demo, made))
    first, second = sorted(str(run) for run in folder.glob("tiny/*-fold?"))
    return Trained(tiny_demo, (first, second))


def write_noise(path: Path, seconds: float, rate: int = RATE, channels: int = 1, seed: int = 0) -> Path:
    """Write a file of noise whose loudness changes every second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    number = round(seconds * rate)
    envelope = np.repeat(generator.uniform(0.001, 0.3, int(seconds) + 2), rate)[:number]
    wave = generator.standard_normal((number, channels)) * envelope[:, None] * 0.2
    soundfile.write(path, wave.squeeze(), rate)
    return path


@pytest.fixture
def soundscapes(tmp_path: Path) -> Path:
    """Return a folder of soundscapes: 59.99, 60.01, 61 and 4.2 s, and a stereo one at 44.1 kHz."""
    folder = tmp_path / "soundscapes"
    for i, seconds in enumerate((59.99, 60.01, 61.0, 4.2)):
        write_noise(folder / f"s{i}.wav", seconds, seed=i)
    write_noise(folder / "stereo.flac", 12.0, rate=44100, channels=2, seed=9)
    return folder


@pytest.fixture(scope="session")
def exported(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an export of the trained ensemble, made on the demo's soundscapes and their truth."""
    config = ExportConfig(
        checkpoints=trained.runs,
        soundscapes=(str(trained.root / "test_soundscapes"),),
        truth=str(trained.root / "solution.csv"),
        backends=("torch", "onnxruntime", "openvino", "torch_bf16", "openvino_bf16"),
        weights=(3.0, 1.0),
        whole=True,
        max_windows=48,
    )
    return made_once(tmp_path_factory, "export", lambda made: export(replace(config, out=str(made))))
