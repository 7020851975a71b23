"""What every program does with its words, its files and a person's mistake: one line and status 2."""

import contextlib
import io
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar
from unittest import mock

import tyro

from core.machine import EXIT_CODE_BASE, end_launcher
from core.trial_failure import tell_sweep

_C = TypeVar("_C")
_FRAME = re.compile(r"[│─╭╮╰╯]|-{4,}")
_PLACE = re.compile(r"Error parsing (?:(--\S+)|\S+)(?=: )")
_NOT_WRAPPED = {"COLUMNS": "100000"}
_PATIENCE_SECONDS = 30.0
INTERRUPTED = EXIT_CODE_BASE + 2


def run_program(kind: type[_C], action: Callable[[_C], Any], words: Sequence[str] | None = None) -> None:
    """Parse the settings of a program and run it; a person's mistake is printed as one line, with status 2.

    Parameters
    ----------
    kind
        The dataclass of the settings: its docstring describes the program, its fields the options.
    action
        What is done with them.
    words
        Of the command line; None: those of this process.
    """
    with telling_mistakes():
        action(parse_words(kind, words, prog=_program(), description=kind.__doc__))


def parse_words(kind: type[_C], words: Sequence[str] | None = None, **options: Any) -> _C:
    """Return the settings that some words ask for; `--help` prints and ends the program.

    Parameters
    ----------
    kind
        The dataclass of the settings.
    words
        None: those of this process.
    options
        Further ones of `tyro.cli`.

    Raises
    ------
    ValueError
        If a word is unknown, or a value is none that a field takes; the message is one line.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), mock.patch.dict(os.environ, _NOT_WRAPPED):
            return tyro.cli(kind, args=words, use_underscores=True, **options)
    except SystemExit as stop:
        if not stop.code:
            raise
        _, _, text = said.getvalue().partition("\n")  # the first line is a title
        told = " ".join(_FRAME.sub(" ", text.partition("For full helptext")[0]).split())
        raise ValueError(_PLACE.sub(r"\1", told).removeprefix(": ") or "refused") from stop


@contextmanager
def telling_mistakes() -> Iterator[None]:
    """Print a mistake of a person, or a file that cannot be read or written, in one line and exit."""
    try:
        yield
    except (ValueError, OSError) as error:
        exit_with(describe_error(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def describe_error(error: BaseException) -> str:
    """Return what an error says, in one line.

    Examples
    --------
    >>> describe_error(PermissionError(13, "Permission denied", "a.csv"))
    'a.csv: Permission denied'
    """
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{os.fsdecode(error.filename)}: {error.strerror}"
    return " ".join(text.split())


def exit_with(message: str) -> NoReturn:
    """Print a mistake and end this process with status 2, and its launcher, which would print a traceback."""
    if os.environ.get("RANK", "0") != "0":
        time.sleep(_PATIENCE_SECONDS)  # the first process tells the same, and ends all
    sys.stdout.flush()
    print(f"error: {message}", file=sys.stderr, flush=True)
    tell_sweep(message)
    end_launcher()
    sys.exit(2)


def _program() -> str | None:
    """Return how this process was started, such as `python -m analysis.compare`; None if otherwise."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return None if spec is None else f"python -m {spec.name.removesuffix('.__main__')}"
