"""What the configurations ask of a value."""

import dataclasses
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MAX_SEED = 2**63 - 1


def require(condition: bool, message: str) -> None:
    """Raise `ValueError` with `message`, which names the dotted field, unless `condition` holds."""
    if not condition:
        raise ValueError(message)


@contextmanager
def naming(what: object) -> Iterator[None]:
    """Put the name of a file or a field before the message of a `ValueError` that is raised inside."""
    try:
        yield
    except ValueError as error:
        message = f"{what}: {error}"
        raise ValueError(message) from error


def require_probability(name: str, value: float) -> None:
    """Raise `ValueError` unless `value` lies in [0, 1]."""
    require(0 <= value <= 1, f"{name}={value}: a probability lies between 0 and 1")


def require_finite(config: Any, prefix: str = "") -> None:
    """Raise `ValueError` if a number in a dataclass of settings, or in one inside it, is none or infinite.

    Parameters
    ----------
    config
        The dataclass.
    prefix
        What stands before the names of its fields.
    """
    for field in dataclasses.fields(config):
        name, value = f"{prefix}{field.name}", getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            require_finite(value, f"{name}.")
        numbers = value.values() if isinstance(value, dict) else value
        numbers = numbers if isinstance(value, dict | list | tuple) else [value]
        finite = all(math.isfinite(number) for number in numbers if isinstance(number, float))
        require(finite, f"{name}={value}: must be finite")


def require_seed(name: str, value: int) -> None:
    """Raise `ValueError` unless `value` can be the seed of every generator."""
    require(0 <= value <= MAX_SEED, f"{name}={value}: between 0 and {MAX_SEED}")


def require_name(name: str, value: str) -> None:
    """Raise `ValueError` unless `value` can be the name of one folder."""
    is_name = value not in ("", ".", "..") and value.isprintable() and not set(value) & set("/\\")
    require(is_name, f"{name}={value}: must be the name of a folder, without a path")


def expand_home(config: Any, *names: str) -> None:
    """Replace `~`, and take away `file://`, at the start of paths or lists of paths in a frozen dataclass."""
    for name in names:
        value = getattr(config, name)
        if isinstance(value, list | tuple):
            object.__setattr__(config, name, type(value)(map(_expanded, value)))
        elif value:
            object.__setattr__(config, name, _expanded(value))


def home_path(text: str) -> Path:
    """Return a path, `~` at its start replaced by the user's home, and `file://` taken away."""
    return Path(_expanded(text))


def _expanded(text: str) -> str:
    return os.path.expanduser(text.removeprefix("file://"))  # noqa: PTH111  (Path's raises for unknown users)


def require_output(
    name: str, path: str | Path | None, endings: Sequence[str] = (), *, is_folder: bool = False
) -> None:
    """Raise `ValueError` unless a file or folder can be written; nothing is made.

    Parameters
    ----------
    name
        The option, for the message.
    path
        What is to be written, with folders that may be missing; None: nothing.
    endings
        Those that a file may have, each with its dot; none: any.
    is_folder
        Whether it is a folder.
    """
    if path is None:
        return
    require(str(path) != "", f"{name}=: empty; name a {'folder' if is_folder else 'file'}")
    where, path = f"{name}={path}", Path(path)
    known = " or ".join(filter(None, [", ".join(endings[:-1]), *endings[-1:]]))
    require(not endings or path.suffix in endings, f"{where}: the name must end in {known}")
    try:
        if path.exists():
            right = path.is_dir() if is_folder else path.is_file()
            require(right, f"{where}: is there and no {'folder' if is_folder else 'file'}; name another")
        folder = path if is_folder else path.parent
        above = next(one for one in (folder, *folder.absolute().parents) if one.exists())
        require(above.is_dir(), f"{where}: {above} is no folder; name another")
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        message = f"{where}: cannot be written: {error.strerror}; name another"
        raise ValueError(message) from error
