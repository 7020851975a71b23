"""Watches the loss of every step: speed, data wait, and numbers that are not finite."""

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from core.training.state import Progress

LOG_STEPS = 10
SHOWN_FILES = 12


class LossWatch:
    """Collects losses on the device and reads them every `LOG_STEPS` steps only, so that a GPU never waits.

    `recordings` are the names of all, to say which ones a bad batch held; `clips_per_step` are those of all
    processes.
    """

    def __init__(self, progress: Progress, recordings: Sequence[str], clips_per_step: int) -> None:
        self.progress, self.recordings, self.clips_per_step = progress, recordings, clips_per_step
        self.pending: list[tuple[Tensor, Tensor]] = []
        self.last_read = self.last_step = time.perf_counter()
        self.waited = 0.0

    def note_arrival(self) -> None:
        """Note that the step's batch has come: the time since the last step's end was spent waiting."""
        self.waited += time.perf_counter() - self.last_step

    def add(self, loss: Tensor, recordings: Tensor) -> dict[str, float] | None:
        """Take a step's loss, a scalar on any device, and its (clip,) recordings; return `read` or None."""
        self.pending.append((loss, recordings))
        self.last_step = time.perf_counter()
        return self.read() if len(self.pending) == LOG_STEPS else None

    def read(self) -> dict[str, float] | None:
        """Read the collected losses; return their mean, clips per second and share of time without data.

        Without a loss to read, that is None. One that is not finite raises `FloatingPointError`, which names
        the recordings of its batch.
        """
        if not self.pending:
            return None
        losses = torch.stack([loss for loss, _ in self.pending]).tolist()
        for loss, (_, recordings) in zip(losses, self.pending, strict=True):
            if not math.isfinite(loss):
                raise FloatingPointError(self._complaint(loss, recordings))
        now = time.perf_counter()
        elapsed = max(now - self.last_read, 1e-9)
        self.progress.add_losses(losses, elapsed)
        row = {
            "train/loss": sum(losses) / len(losses),
            "train/clips_per_second": len(losses) * self.clips_per_step / elapsed,
            "train/data_wait": min(self.waited / elapsed, 1.0),
        }
        self.pending, self.waited = [], 0.0
        self.last_read = self.last_step = now
        return row

    def _complaint(self, loss: float, recordings: Tensor) -> str:
        names = [self.recordings[i] for i in dict.fromkeys(recordings.tolist())]
        shown = ", ".join(names[:SHOWN_FILES]) + (" ..." if len(names) > SHOWN_FILES else "")
        return (
            f"the loss became {loss} on a batch of {len(recordings)} clips from: {shown}. "
            "Nothing was saved after it; lower optim.lr, set optim.max_grad_norm, or use --precision=no."
        )
