"""Decode the next soundscapes while the present one is predicted.

One thread decodes (libsndfile and soxr leave the interpreter free meanwhile) and stays a bounded number of
blocks ahead, across the ends of files, so that memory depends on neither their number nor their length.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Empty, Queue

import numpy as np

from core.data.audio import stream_rates
from core.data.decoding import Findings

BLOCKS_AHEAD = 16
WAIT_SECONDS = 0.1

Blocks = tuple[np.ndarray, ...]
"""(sample,) float32 of the same stretch of audio at several sample rates."""

BlockQueue = Queue[Blocks | Exception | None]
"""Blocks, and after those of each file None or what ended it."""


def read_ahead(
    paths: Sequence[Path], sample_rates: Sequence[int]
) -> Iterator[tuple[Iterator[Blocks], Findings]]:
    """Yield a stream of blocks and the findings of each file, see `core.data.audio.stream_rates`.

    Parameters
    ----------
    paths
        Audio files.
    sample_rates
        (rate,) wanted samples per second.

    Yields
    ------
    blocks, findings
        The blocks of one file, to be read before the next file is asked for; what is left of them is
        skipped. They raise what `stream_rates` raises. The findings are complete after the last block.
    """
    queue: BlockQueue = Queue(BLOCKS_AHEAD)
    is_over = threading.Event()
    findings = [Findings() for _ in paths]
    arguments = (paths, sample_rates, findings, queue, is_over)
    thread = threading.Thread(target=_decode, args=arguments, name="decode", daemon=True)
    thread.start()
    try:
        for found in findings:
            stream = _blocks_of_a_file(queue)
            yield stream, found
            with contextlib.suppress(Exception):  # an error in what nobody wants is nobody's
                for _ in stream:
                    pass
    finally:
        is_over.set()
        while thread.is_alive():  # it may wait for a place in the queue
            with contextlib.suppress(Empty):
                queue.get(timeout=WAIT_SECONDS)


def _decode(
    paths: Sequence[Path],
    sample_rates: Sequence[int],
    findings: Sequence[Findings],
    queue: BlockQueue,
    is_over: threading.Event,
) -> None:
    """Put the blocks of every file into the queue until the reader is done."""
    for path, found in zip(paths, findings, strict=True):
        try:
            for blocks in stream_rates(path, sample_rates, found):
                queue.put(blocks)
                if is_over.is_set():
                    return
            queue.put(None)
        except Exception as error:
            queue.put(error)  # raised again where the file is predicted


def _blocks_of_a_file(queue: BlockQueue) -> Iterator[Blocks]:
    """Yield blocks up to the end of the present file."""
    while (item := queue.get()) is not None:
        if isinstance(item, Exception):
            raise item
        yield item
