"""The 5 s grid of a soundscape, and its samples as a stream of whole windows.

Files of the competition last a minute within some milliseconds: 59.99 s and 60.01 s both have 12 windows. A
last window that holds less than half a second of audio is left out, any other is filled with zeros, so
that nothing audible is lost whatever the length.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

WINDOW_SECONDS = 5
SHORTEST_SECONDS = 0.5  # of audio in a last window


def count_windows(num_samples: int, sample_rate: int) -> int:
    """Return the windows of a file: at least one, if it has a sample at all."""
    if num_samples == 0:
        return 0
    whole, rest = divmod(num_samples, WINDOW_SECONDS * sample_rate)
    return max(whole + (rest >= SHORTEST_SECONDS * sample_rate), 1)


@dataclass(frozen=True)
class Piece:
    """Consecutive windows of a file, with what the shifted grids need after them.

    Attributes
    ----------
    wave
        (sample,) float32: `number` windows and one more, zeros after the end of the file.
    first, number
        Position of the first window in the file, and how many there are.
    """

    wave: np.ndarray
    first: int
    number: int

    def windows(self, shift_seconds: float, sample_rate: int) -> np.ndarray:
        """Return (window, sample), each starting `shift_seconds` after its place in the grid."""
        length = WINDOW_SECONDS * sample_rate
        start = round(shift_seconds * sample_rate)
        return self.wave[start : start + self.number * length].reshape(self.number, length)


def pieces(blocks: Iterable[np.ndarray], sample_rate: int, size: int) -> Iterator[Piece]:
    """Cut a stream of samples into pieces of `size` windows; the last one is shorter.

    Parameters
    ----------
    blocks
        (sample,) float32 each.
    sample_rate
        Samples per second.
    size
        Windows of a piece; memory is bounded by it, not by the file.
    """
    length = WINDOW_SECONDS * sample_rate
    kept: list[np.ndarray] = []
    held = total = first = 0
    for block in blocks:
        kept.append(block)
        held, total = held + len(block), total + len(block)
        while held >= (size + 1) * length:
            wave = np.concatenate(kept)
            yield Piece(wave[: (size + 1) * length], first, size)
            kept, held, first = [wave[size * length :].copy()], held - size * length, first + size
    number = count_windows(total, sample_rate) - first
    rest = np.zeros((max(number, 0) + 1) * length, np.float32)
    tail = np.concatenate([np.zeros(0, np.float32), *kept])[: len(rest)]
    rest[: len(tail)] = tail
    for start in range(0, number, size):
        held = min(size, number - start)
        yield Piece(rest[start * length : (start + held + 1) * length], first + start, held)


def merge_shifts(by_shift: dict[float, np.ndarray]) -> np.ndarray:
    """Average the probabilities of shifted grids on the grid itself, by overlap.

    Parameters
    ----------
    by_shift
        Shift in seconds -> (window, species); window i of shift s covers 5 i + s to 5 i + s + 5.

    Returns
    -------
    numpy.ndarray
        (window, species): the mean over shifts, where window i of the grid takes a shifted grid's windows
        i - 1 and i in proportion to what they cover of it.
    """
    merged = []
    for shift, values in by_shift.items():
        share = shift / WINDOW_SECONDS
        before = np.concatenate([values[:1], values[:-1]])
        merged.append((1 - share) * values + share * before)
    return np.mean(merged, axis=0)


def smooth(values: np.ndarray, share: float) -> np.ndarray:
    """Return (window, species) with `share` of either neighbour mixed in; edges keep their own."""
    if share == 0 or len(values) < 2:
        return values
    before = np.concatenate([values[:1], values[:-1]])
    after = np.concatenate([values[1:], values[-1:]])
    return (1 - 2 * share) * values + share * (before + after)
