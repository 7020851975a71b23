"""Read any recording as blocks of mono float32 at one sample rate.

libsndfile decodes (OGG Vorbis and Opus, WAV, FLAC, MP3), soxr resamples. Both work block by block, so a
recording of hours needs no more memory than one of seconds.
"""

from collections.abc import Iterator
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
    check_file(path)
    try:
        with soundfile.SoundFile(path) as file:
            decoded = 0
            resampler = None
            if file.samplerate != sample_rate:
                resampler = soxr.ResampleStream(file.samplerate, sample_rate, 1, dtype="float32")
            for block in file.blocks(BLOCK_FRAMES, dtype="float32", always_2d=True):
                decoded += len(block)
                mono = block.mean(axis=1, dtype=np.float32) if block.shape[1] > 1 else block[:, 0]
                if not np.isfinite(mono).all():
                    raise AudioError("samples that are not finite numbers")
                yield resampler.resample_chunk(mono) if resampler else mono
            if decoded == 0:
                raise AudioError("no samples")
            if decoded < file.frames:
                raise AudioError(f"truncated: {decoded} of {file.frames} frames decoded")
            if resampler:
                yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)
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
