"""Writing files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a hidden path beside `path` to write to; it takes its place when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield new
        with new.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file that is never seen half-written."""
    with replacing(path) as new:
        new.write_text(text)


def write_table(table: "pandas.DataFrame", file: str | Path) -> Path:
    """Write a table without its index; the ending of `file` is the format; return its path.

    Raises
    ------
    ValueError
        If the ending is none of .csv, .json and .parquet.
    """
    path = Path(file)
    with replacing(path) as new:
        if path.suffix == ".csv":
            table.to_csv(new, index=False)
        elif path.suffix == ".json":
            table.to_json(new, orient="records", indent=2)
        elif path.suffix == ".parquet":
            table.to_parquet(new, index=False)
        else:
            message = f"{file}: a table ends in .csv, .json or .parquet"
            raise ValueError(message)
    return path


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait for other processes that write below a folder; the kernel frees the lock of a killed one."""
    import fcntl  # not on every system

    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
