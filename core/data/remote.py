"""Audio behind addresses such as s3://bucket/folder: listed, and fetched one file at a time.

A file is copied into the folder of temporary files, decoded there, and the copy removed: as many lie there at
once as there are threads that decode. fsspec knows the protocols; some take a package of their own.
"""

import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from core.config import require
from core.data.audio import AUDIO_SUFFIXES, USUAL_BITS
from core.data.audio_files import AudioFiles
from core.data.decoding import AudioError
from core.program import describe_error

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
PACKAGES_OF = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
STAMPS = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "mtime", "created")
"""What servers call that which changes with a file."""
PLAIN_BITS = {".wav": 512_000, ".wave": 512_000, ".aif": 512_000, ".aiff": 512_000, ".flac": 256_000}
"""A second, of what is not compressed as others are."""
WAITS = (1.0, 5.0, 20.0)
"""Seconds after a copy that failed, before the next try."""


@dataclass(frozen=True)
class RemoteFile:
    """A file that is read by its address.

    Attributes
    ----------
    url
        Its address.
    size
        In bytes.
    stamp
        Changes when the file does, where the server tells.
    """

    url: str
    size: int = field(compare=False)
    stamp: str = field(compare=False)

    def __str__(self) -> str:
        """Return the address."""
        return self.url

    @property
    def place(self) -> PurePosixPath:
        """Return the address as a path from a root, such as /s3/bucket/folder/a.ogg."""
        return _place(self.url)

    @property
    def seconds(self) -> float:
        """Return about how long it lasts, by its size."""
        return self.size * 8 / PLAIN_BITS.get(self.place.suffix.lower(), USUAL_BITS)


AudioSource = Path | RemoteFile
"""Where audio is read from."""


def place_of(source: AudioSource) -> PurePosixPath | Path:
    """Return where audio lies, as a path from a root."""
    return source.place if isinstance(source, RemoteFile) else source.absolute()


def is_remote(text: str) -> bool:
    """Return whether a path is an address.

    Examples
    --------
    >>> is_remote("s3://bucket/folder"), is_remote("data/folder"), is_remote("C:/folder")
    (True, False, False)
    """
    return ADDRESS.match(text) is not None


def search_remote(url: str) -> tuple[PurePosixPath | None, list[RemoteFile], AudioFiles]:
    """Return the audio at an address, and below it.

    Parameters
    ----------
    url
        Of a file or a folder.

    Returns
    -------
    place, files, others
        The folder, None if it is a file; its audio; and what else was met.

    Raises
    ------
    ValueError
        If nothing is there, or it cannot be listed.
    """
    storage, root = _open_storage(url)
    try:
        listed = storage.find(root, detail=True)
    except Exception as error:  # each storage has errors of its own
        message = f"soundscapes: {url}: cannot be listed: {describe_error(error)}"
        raise ValueError(message) from error
    require(len(listed) > 0, f"soundscapes: {url} does not exist, or is empty")
    files, others = [], AudioFiles()
    is_file = list(listed) == [root]
    for name, told in sorted(listed.items()):
        inside = PurePosixPath(name if is_file else name[len(root) :])
        if any(part.startswith(".") for part in inside.parts):
            others.num_hidden += 1
        elif is_file or inside.suffix.lower() in AUDIO_SUFFIXES:
            stamp = next((str(told[key]) for key in STAMPS if told.get(key) is not None), "")
            files.append(RemoteFile(storage.unstrip_protocol(name), told.get("size") or 0, stamp))
        elif told.get("size") or inside.suffix:  # others stand for folders
            others.others[inside.suffix.lower()] += 1
    return None if is_file else _place(storage.unstrip_protocol(root)), files, others


def unreachable(source: AudioSource) -> str:
    """Return why audio cannot be read on this machine, "" if it is there."""
    if isinstance(source, Path):
        return "" if source.exists() else f"{source}: no such file"
    try:
        storage, root = _open_storage(source.url)
        storage.info(root)
    except Exception as error:
        return f"{source}: {describe_error(error)}"
    return ""


@contextmanager
def fetched(source: AudioSource) -> Iterator[Path]:
    """Yield a file of this machine with the audio; a copy is removed afterwards.

    Raises
    ------
    AudioError
        If it cannot be fetched, after some tries.
    """
    if isinstance(source, Path):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="bird-sed-") as folder:
        local = Path(folder) / f"audio{source.place.suffix}"
        _copy(source, local)
        yield local


def _copy(source: RemoteFile, local: Path) -> None:
    """Copy a file; try again after failures."""
    for wait in (*WAITS, None):
        try:
            storage, root = _open_storage(source.url)
            storage.get_file(root, str(local))
        except FileNotFoundError as error:
            raise AudioError("missing file") from error
        except Exception as error:
            if wait is None:
                message = f"cannot be fetched: {describe_error(error)}"
                raise AudioError(message) from error
            time.sleep(wait)
        else:
            return


def _open_storage(url: str) -> tuple[Any, str]:
    """Return the storage that an address leads to, and its name for what is there."""
    require("::" not in url, f"soundscapes: {url}: addresses inside others are not read")
    try:
        storage, root = fsspec.core.url_to_fs(url)
    except ImportError as error:
        package = PACKAGES_OF.get(url.partition(":")[0])
        remedy = f"pip install {package}" if package else describe_error(error)
        raise ValueError(f"soundscapes: {url}: its storage takes a package: {remedy}") from error
    except Exception as error:
        raise ValueError(f"soundscapes: {url}: {describe_error(error)}") from error
    return storage, root


def _place(url: str) -> PurePosixPath:
    """Return an address as a path from a root."""
    protocol, _, rest = url.partition("://")
    return PurePosixPath("/", protocol, rest.strip("/"))
