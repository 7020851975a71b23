"""Full batches on a GPU: their launches are recorded once (a CUDA graph) and replayed by a single call.

Threads that decode share Python with the one that launches. At each of thousands of launches it would wait
for them to let go.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from core.inference.ensemble import Waves

Predict = Callable[[Waves, int], dict[str, Tensor]]
"""Maps windows on a device and the windows of a clip to logits by name."""


class LaunchReplay:
    """Predicts batches as `predict` does; from the second one of a size on by replay.

    Parameters
    ----------
    predict
        Each of its steps runs on the GPU.
    """

    def __init__(self, predict: Predict) -> None:
        self.predict = predict
        self._known = set[tuple[int, int]]()
        self._recorded: dict[tuple[int, int], _Recorded] = {}

    def __call__(self, waves: Waves, num_parts: int) -> dict[str, Tensor]:
        """Return the logits; the next batch of the same size overwrites them."""
        size = len(next(iter(waves.values()))), num_parts
        if size not in self._known:  # libraries prepare themselves, which cannot be recorded
            self._known.add(size)
            return self.predict(waves, num_parts)
        if size not in self._recorded:
            self._recorded[size] = self._record(waves, num_parts)
        recorded = self._recorded[size]
        for window_format, wave in waves.items():
            recorded.waves[window_format].copy_(wave)
        recorded.graph.replay()
        return recorded.logits

    def _record(self, waves: Waves, num_parts: int) -> "_Recorded":
        own = {window_format: wave.clone() for window_format, wave in waves.items()}
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            logits = self.predict(own, num_parts)
        return _Recorded(graph, own, logits)


class _Recorded(NamedTuple):
    """Launches, and the memory that they read and write."""

    graph: torch.cuda.CUDAGraph
    waves: Waves
    logits: dict[str, Tensor]
