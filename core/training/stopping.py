"""SIGTERM and Ctrl-C as a wish that the training loop fulfils between two steps."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from core.machine import EXIT_CODE_BASE


class StopSignal:
    """Remembers that this process was asked to stop.

    Attributes
    ----------
    received
        The signal that came to this process; None: none.
    agreed
        The one that all processes know of, and stop for after the same step.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.agreed: int | None = None

    @property
    def exit_code(self) -> int:
        """Exit status that tells the caller which signal it was: 143 for SIGTERM, 130 for Ctrl-C."""
        return EXIT_CODE_BASE + (self.agreed or self.received or 0)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Note the signals instead of dying of them; a second Ctrl-C interrupts at once."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals reach the main thread only
            return
        previous = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received == signal.SIGINT == number:
            raise KeyboardInterrupt
        self.received = number
