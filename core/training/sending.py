"""Batches on their way to the device: a GPU copies the next one while it trains on the present one."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from accelerate.utils import send_to_device
from torch import Tensor

from core.data.clips import Batch


def send_batch(batch: Batch, device: torch.device) -> Batch:
    """Return a batch on a device; nothing that is there already is copied."""
    return Batch(*send_to_device(batch, device, non_blocking=True))


def sent_ahead(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Yield batches on a device, each while the next one is on its way.

    Parameters
    ----------
    batches
        In main memory, pinned where the device is a GPU.
    device
        Where they are wanted.
    """
    if device.type != "cuda":
        for batch in batches:
            yield send_batch(batch, device)
        return
    stream, coming = torch.cuda.Stream(device), None
    for batch in batches:
        with torch.cuda.stream(stream):
            sent = send_batch(batch, device), stream.record_event()
        if coming is not None:
            yield _arrived(*coming)
        coming = sent
    if coming is not None:
        yield _arrived(*coming)


def _arrived(batch: Batch, event: torch.cuda.Event) -> Batch:
    """Let the present stream wait for a batch, and keep its memory until that has used it."""
    present = torch.cuda.current_stream()
    present.wait_event(event)
    for tensor in _tensors(batch):
        tensor.record_stream(present)
    return batch


def _tensors(part: Any) -> Iterator[Tensor]:
    """Yield the tensors of a nest of sequences."""
    if isinstance(part, Tensor):
        yield part
        return
    for one in part:
        yield from _tensors(one)
