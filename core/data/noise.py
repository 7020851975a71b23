"""Background noise mixed into clips at a random signal-to-noise ratio.

Semantics of audiomentations' AddBackgroundNoise (0.24), as the published solution used it: a file is
chosen uniformly, starts anywhere when it is longer than the clip and is repeated when it is shorter, and
is scaled to rms(clip) / 10 ** (snr / 20). Sets are gated independently and stack. Silent noise and silent
clips are left alone. What is mixed is drawn with the clips; `core.training.augment` mixes it
on the device.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from core.config_data import NoiseConfig
from core.data.audio import AUDIO_SUFFIXES
from core.data.audio_files import search_audio
from core.data.pcm import PcmStore, fill_rest, new_samples


class NoiseOfSet(NamedTuple):
    """What one set of noise adds to a batch."""

    wave: Tensor
    """(noise, sample) int16."""
    clip: Tensor
    """(noise,) int64, which clip of the batch each is for; none twice."""
    snr_db: Tensor
    """(noise,) float32, how far below the clip's RMS it is to lie."""


class DrawnNoise(NamedTuple):
    """Noise that was drawn for a clip."""

    of_set: int
    file: int
    """Position in the set."""
    start: int
    """First sample."""
    snr_db: float


class NoiseSets:
    """Draws the noise of clips from several sets.

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

    def draw(self, length: int, generator: np.random.Generator) -> Iterator[DrawnNoise]:
        """Yield what is to be mixed into a clip of `length` samples."""
        chances = self.config.probabilities
        for place, (store, usable, chance) in enumerate(zip(self.sets, self.usable, chances, strict=False)):
            if generator.random() < chance and len(usable):
                file = int(generator.choice(usable))
                surplus = int(store.lengths[file]) - length
                start = int(generator.integers(surplus + 1)) if surplus > 0 else 0
                level = generator.uniform(self.config.min_snr_db, self.config.max_snr_db)
                yield DrawnNoise(place, file, start, level)

    def gather(
        self, drawn: Sequence[Sequence[DrawnNoise]], length: int, *, pinned: bool = False
    ) -> list[NoiseOfSet]:
        """Return the noise of a batch by set, of those that some clip has.

        Parameters
        ----------
        drawn
            What each clip gets.
        length
            Of a clip, in samples.
        pinned
            In memory from which a GPU can copy by itself.
        """
        found = []
        for place, store in enumerate(self.sets):
            chosen = [(clip, one) for clip, row in enumerate(drawn) for one in row if one.of_set == place]
            if not chosen:
                continue
            waves = new_samples((len(chosen), length), np.dtype(np.int16), pinned=pinned)
            for row, (_, one) in zip(waves.numpy(), chosen, strict=True):
                fill_rest(row, store.read_into(one.file, one.start, row), "repeat")
            clips = torch.tensor([clip for clip, _ in chosen])
            levels = torch.tensor([one.snr_db for _, one in chosen])
            found.append(NoiseOfSet(waves, *(x.pin_memory() if pinned else x for x in (clips, levels))))
        return found


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
