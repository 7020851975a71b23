"""How other libraries load a clip and mix noise into it, where they are installed; none is required."""

from collections.abc import Callable, Sequence
from pathlib import Path

import librosa
import numpy as np

LoadClip = Callable[[Path, float, float], np.ndarray]
"""File, offset and duration in seconds -> (sample,) float32."""
MixNoise = Callable[[np.ndarray], np.ndarray]


def clip_loaders(sample_rate: int) -> dict[str, LoadClip]:
    """Return the ways to load a clip from a compressed file at a sample rate; the original's first."""

    def from_librosa(path: Path, offset: float, seconds: float) -> np.ndarray:
        return np.asarray(librosa.load(path, sr=sample_rate, offset=offset, duration=seconds)[0])

    loaders: dict[str, LoadClip] = {"librosa": from_librosa}
    try:
        from torchcodec.decoders import AudioDecoder

        def from_torchcodec(path: Path, offset: float, seconds: float) -> np.ndarray:
            decoder = AudioDecoder(str(path), sample_rate=sample_rate, num_channels=1)
            return np.asarray(decoder.get_samples_played_in_range(offset, offset + seconds).data[0])

        loaders["torchcodec"] = from_torchcodec
    except (ImportError, RuntimeError):  # it is there, but not its ffmpeg
        pass
    try:
        from opensoundscape import Audio

        def from_opensoundscape(path: Path, offset: float, seconds: float) -> np.ndarray:
            audio = Audio.from_file(path, sample_rate=sample_rate, offset=offset, duration=seconds)
            return np.asarray(audio.samples)

        loaders["opensoundscape"] = from_opensoundscape
    except ImportError:
        pass
    return loaders


def noise_mixer(folders: Sequence[Path], chances: Sequence[float], sample_rate: int) -> MixNoise | None:
    """Return how audiomentations mixes sets of noise into a clip, each with its chance; None without it.

    Parameters
    ----------
    folders, chances
        A set of noise files, and the chance of it, each.
    sample_rate
        Samples per second.
    """
    try:
        from audiomentations import AddBackgroundNoise, Compose
    except ImportError:
        return None
    steps = [
        AddBackgroundNoise(sounds_path=str(folder), min_snr_db=0.0, max_snr_db=3.0, p=chance)
        for folder, chance in zip(folders, chances, strict=True)
    ]
    mix = Compose(steps)
    return lambda wave: np.asarray(mix(wave, sample_rate=sample_rate))
