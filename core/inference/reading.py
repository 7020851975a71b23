"""Decode the next soundscapes while the present one is predicted.

One thread decodes (libsndfile and soxr leave the interpreter free meanwhile) and stays a bounded number of
blocks ahead, across the ends of files, so that memory depends on neither their number nor their length.
"""

import contextlib
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from queue import Empty, Full, Queue

import numpy as np

from core.data.audio import stream_mono

BLOCKS_AHEAD = 16
WAIT_SECONDS = 0.1

Item = np.ndarray | BaseException | None
"""A block; what ended the file early; or its end."""


def read_ahead(paths: Iterable[Path], sample_rate: int) -> Iterator[Iterator[np.ndarray]]:
    """Yield one stream of blocks a file, as `core.data.audio.stream_mono` does, decoded ahead.

    Parameters
    ----------
    paths
        Audio files.
    sample_rate
        Wanted samples per second.

    Yields
    ------
    iterator of numpy.ndarray
        (sample,) float32 blocks of one file, to be read before the next file is asked for; what is left
        of them is skipped. It raises what `stream_mono` raises.
    """
    decoder = _Decoder(list(paths), sample_rate)
    decoder.thread.start()
    try:
        for _ in decoder.paths:
            stream = _Stream(decoder)
            yield stream
            stream.skip()
    finally:
        decoder.is_over.set()
        decoder.thread.join()


class _Decoder:
    """The thread that decodes, and the queue between it and its reader."""

    def __init__(self, paths: list[Path], sample_rate: int) -> None:
        self.paths, self.sample_rate = paths, sample_rate
        self.queue: Queue[Item] = Queue(BLOCKS_AHEAD)
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.decode, name="decode", daemon=True)

    def decode(self) -> None:
        """Put the blocks of every file into the queue, and after each file None or what ended it."""
        for path in self.paths:
            try:
                for block in stream_mono(path, self.sample_rate):
                    self.put(block)
                    if self.is_over.is_set():
                        return
                self.put(None)
            except BaseException as error:
                self.put(error)  # raised again where the file is predicted

    def put(self, item: Item) -> None:
        """Wait for a place in the queue, or for the reader's end."""
        while not self.is_over.is_set():
            try:
                self.queue.put(item, timeout=WAIT_SECONDS)
            except Full:
                continue
            return

    def take(self) -> Item:
        """Wait for the next item."""
        while True:
            try:
                return self.queue.get(timeout=WAIT_SECONDS)
            except Empty:
                assert self.thread.is_alive() or not self.queue.empty(), "the decoding thread died"


class _Stream:
    """The blocks of one file."""

    def __init__(self, decoder: _Decoder) -> None:
        self.decoder, self.ended = decoder, False

    def __iter__(self) -> Iterator[np.ndarray]:
        return self

    def __next__(self) -> np.ndarray:
        item = None if self.ended else self.decoder.take()
        if isinstance(item, np.ndarray):
            return item
        self.ended = True
        raise StopIteration if item is None else item

    def skip(self) -> None:
        """Read to the end of the file; an error in what nobody wants is nobody's."""
        while not self.ended:
            with contextlib.suppress(Exception):
                next(self)
