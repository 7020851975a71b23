"""Files of the cache: a decoded recording's int16 samples, and behind them what is known of it.

Samples lie there as they are ("pcm"), and a clip is read in an instant, or as FLAC, which is lossless too,
takes about half the space, and is decoded at each read.
"""

import json
import os
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import soundfile

CacheFormat = Literal["pcm", "flac"]
SUFFIXES: Mapping[CacheFormat, str] = {"pcm": ".i16", "flac": ".flac"}
BYTES_PER_SAMPLE: Mapping[CacheFormat, float] = {"pcm": 2, "flac": 1.2}
"""Of FLAC about, for forecasts."""
END_MARK = b"pcm\n"  # the last bytes of a file; before them the length of what is said, 4 bytes


def write_samples(
    out: BinaryIO, blocks: Iterable[np.ndarray], sample_rate: int, cache_format: CacheFormat
) -> int:
    """Write a recording's samples; return their number.

    Parameters
    ----------
    out
        Open for writing and reading, empty.
    blocks
        (sample,) int16.
    sample_rate
        Samples per second.
    cache_format
        How they are written.
    """
    length = 0
    if cache_format == "pcm":
        for block in blocks:
            out.write(block.tobytes())
            length += len(block)
        return length
    with soundfile.SoundFile(
        out.fileno(), "w", sample_rate, 1, "PCM_16", format="FLAC", closefd=False
    ) as file:
        for block in blocks:
            file.write(block)
            length += len(block)
    return length


def write_facts(out: BinaryIO, length: int, facts: Mapping[str, Any]) -> None:
    """Write behind the samples how many they are, and what is known of them."""
    content = out.seek(0, os.SEEK_END)
    text = json.dumps({"samples": length, "bytes": content, **facts}).encode()
    out.write(text + struct.pack("<I", len(text)) + END_MARK)


def read_facts(path: Path) -> tuple[int, dict[str, Any]]:
    """Return the number of samples and what is known of them; 0 where a file's size has changed.

    Raises
    ------
    OSError, ValueError, KeyError
        If it is absent, or damaged.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 8, 0))
        end = file.read(8)
        said = struct.unpack("<I", end[:4])[0] if len(end) == 8 and end.endswith(END_MARK) else size
        if said + 8 > size:
            return 0, {}
        file.seek(size - 8 - said)
        facts = json.loads(file.read(said))
    length = int(facts.pop("samples"))
    content = int(facts.pop("bytes", length * BYTES_PER_SAMPLE["pcm"]))
    return (length, facts) if content + said + 8 == size else (0, {})


def read_samples(path: Path, start: int, out: np.ndarray) -> int:
    """Fill `out`, (sample,) int16 and contiguous, from a sample on; return how many samples there were.

    Raises
    ------
    OSError
        If the file is absent, or cannot be read.
    """
    if path.suffix == SUFFIXES["pcm"]:
        with path.open("rb", buffering=0) as file:
            file.seek(start * out.itemsize)
            return int(file.readinto(out.data.cast("B")) or 0) // out.itemsize
    try:
        with (
            path.open("rb", buffering=0) as opened,
            soundfile.SoundFile(opened.fileno(), closefd=False) as flac,
        ):
            flac.seek(start)
            return len(flac.read(out=out))
    except soundfile.SoundFileError as error:
        raise OSError(str(error)) from error
