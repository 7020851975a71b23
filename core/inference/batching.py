"""Windows of many files share a batch, whose size is measured while the first ones are predicted."""

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from core.inference.windows import WindowFormat
from core.machine import peak_memory_bytes

CPU_BATCH, GPU_BATCH = 12, 256
"""Windows of the first batches."""
CPU_LIMIT, GPU_LIMIT = 48, 1024
TRIALS = 3
"""Batches of a size that are timed; the fastest counts, as the first one also allocates and compiles."""
GAIN = 1.03
"""A larger batch must be so much faster, or the smaller one stays."""
FREE_SHARE = 0.5
"""Of the free memory that a batch may take."""
CPU_BYTES = 500_000_000
"""Main memory that a batch may take, however much is free: others use the machine too."""


@dataclass(frozen=True)
class Stretch:
    """Consecutive windows of a file on one grid.

    Attributes
    ----------
    file
        Position of the file.
    shift
        Of the grid, in seconds.
    first
        Position of the first window in the grid.
    waves
        Format -> (window, sample), float32 or int16.
    """

    file: int
    shift: float
    first: int
    waves: Mapping[WindowFormat, np.ndarray]

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(next(iter(self.waves.values())))

    def cut(self, start: int, stop: int | None = None) -> "Stretch":
        """Return some of the windows."""
        waves = {window_format: wave[start:stop] for window_format, wave in self.waves.items()}
        return replace(self, first=self.first + start, waves=waves)


class WindowPool:
    """Windows that wait for a full batch; clips of different lengths never share one."""

    def __init__(self) -> None:
        self.waiting: dict[int, deque[Stretch]] = defaultdict(deque)
        self.number: dict[int, int] = defaultdict(int)

    def add(self, stretch: Stretch, num_parts: int) -> None:
        """Take windows that are clips of `num_parts` each."""
        self.waiting[num_parts].append(stretch)
        self.number[num_parts] += len(stretch)

    def take(self, size: int, *, rest: bool = False) -> Iterator[tuple[list[Stretch], int]]:
        """Yield batches and the windows of their clips.

        Parameters
        ----------
        size
            Windows of a batch, of which as many whole clips as fit, at least one.
        rest
            Also yield the last ones, which are smaller.
        """
        for num_parts, waiting in self.waiting.items():
            full = max(size // num_parts, 1) * num_parts
            while waiting and (rest or self.number[num_parts] >= full):
                batch, missing = [], full
                while waiting and missing:
                    stretch = waiting.popleft()
                    if len(stretch) > missing:
                        waiting.appendleft(stretch.cut(missing))
                        stretch = stretch.cut(0, missing)
                    batch.append(stretch)
                    missing -= len(stretch)
                self.number[num_parts] -= full - missing
                yield batch, num_parts


class BatchSize:
    """Windows a batch: doubled from batch to batch of the work while that makes it faster.

    Parameters
    ----------
    device
        Where the networks run.
    fixed
        Nothing is measured; None: it is.
    """

    def __init__(self, device: torch.device, fixed: int | None = None) -> None:
        on_cpu = device.type == "cpu"
        self.device, self.is_measured = device, fixed is not None
        self.size = fixed or (CPU_BATCH if on_cpu else GPU_BATCH)
        self.limit = CPU_LIMIT if on_cpu else GPU_LIMIT
        self.best = float("inf")
        self.trials: list[float] = []
        self.bytes_before = _peak_bytes(device)

    def is_full(self, number: int, num_parts: int) -> bool:
        """Return whether a batch has the final size: of so many windows, in clips of `num_parts`."""
        return self.is_measured and number == max(self.size // num_parts, 1) * num_parts

    def took(self, number: int, seconds: float) -> None:
        """Learn what a batch of some windows took, and choose the size of the next one."""
        if self.is_measured or number < self.size:
            return
        self.trials.append(seconds / number)
        if len(self.trials) < TRIALS:
            return
        fastest, self.trials = min(self.trials), []
        if fastest * GAIN > self.best:
            self.size, self.is_measured = self.size // 2, True
            return
        self.best = fastest
        taken = _peak_bytes(self.device) - self.bytes_before
        if self.size * 2 > self.limit or 2 * taken > _most_bytes(self.device):
            self.is_measured = True
            return
        self.size *= 2


def _peak_bytes(device: torch.device) -> int:
    """Return the most memory that this process has held on a device."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_memory_bytes()


def _most_bytes(device: torch.device) -> float:
    """Return the memory that a batch may take, of what nobody uses."""
    if device.type == "cuda":
        return FREE_SHARE * torch.cuda.mem_get_info(device)[0]
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return min(FREE_SHARE * int(lines["MemAvailable"].split()[0]) * 1024, CPU_BYTES)
    except (OSError, KeyError):
        return 0
