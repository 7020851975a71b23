"""Programs as `python -m` runs them, in this process; waiting for those that run in another."""

import contextlib
import io
import runpy
import sys
import time
import warnings
from collections.abc import Callable

import pytest


def run_program(module: str, *words: object) -> str:
    """Run a program with some words; return what it prints."""
    printed = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(printed),
        warnings.catch_warnings(),
    ):
        patch.setattr(sys, "argv", [module, *map(str, words)])
        warnings.filterwarnings("ignore", message=".* found in sys.modules", category=RuntimeWarning)
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    return printed.getvalue()


def refusal(module: str, *words: object) -> str:
    """Return what a program says of a mistake, with which it ends, with status 2."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), pytest.raises(SystemExit) as stopped:
        run_program(module, *words)
    assert stopped.value.code == 2
    return said.getvalue()


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
