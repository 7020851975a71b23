"""Writing files that appear whole or not at all, and reading JSON."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import pandas


TABLE_ENDINGS = (".csv", ".json", ".parquet")
"""Of the tables that `write_table` writes."""


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
def streaming_table(file: str | Path) -> Iterator[Callable[["pandas.DataFrame"], None]]:
    """Yield what appends the rows of tables with the same columns to a file, which appears whole at the end.

    Only the rows that are being appended are in memory.

    Parameters
    ----------
    file
        .csv or .parquet.
    """
    import pyarrow as pa
    from pyarrow import parquet

    path = Path(file)
    with replacing(path) as new, new.open("wb") as handle, ExitStack() as opened:
        writer: Any = None

        def append(table: "pandas.DataFrame") -> None:
            nonlocal writer
            if path.suffix == ".csv":
                _append_csv(table, handle, is_first=writer is None)
                writer = writer or handle
                return
            schema = None if writer is None else writer.schema
            rows = pa.Table.from_pandas(table, schema=schema, preserve_index=False)
            writer = writer or opened.enter_context(parquet.ParquetWriter(handle, rows.schema))
            writer.write_table(rows)

        yield append


def _append_csv(table: "pandas.DataFrame", handle: BinaryIO, *, is_first: bool) -> None:
    """Append rows to a .csv, by Arrow, which takes a tenth of the time, where no text needs quotes."""
    import pyarrow as pa
    from pyarrow import csv

    if is_first:
        handle.write(table.iloc[:0].to_csv(index=False).encode())
    logical = {name: table[name].astype(str) for name in table.select_dtypes(bool)}  # True, not true
    rows = pa.Table.from_pandas(table.assign(**logical), preserve_index=False)
    try:
        csv.write_csv(rows, handle, csv.WriteOptions(include_header=False, quoting_style="none"))
    except pa.ArrowInvalid:
        handle.write(table.to_csv(index=False, header=False).encode())


def read_json(file: Path, kind: type = dict) -> Any:
    """Return the object, or the list, in a JSON file.

    Parameters
    ----------
    file
        The file.
    kind
        What it must hold.

    Raises
    ------
    ValueError
        If it cannot be read, or holds something else; the message names the file.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"{file}: cannot be read: {error.strerror}"
        raise ValueError(message) from error
    except (ValueError, RecursionError) as error:
        message = f"{file}: not JSON: {error}; restore the file"
        raise ValueError(message) from error
    if not isinstance(content, kind):
        message = (
            f"{file}: a JSON {kind.__name__} is needed, found {type(content).__name__}; restore the file"
        )
        raise ValueError(message)
    return content


@contextmanager
def holding(lock: Path) -> Iterator[None]:
    """Hold a lock file, which says who holds it; the kernel frees that of a killed process.

    Raises
    ------
    ValueError
        If another process holds it.
    """
    import fcntl  # not on every system

    with lock.open("a+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            file.seek(0)
            message = f"{lock.parent}: {file.read().strip()} works on it; wait for that, or end it"
            raise ValueError(message) from error
        except OSError:  # a file system without locks
            pass
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


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
