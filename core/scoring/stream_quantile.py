"""The exact quantile of more values than memory holds, which can be read several times.

Values are sorted by their bits: each pass counts the values by their next 16 bits, among those that agree
with the wanted one in the bits before, until the rest fits into memory.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

DIGIT_BITS = 16
NUM_DIGITS = 64 // DIGIT_BITS
MOST_KEPT = 4_000_000
"""Values that are kept rather than counted."""


@dataclass
class _Wanted:
    """The value at one rank, as far as it is known.

    Attributes
    ----------
    rank
        Among the values that agree with it in its first digits.
    prefix
        These digits, as a number.
    digits
        How many they are.
    number
        Values that agree with it so far; None: not counted yet.
    """

    rank: int
    prefix: int = 0
    digits: int = 0
    number: int | None = None
    counts: np.ndarray = field(default_factory=lambda: np.zeros(1 << DIGIT_BITS, np.int64))
    kept: list[np.ndarray] = field(default_factory=list)

    @property
    def is_kept(self) -> bool:
        """Whether the next pass keeps the values that agree with it, rather than counting them."""
        return self.number is not None and (self.number <= MOST_KEPT or self.digits == NUM_DIGITS)

    def look(self, keys: np.ndarray) -> None:
        """Count or keep what a block of sorted-by-bits values holds."""
        if self.digits:
            keys = keys[keys >> np.uint64(64 - DIGIT_BITS * self.digits) == np.uint64(self.prefix)]
        if self.is_kept:
            self.kept.append(keys[:1] if self.digits == NUM_DIGITS else keys)
            return
        digit = (keys >> np.uint64(64 - DIGIT_BITS * (self.digits + 1))) & np.uint64((1 << DIGIT_BITS) - 1)
        self.counts += np.bincount(digit.astype(np.int64), minlength=1 << DIGIT_BITS)

    def settle(self) -> np.uint64 | None:
        """Use what a pass has shown; return the value's bits where they are known then."""
        if self.is_kept:
            keys = np.concatenate(self.kept)
            return keys[0] if self.digits == NUM_DIGITS else np.partition(keys, self.rank)[self.rank]
        ends = np.cumsum(self.counts)
        digit = int(np.searchsorted(ends, self.rank, side="right"))
        self.rank -= int(ends[digit] - self.counts[digit])
        self.prefix, self.digits = (self.prefix << DIGIT_BITS) + digit, self.digits + 1
        self.number = int(self.counts[digit])
        self.counts[:] = 0
        return None


def stream_quantile(read: Callable[[], Iterable[np.ndarray]], number: int, quantile: float) -> float:
    """Return what `np.quantile` returns of all values together.

    Parameters
    ----------
    read
        Returns the values in blocks of any shape, the same at each call; none is nan.
    number
        Of the values, at least 1.
    quantile
        From 0 to 1.

    Examples
    --------
    >>> blocks = [np.array([0.1, 0.9]), np.array([[0.4]])]
    >>> print(stream_quantile(lambda: blocks, 3, 0.75), np.quantile([0.1, 0.9, 0.4], 0.75))
    0.65 0.65
    """
    place = (number - 1) * quantile
    low = int(np.floor(place))
    wanted = {rank: _Wanted(rank) for rank in {low, min(low + 1, number - 1)}}
    found: dict[int, np.uint64] = {}
    while len(found) < len(wanted):
        missing = {rank: one for rank, one in wanted.items() if rank not in found}
        for block in read():
            keys = _sortable(block)
            for one in missing.values():
                one.look(keys)
        found |= {rank: bits for rank, one in missing.items() if (bits := one.settle()) is not None}
    ends = _values(np.array([found[rank] for rank in sorted(found)], np.uint64))
    return float(np.quantile(ends, place - low))


_SIGN = np.uint64(1 << 63)


def _sortable(values: np.ndarray) -> np.ndarray:
    """Return numbers as integers in the same order, (value,) uint64."""
    bits = np.ascontiguousarray(values, np.float64).ravel().view(np.uint64)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _values(keys: np.ndarray) -> np.ndarray:
    """Return the numbers of `_sortable`."""
    return np.where(keys & _SIGN, keys ^ _SIGN, ~keys).view(np.float64)
