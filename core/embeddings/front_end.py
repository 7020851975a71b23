"""Waves to embeddings as a step of a network: the place of the log-mel in a network on embeddings."""

from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from core.embeddings.cards import EmbeddingCard
from core.embeddings.engines import Embedded, Engine, open_engine
from core.models.log_mel import to_float

ENGINE_BATCH = 8


class Embedder(nn.Module):
    """Frozen embeddings of the windows of a wave; it has no weights of its own to train or save.

    Parameters
    ----------
    card
        The pretrained network. Its file is looked for at once and opened at the first call.

    Attributes
    ----------
    config
        The card, by which equal front ends are told from others.
    """

    def __init__(self, card: EmbeddingCard) -> None:
        super().__init__()
        self.config = card
        if card.is_file:
            card.checked_file()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return this very front end: a copy of a network shares what is frozen."""
        return self

    @cached_property
    def engine(self) -> Engine:
        """What runs the network."""
        return open_engine(self.config)

    @cached_property
    def size(self) -> int:
        """Numbers in an embedding, as the network gives them."""
        return self.embed(np.zeros((1, self.config.window_samples), np.float32)).embedding.shape[1]

    def close(self) -> None:
        """Let go of the network's memory, some gigabytes of BirdNET; the next call opens it again."""
        self.__dict__.pop("engine", None)

    def announce(self, quiet: bool = False) -> None:
        """Print whose embeddings these are and under which licence, unless `quiet`."""
        if not quiet:
            card = self.config
            print(f"Embeddings of {card.name}: licence {card.licence}; {card.source}", flush=True)

    def num_frames(self, num_samples: int) -> int:
        """Return the windows that are cut from a wave: at least one if it has a sample.

        The last one may reach half a step beyond the end; less is left out.

        Parameters
        ----------
        num_samples
            Of the wave.
        """
        if num_samples == 0:
            return 0
        return max(round((num_samples - self.config.window_samples) / self.config.hop_samples), 0) + 1

    def windows(self, wave: np.ndarray, first: int, number: int) -> np.ndarray:
        """Return windows of a wave, (window, sample), zeros after its end; a short wave is repeated.

        Parameters
        ----------
        wave
            (sample,).
        first, number
            Which windows.
        """
        length, hop = self.config.window_samples, self.config.hop_samples
        if 0 < len(wave) < length:
            wave = np.resize(wave, length)
        wave = wave[first * hop :]
        missing = (number - 1) * hop + length - len(wave)
        padded = np.pad(wave, (0, max(missing, 0)))
        return np.lib.stride_tricks.sliding_window_view(padded, length)[::hop][:number]

    def embed(self, windows: np.ndarray) -> Embedded:
        """Return what the network says of windows (window, sample) float32 in [-1, 1]."""
        pieces = [
            self.engine(np.ascontiguousarray(windows[start : start + ENGINE_BATCH]))
            for start in range(0, len(windows), ENGINE_BATCH)
        ]
        return Embedded(
            np.concatenate([piece.embedding for piece in pieces]),
            np.concatenate([piece.logit for piece in pieces]),
        )

    def forward(self, wave: Tensor) -> Tensor:
        """Return the embeddings of waves, like spectrograms with a band for each number.

        Parameters
        ----------
        wave
            (batch, sample) float in [-1, 1] or int16, at the card's sample rate.

        Returns
        -------
        Tensor
            (batch, 1, size, frame) float32 on the waves' device.
        """
        number = self.num_frames(wave.shape[-1])
        rows = to_float(wave).cpu().numpy()
        windows = np.concatenate([self.windows(row, 0, number) for row in rows])
        found = torch.from_numpy(self.embed(windows).embedding).unflatten(0, (len(rows), number))
        return found.transpose(1, 2).unsqueeze(1).contiguous().to(wave.device)
