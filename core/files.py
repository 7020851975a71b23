"""Writing files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
