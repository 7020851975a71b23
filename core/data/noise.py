"""Background noise mixed into clips at a random signal-to-noise ratio.

Semantics of audiomentations' AddBackgroundNoise (0.24), as the published solution used it: a file is
chosen uniformly, starts anywhere when it is longer than the clip and is repeated when it is shorter, and
is scaled to rms(clip) / 10 ** (snr / 20). Sets are gated independently and stack. Silent noise and silent
clips are left alone.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.config_data import NoiseConfig
from core.data.audio import AUDIO_SUFFIXES
from core.data.audio_files import search_audio
from core.data.pcm import PcmStore

SILENCE_RMS = 1e-9


class NoiseMixer:
    """Mix noise of several sets into a clip.

    Parameters
    ----------
    sets
        One store of call-free audio per set.
    config
        Chance of each set, and the SNR range in dB.
    """

    def __init__(self, sets: Sequence[PcmStore], config: NoiseConfig) -> None:
        self.sets, self.config = sets, config
        self.usable = [np.flatnonzero(store.lengths) for store in sets]

    def __call__(self, wave: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return the noisy clip, (sample,) float32, from a clean one."""
        for store, usable, probability in zip(
            self.sets, self.usable, self.config.probabilities, strict=False
        ):
            if generator.random() < probability and len(usable):
                noise = self._excerpt(store, int(generator.choice(usable)), len(wave), generator)
                snr_db = generator.uniform(self.config.min_snr_db, self.config.max_snr_db)
                wave = mix(wave, noise, snr_db)
        return wave

    @staticmethod
    def _excerpt(store: PcmStore, file: int, length: int, generator: np.random.Generator) -> np.ndarray:
        surplus = int(store.lengths[file]) - length
        start = int(generator.integers(surplus + 1)) if surplus > 0 else 0
        noise = store.read(file, start, length).astype(np.float32) / 32768.0
        return np.resize(noise, length)


def mix(wave: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Return a clip with noise, (sample,) float32; the clip itself where either is silent.

    Parameters
    ----------
    wave, noise
        (sample,) float32 of one length.
    snr_db
        The noise is scaled to lie this far below the clip's RMS.
    """
    wave_rms, noise_rms = root_mean_square(wave), root_mean_square(noise)
    if wave_rms < SILENCE_RMS or noise_rms < SILENCE_RMS:
        return wave
    return wave + noise * np.float32(wave_rms / noise_rms / 10 ** (snr_db / 20))


def root_mean_square(wave: np.ndarray) -> float:
    """Return the root mean square of (sample,) float32."""
    return float(np.sqrt(np.dot(wave, wave) / len(wave)))


def find_noise(root: Path, config: NoiseConfig) -> list[list[Path]]:
    """Return the audio files of each noise set, sorted.

    Parameters
    ----------
    root
        Folder of the recordings; its `background/` is the one set where no folders are configured.
    config
        Folders of the sets.

    Raises
    ------
    ValueError
        If a configured folder does not exist or holds no audio.
    """
    if not config.folders:
        background = root / "background"
        return [search_audio(background).files] if background.is_dir() else []
    sets = []
    for folder in config.folders:
        files = search_audio(Path(folder)).files if Path(folder).is_dir() else []
        if not files:
            message = f"data.noise.folders: {folder} holds no audio ({', '.join(AUDIO_SUFFIXES)})"
            raise ValueError(message)
        sets.append(files)
    return sets
