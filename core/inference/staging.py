"""The way of windows to a GPU: through a few small buffers of pinned memory, from which it copies by itself.

Pinned memory is dear to make, so that a batch has none of its own.
"""

from collections import deque
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

NUM_BUFFERS = 16
"""Of a stretch of windows each: so many may be on their way."""


class Staging:
    """Sends batches of windows to a device.

    Parameters
    ----------
    device
        Where windows are wanted.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.on_gpu = device, device.type == "cuda"
        self._buffers: deque[tuple[Tensor, torch.cuda.Event]] = deque()

    def send(self, waves: Sequence[np.ndarray]) -> Tensor:
        """Return stretches of windows as a batch on the device; the copy to a GPU goes on meanwhile.

        Parameters
        ----------
        waves
            (window, sample) each, of one type and number of samples.
        """
        if not self.on_gpu:  # numpy's memory: see `core.data.pcm.new_samples`
            return torch.from_numpy(np.concatenate(waves))
        kind = torch.from_numpy(waves[0][:0]).dtype
        batch = torch.empty((sum(map(len, waves)), waves[0].shape[1]), dtype=kind, device=self.device)
        start = 0
        for wave in waves:
            buffer = self._free_buffer(wave.nbytes)
            host = buffer[: wave.nbytes].view(kind).reshape(wave.shape)
            host.numpy()[:] = wave
            batch[start : start + len(wave)].copy_(host, non_blocking=True)
            event = torch.cuda.Event()
            event.record()
            self._buffers.append((buffer, event))
            start += len(wave)
        return batch

    def _free_buffer(self, num_bytes: int) -> Tensor:
        """Return pinned memory of at least so many bytes that nothing is copied from any more."""
        if len(self._buffers) >= NUM_BUFFERS:
            buffer, event = self._buffers.popleft()
            event.synchronize()
            if len(buffer) >= num_bytes:
                return buffer
        return torch.empty(num_bytes, dtype=torch.uint8, pin_memory=True)
