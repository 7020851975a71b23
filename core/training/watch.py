"""Watches the loss of every step: speed, data wait, and numbers that are not finite."""

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from core.training.optim import Optimization
from core.training.state import Progress

LOG_STEPS = 10
SHOWN_FILES = 12


class LossWatch:
    """Collects losses on the device and reads them every `LOG_STEPS` steps only, so that a GPU never waits.

    Parameters
    ----------
    progress
        Counts the steps.
    recordings
        Names of all items, to say which ones a bad batch held.
    clips_per_step
        Clips of all processes.
    optimization
        Whose weights must stay finite; its accelerator joins the losses of all processes.
    """

    def __init__(
        self, progress: Progress, recordings: Sequence[str], clips_per_step: int, optimization: Optimization
    ) -> None:
        self.progress, self.recordings, self.clips_per_step = progress, recordings, clips_per_step
        self.optimization, self.accelerator = optimization, optimization.accelerator
        self.kept, progress.unread = progress.unread, []
        self.pending: list[tuple[Tensor, Tensor]] = []
        self.last_read = self.last_step = time.perf_counter()
        self.waited = 0.0

    def note_arrival(self) -> None:
        """Note that the step's batch has come: the time since the last step's end was spent waiting."""
        self.waited += time.perf_counter() - self.last_step

    def add(
        self, sums: Tensor, recordings: Tensor, *, is_due: bool, is_stopped: bool = False
    ) -> dict[str, float] | None:
        """Take a step's result; return what was read of the collected ones, or None where none are read yet.

        Read are their mean, clips per second and the share of time without data. A step's loss is the
        weighted mean over the clips of all processes.

        Parameters
        ----------
        sums
            (2,) on any device: this process's weighted losses, and its weights.
        recordings
            (clip,) items of its batch.
        is_due
            Read now.
        is_stopped
            The run stops here: losses that are not read yet are kept in its progress, so that it goes on with
            the rows of one that was not stopped.

        Raises
        ------
        FloatingPointError
            If a loss, or the weights after it, is not finite; names the step and the recordings of its batch.
        """
        self.pending.append((sums, recordings))
        self.last_step = time.perf_counter()
        if is_due or len(self.kept) + len(self.pending) == LOG_STEPS:
            return self._read()
        if is_stopped:
            self.progress.unread = self.kept + self._losses()
        return None

    def _losses(self) -> list[float]:
        """Return the collected losses over all processes; all must be finite, and the weights too."""
        own = torch.stack([sums for sums, _ in self.pending])
        broken = torch.full((1, 2), 0.0 if self.optimization.is_finite else 1.0).to(own)
        *sums, (num_broken, _) = self.accelerator.reduce(torch.cat([own, broken]), "sum").tolist()
        losses = [total / weight for total, weight in sums]
        for place, loss in enumerate(losses):
            if not math.isfinite(loss):
                is_own = not math.isfinite(float(own[place, 0]))
                self._complain(f"the loss became {loss}", place, is_own=is_own)
        if num_broken:
            self._complain("the weights are no longer finite", len(losses) - 1, is_own=True)
        return losses

    def _read(self) -> dict[str, float]:
        losses = self.kept + self._losses()
        now = time.perf_counter()
        elapsed = max(now - self.last_read, 1e-9)
        self.progress.add_losses(losses, elapsed)
        row = {
            "train/loss": sum(losses) / len(losses),
            "train/clips_per_second": len(losses) * self.clips_per_step / elapsed,
            "train/data_wait": min(self.waited / elapsed, 1.0),
        }
        self.kept, self.pending, self.waited = [], [], 0.0
        self.last_read = self.last_step = now
        return row

    def _complain(self, what: str, place: int, *, is_own: bool) -> None:
        """Say what broke at a `place` of those pending, and the recordings of processes it is true of."""
        own = list(dict.fromkeys(self.pending[place][1].tolist())) if is_own else []
        found = [own] * self.accelerator.num_processes
        if len(found) > 1:
            torch.distributed.all_gather_object(found, own)
        names = [self.recordings[i] for items in found for i in items]
        shown = ", ".join(names[:SHOWN_FILES]) + (" ..." if len(names) > SHOWN_FILES else "")
        step = self.progress.step - len(self.pending) + place + 1
        message = (
            f"epoch {self.progress.epoch + 1}, step {step}: {what} on a batch from: {shown}. Nothing was "
            "saved after it; continue with --resume and a lower --optim.lr, with --optim.max_grad_norm or "
            "with --precision=no"
        )
        raise FloatingPointError(message)
