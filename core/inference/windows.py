"""The 5 s grid of a soundscape, and its samples as a stream of whole windows.

Files of the competition last a minute within some milliseconds: 59.99 s and 60.01 s both have 12 windows. A
last window that holds less than half a second of audio is left out. Any other is filled as the network's
training clips were, with zeros or by repetition, so that nothing audible is lost whatever the length.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from core.data.clips import fill_clip
from core.data.soundscapes import WINDOW_SECONDS

SHORTEST_SECONDS = 0.5  # of audio in a last window


class WindowFormat(NamedTuple):
    """The windows that a network expects."""

    sample_rate: int
    """Samples per second."""
    short_clips: str
    """How a window that the file's end cuts off is filled: "pad" or "repeat" (see `DataConfig`)."""


@dataclass(frozen=True)
class Piece:
    """Consecutive windows of a file, with what the shifted grids need after them.

    Attributes
    ----------
    wave
        (sample,) float32 or int16: `number` windows and one more, zeros after the end of the file.
    first, number
        Position of the first window in the file, and how many there are.
    sample_rate
        Samples per second.
    num_samples
        Samples of `wave` that are the file's.
    """

    wave: np.ndarray
    first: int
    number: int
    sample_rate: int
    num_samples: int

    @property
    def end_seconds(self) -> float:
        """Seconds from the start of the file to the last sample that is its own."""
        return self.first * WINDOW_SECONDS + self.num_samples / self.sample_rate

    def windows(self, shift_seconds: float, short_clips: str = "pad") -> np.ndarray:
        """Return (window, sample), each window `shift_seconds` after its place in the grid.

        Parameters
        ----------
        shift_seconds
            From 0 to below a window.
        short_clips
            How the window with the file's end in it is filled, see `WindowFormat`. Windows wholly after the
            end, which a shifted grid may have, are zeros.
        """
        length = WINDOW_SECONDS * self.sample_rate
        start = round(shift_seconds * self.sample_rate)
        windows = self.wave[start : start + self.number * length].reshape(self.number, length)
        last, rest = divmod(max(self.num_samples - start, 0), length)
        if short_clips == "repeat" and rest and last < self.number:
            windows = windows.copy()
            windows[last] = fill_clip(windows[last, :rest], length, short_clips)
        return windows


Pieces = dict[int, Piece]
"""Sample rate -> the same windows at that rate."""


def count_windows(num_samples: int, sample_rate: int) -> int:
    """Return the windows of a file: at least one, if it has a sample at all.

    Parameters
    ----------
    num_samples
        Length of the file.
    sample_rate
        Samples per second.

    Examples
    --------
    >>> [count_windows(round(seconds * 32000), 32000) for seconds in (0, 0.1, 59.99, 60.01, 60.5)]
    [0, 1, 12, 12, 13]
    """
    if num_samples == 0:
        return 0
    whole, rest = divmod(num_samples, WINDOW_SECONDS * sample_rate)
    return max(whole + (rest >= SHORTEST_SECONDS * sample_rate), 1)


def cut_pieces(
    blocks: Iterable[tuple[np.ndarray, ...]], sample_rates: Sequence[int], size: int
) -> Iterator[Pieces]:
    """Cut a stream of samples into pieces of `size` windows; the last one is shorter.

    Parameters
    ----------
    blocks
        (sample,) float32 or int16 for each rate, see `core.data.audio.stream_rates`.
    sample_rates
        (rate,) samples per second.
    size
        Windows of a piece; memory is bounded by it, not by the file.

    Yields
    ------
    dict
        Sample rate -> the same windows at that rate.
    """
    copies = itertools.tee(blocks, len(sample_rates))
    streams = [map(itemgetter(i), copy) for i, copy in enumerate(copies)]
    cuts = [_cut(stream, rate, size) for stream, rate in zip(streams, sample_rates, strict=True)]
    for cut in zip(*cuts, strict=False):  # rounding may give one rate a last window that another lacks
        number = min(piece.number for piece in cut)
        yield {piece.sample_rate: replace(piece, number=number) for piece in cut}


def _cut(blocks: Iterable[np.ndarray], sample_rate: int, size: int) -> Iterator[Piece]:
    """Yield the pieces of one sample rate, each in its own memory, to which blocks are copied."""
    length = WINDOW_SECONDS * sample_rate
    room = (size + 1) * length
    wave, held, first = np.empty(0, np.float32), 0, 0
    for block in blocks:
        if not len(wave):
            wave = np.empty(room, block.dtype)
        while len(block):
            part, block = block[: room - held], block[room - held :]
            wave[held : held + len(part)] = part
            held += len(part)
            if held == room:
                yield Piece(wave, first, size, sample_rate, room)
                full, wave = wave, np.empty(room, wave.dtype)
                wave[:length] = full[-length:]
                held, first = length, first + size
    number = count_windows(first * length + held, sample_rate) - first
    rest = wave[: (number + 1) * length] if number <= size else np.concatenate([wave, wave[:length]])
    rest[held:] = 0
    for start in range(0, number, size):
        count = min(size, number - start)
        wave = rest[start * length : (start + count + 1) * length]
        num_samples = min(max(held - start * length, 0), len(wave))
        yield Piece(wave, first + start, count, sample_rate, num_samples)


def merge_shifts(by_shift: Mapping[float, np.ndarray]) -> np.ndarray:
    """Average the probabilities of shifted grids on the grid itself, by overlap.

    Parameters
    ----------
    by_shift
        Shift in seconds -> (..., window, species); window i of shift s covers 5 i + s to 5 i + s + 5.

    Returns
    -------
    numpy.ndarray
        (..., window, species): the mean over shifts, where window i of the grid takes a shifted grid's
        windows i - 1 and i in proportion to what they cover of it.
    """
    merged = []
    for shift, values in by_shift.items():
        share = shift / WINDOW_SECONDS
        before = np.concatenate([values[..., :1, :], values[..., :-1, :]], axis=-2)
        merged.append((1 - share) * values + share * before)
    return np.mean(merged, axis=0)


def mix_neighbours(values: np.ndarray, share: float) -> np.ndarray:
    """Return (window, species) with some of either neighbour mixed in; edges keep their own.

    Parameters
    ----------
    values
        (window, species), consecutive windows of one file.
    share
        Of each neighbour, from 0 to 1/3.
    """
    if share == 0 or len(values) < 2:
        return values
    before = np.concatenate([values[:1], values[:-1]])
    after = np.concatenate([values[1:], values[-1:]])
    return (1 - 2 * share) * values + share * (before + after)
