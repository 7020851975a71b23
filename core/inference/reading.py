"""Decode the next soundscapes, and cut them into windows, while the present ones are predicted.

Threads read a file each (libsndfile, soxr and numpy leave the interpreter free meanwhile). Each stays a
bounded number of pieces ahead, and all together a bounded number of files, so that memory depends on neither
their number nor their length. Files come in their order, whichever was decoded first.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import Full, Queue

from core.data.audio import stream_rates, to_int16
from core.data.decoding import BLOCK_FRAMES, MINUTE_FRAMES, Findings
from core.data.recorders import read_header
from core.data.remote import AudioSource, fetched
from core.inference.windows import Pieces, cut_pieces

PIECES_AHEAD = 1
"""Of one file, beside the one that is being cut."""
FILES_AHEAD = 2
"""For each thread."""
MANY_THREADS = 4
"""From so many on, a minute is decoded in one block, which takes more memory."""
WAIT_SECONDS = 0.1


@dataclass
class _Ahead:
    """A file that is decoded: its pieces, and after them None or what ended it."""

    findings: Findings = field(default_factory=Findings)
    queue: Queue[Pieces | Exception | None] = field(default_factory=lambda: Queue(PIECES_AHEAD))

    def pieces(self) -> Iterator[Pieces]:
        """Yield pieces up to the end of the file."""
        while (item := self.queue.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item


def read_ahead(
    paths: Sequence[AudioSource],
    sample_rates: Sequence[int],
    size: int,
    num_threads: int = 1,
    *,
    as_int16: bool = False,
) -> Iterator[tuple[Iterator[Pieces], Findings]]:
    """Yield the pieces and the findings of each file, see `core.data.audio.stream_rates` and `cut_pieces`.

    Parameters
    ----------
    paths
        Audio files, of this machine or elsewhere.
    sample_rates
        (rate,) wanted samples per second.
    size
        Windows of a piece.
    num_threads
        How many files are decoded at a time.
    as_int16
        Pieces are int16, half as much for a bus to carry.

    Yields
    ------
    pieces, findings
        The pieces of one file, to be read before the next file is asked for; what is left of them is
        skipped. They raise what `stream_rates` raises. The findings are complete after the last piece.
    """
    mono_frames = MINUTE_FRAMES if num_threads >= MANY_THREADS else BLOCK_FRAMES

    def cut(path: Path, findings: Findings) -> Iterator[Pieces]:
        blocks = stream_rates(path, sample_rates, findings, mono_frames=mono_frames)
        if as_int16:
            blocks = (tuple(map(to_int16, block)) for block in blocks)
        return cut_pieces(blocks, sample_rates, size)

    waiting = iter(paths)
    ahead, is_over = deque[_Ahead](), threading.Event()
    with ThreadPoolExecutor(num_threads, thread_name_prefix="decode") as threads:

        def start_next() -> None:
            for path in waiting:
                ahead.append(_Ahead())
                threads.submit(_decode, path, ahead[-1], is_over, cut)
                return

        try:
            for _ in range(num_threads * FILES_AHEAD):
                start_next()
            while ahead:
                file = ahead.popleft()
                stream = file.pieces()
                yield stream, file.findings
                with contextlib.suppress(Exception):  # an error in what nobody wants is nobody's
                    for _ in stream:
                        pass
                start_next()
        finally:
            is_over.set()


def _decode(
    path: AudioSource,
    file: _Ahead,
    is_over: threading.Event,
    cut: Callable[[Path, Findings], Iterator[Pieces]],
) -> None:
    """Put the pieces of a file into its queue until the reader is done."""

    def put(item: Pieces | Exception | None) -> None:
        while not is_over.is_set():
            with contextlib.suppress(Full):
                file.queue.put(item, timeout=WAIT_SECONDS)
                return

    try:
        with fetched(path) as local:
            file.findings.origin = read_header(local)
            for pieces in cut(local, file.findings):
                put(pieces)
                if is_over.is_set():
                    return
        put(None)
    except Exception as error:
        put(error)  # raised again where the file is predicted
