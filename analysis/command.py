"""The command lines of this package: a dataclass of settings, one line for a person's mistake."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import tyro

from core.config import require

C = TypeVar("C")


def run_command(kind: type[C], action: Callable[[C], Any], words: Sequence[str] | None = None) -> None:
    """Parse settings and run a program; a `ValueError` of it is printed as one line, with status 2.

    Parameters
    ----------
    kind
        Dataclass of the settings; its docstring describes the program, its fields the options.
    action
        What is run with them.
    words
        The command line; None: that of this process.
    """
    try:
        config = tyro.cli(kind, args=words, prog=program(), description=kind.__doc__, use_underscores=True)
        action(config)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def require_resampling(resamples: int, *, confidence: float = 0.95, quantile: float = 0.85) -> None:
    """Raise `ValueError`, naming the option, unless these settings of a bootstrap lie in their ranges."""
    require(0 <= quantile <= 1, f"quantile={quantile}: between 0 and 1")
    require(0 < confidence < 1, f"confidence={confidence}: between 0 and 1")
    require(resamples >= 100, f"resamples={resamples}: at least 100")


def program() -> str | None:
    """Return how this process was started, such as `python -m analysis.compare`; None if otherwise."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return None if spec is None else f"python -m {spec.name.removesuffix('.__main__')}"
