"""Read any recording as blocks of mono float32 at one sample rate.

libsndfile decodes (OGG Vorbis and Opus, WAV, FLAC, MP3), soxr resamples. Both work block by block, so a
recording of hours needs no more memory than one of seconds.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr

AUDIO_SUFFIXES = (".ogg", ".opus", ".wav", ".flac", ".mp3", ".aif", ".aiff")
BLOCK_FRAMES = 1 << 18
OGG_HEADER_BYTES = 27  # then one size a segment, then the segments; the last byte counts them
END_OF_STREAM = 4  # bit of an Ogg page header's type field, RFC 3533
OGG_TAIL_BYTES = 1 << 17  # two pages of the largest size


class AudioError(Exception):
    """A recording that cannot be used; the message is the reason, without the file's name."""


def stream_mono(path: Path, sample_rate: int) -> Iterator[np.ndarray]:
    """Yield the recording's blocks, mixed down to mono and resampled.

    Parameters
    ----------
    path
        Audio file of any sample rate and channel count.
    sample_rate
        Wanted samples per second.

    Yields
    ------
    numpy.ndarray
        (sample,) float32, nominally in [-1, 1].

    Raises
    ------
    AudioError
        If the file is missing, empty, not audio, truncated, or holds samples that are not numbers.
    """
    for (block,) in stream_rates(path, (sample_rate,)):
        yield block


def stream_rates(path: Path, sample_rates: Sequence[int]) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield the recording's blocks at several sample rates, decoded once; see `stream_mono`.

    Parameters
    ----------
    path
        Audio file.
    sample_rates
        (rate,) wanted samples per second.

    Yields
    ------
    tuple of numpy.ndarray
        (sample,) float32 for each rate; a resampler may hold samples back, so their durations differ.

    Raises
    ------
    AudioError
        As `stream_mono`.
    """
    check_file(path)
    try:
        with soundfile.SoundFile(path) as file:
            decoded = 0
            resamplers = [
                None if rate == file.samplerate else soxr.ResampleStream(file.samplerate, rate, 1)
                for rate in sample_rates
            ]
            for block in file.blocks(BLOCK_FRAMES, dtype="float32", always_2d=True):
                decoded += len(block)
                mono = block.mean(axis=1, dtype=np.float32) if block.shape[1] > 1 else block[:, 0]
                if not np.isfinite(mono).all():
                    raise AudioError("samples that are not finite numbers")
                yield tuple(r.resample_chunk(mono) if r else mono for r in resamplers)
            if decoded == 0:
                raise AudioError("no samples")
            if decoded < file.frames:
                raise AudioError(f"truncated: {decoded} of {file.frames} frames decoded")
            silence = np.zeros(0, np.float32)
            yield tuple(r.resample_chunk(silence, last=True) if r else silence for r in resamplers)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"not readable as audio: {error.error_string}") from error


def check_file(path: Path) -> None:
    """Raise `AudioError` for what shows without decoding: a missing, empty or cut-off file."""
    if not path.is_file():
        raise AudioError("missing file")
    size = path.stat().st_size
    if size == 0:
        raise AudioError("empty file (0 bytes)")
    with path.open("rb") as file:
        if file.read(4) != b"OggS":
            return
        file.seek(max(0, size - OGG_TAIL_BYTES))
        tail = file.read()
    page = tail[max(tail.rfind(b"OggS"), 0) :]
    number = page[OGG_HEADER_BYTES - 1] if len(page) >= OGG_HEADER_BYTES else 0
    sizes = page[OGG_HEADER_BYTES : OGG_HEADER_BYTES + number]
    if not sizes or not page[5] & END_OF_STREAM or len(page) < OGG_HEADER_BYTES + len(sizes) + sum(sizes):
        raise AudioError("truncated: its last Ogg page is not the end of the stream")


def duration_seconds(path: Path) -> float:
    """Return the length that the file's header states, 0 if it cannot be read."""
    try:
        return float(soundfile.info(path).duration)
    except (soundfile.LibsndfileError, OSError):
        return 0.0


def read_mono(path: Path, sample_rate: int) -> np.ndarray:
    """Return the whole recording, (sample,) float32; see `stream_mono`."""
    return np.concatenate(list(stream_mono(path, sample_rate)))


def to_int16(wave: np.ndarray) -> np.ndarray:
    """Return float samples in [-1, 1] as int16, clipped."""
    return np.clip(np.rint(wave * 32768.0), -32768, 32767).astype("<i2")
