"""Batches of clips one after another, gathered ahead by threads.

Reading and decoding leave the interpreter free, so that threads of one process keep up with a GPU; a clip
goes from the cache straight to its place in the batch.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from core.data.clips import Batch, ClipSet

_AHEAD = 2
"""Batches that are ready or begun, beside one for each thread."""


class ClipLoader:
    """Iterates over batches in their order, whichever was gathered first.

    Parameters
    ----------
    clips
        Gathers a batch.
    batches
        Places of the clips of each batch; iterated anew each time that this is.
    num_threads
        How many batches are gathered at a time; 0: each when it is asked for.
    pinned
        Whether batches lie in memory from which a GPU can copy by itself.
    """

    def __init__(
        self, clips: ClipSet, batches: Iterable[Sequence[Any]], num_threads: int = 0, *, pinned: bool = False
    ) -> None:
        self.clips, self.batches = clips, batches
        self.num_threads, self.pinned = num_threads, pinned

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches; what goes wrong in a thread is raised where its batch is due."""
        if self.num_threads == 0:
            for places in self.batches:
                yield self.clips.batch(places, pinned=self.pinned)
            return
        with ThreadPoolExecutor(self.num_threads, thread_name_prefix="clips") as threads:
            waiting: deque[Future[Batch]] = deque()
            try:
                for places in self.batches:
                    waiting.append(threads.submit(self.clips.batch, places, pinned=self.pinned))
                    if len(waiting) == self.num_threads + _AHEAD:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for batch in waiting:
                    batch.cancel()
