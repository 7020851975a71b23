"""Batches on their way to the device: a GPU copies the next one while it trains on the present one."""

import itertools
from collections.abc import Iterable, Iterator

import torch

from core.data.clips import Batch
from core.data.noise import NoiseOfSet
from core.training.profiling import part_of_step


def send_batch(batch: Batch, device: torch.device) -> Batch:
    """Return a batch on a device; nothing that is there already is copied."""
    fields = {name: getattr(batch, name).to(device, non_blocking=True) for name in Batch._fields[:-1]}
    noise = [NoiseOfSet(*(part.to(device, non_blocking=True) for part in one)) for one in batch.noise]
    return batch._replace(**fields, noise=noise)


def sent_ahead(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Yield batches on a GPU, each while the next one is on its way; as they are where there is none.

    Parameters
    ----------
    batches
        In main memory, pinned where the device is a GPU.
    device
        Where they are wanted.
    """
    if device.type != "cuda":
        yield from batches
        return
    stream, coming = torch.cuda.Stream(device), None
    for batch in batches:
        with torch.cuda.stream(stream), part_of_step("transfer"):
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
    for tensor in (*batch[:-1], *itertools.chain(*batch.noise)):
        tensor.record_stream(present)
    return batch
