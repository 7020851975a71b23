"""Decode a file to its end, whatever its header says: libsndfile, and ffmpeg for what that does not know."""

import os
import shutil
import struct
import subprocess
import tempfile
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from core.data.contents import Content, FileView, inspect_content
from core.data.recorders import UNKNOWN, Origin

BLOCK_FRAMES = 1 << 18
MINUTE_FRAMES = 1 << 21
"""A minute in one block, where many threads decode: they wait for each other between any two steps."""
LEAST_FRAMES = 1 << 14
"""Of a block, where a file may go on beyond what its header says."""
MAX_FRAMES_PER_BYTE = 8192
"""No format says more with a byte; what goes on beyond is a decoder that does not end."""
SLACK_SECONDS = 0.1
"""Encoders' delays and paddings, by which a length may be wrong."""
LEAST_RATE, HIGHEST_RATE = 1000, 1_000_000
FULL_SCALES = (1 << 15, 1 << 23, 1 << 31)
HIGHEST_FLOAT = 8.0
"""Float samples beyond are at the scale of integers."""
DEMUXERS = {
    "mp4": ("mov", "AAC/MP4"), "asf": ("asf", "WMA"), "aac": ("aac", "AAC"), "matroska": ("matroska", "WebM"),
    "amr": ("amr", "AMR"), "wavpack": ("wv", "WavPack"), "ape": ("ape", "Monkey's Audio"),
    "riff": ("wav", "WAV"), "aiff": ("aiff", "AIFF"), "mp3": ("mp3", "MP3"),
    "flac": ("flac", "FLAC"), "ogg": ("ogg", "Ogg"),
}  # fmt: skip
"""Kind of content -> ffmpeg's reader, which is named so that it never guesses, and what people call it."""
SNDFILE_KINDS = {"", "ogg", "flac", "riff", "aiff", "mp3"}


class AudioError(Exception):
    """A recording that cannot be used; the message is the reason, without the file's name."""


@dataclass
class Findings:
    """What was found about a recording while it was read; complete when its last block is.

    Attributes
    ----------
    damage
        How much of the recording could be read, and why not all; "" if all of it was.
    notes
        Other things to know, a sentence each.
    origin
        Where and when it was recorded by its header, where that was asked for.
    """

    damage: str = ""
    notes: list[str] = field(default_factory=list)
    origin: Origin = UNKNOWN


def decode(
    path: Path, findings: Findings, start: float = 0.0, mono_frames: int = BLOCK_FRAMES
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the blocks of a file, as far as they can be decoded.

    Parameters
    ----------
    path
        Audio file.
    findings
        Gets what is known of the file at its end.
    start
        Seconds before which whole blocks are passed over, where what follows is the same without them; one
        block of zeros, which takes no memory, stands for them.
    mono_frames
        Frames of a block, of a file of one channel; `BLOCK_FRAMES` are divided among several channels.

    Yields
    ------
    rate, samples
        Samples per second, and (frame, channel) float32, at least one frame, nominally in [-1, 1].

    Raises
    ------
    AudioError
        If nothing can be decoded.
    """
    try:
        _refuse_absent(path)
        content = inspect_content(path)
        findings.damage, findings.notes = content.damage, list(content.notes)
        yield from _decode_content(path, content, findings, start, mono_frames)
    except OSError as error:
        raise AudioError(f"not readable: {error.strerror or error}") from error


def _refuse_absent(path: Path) -> None:
    """Raise `AudioError` for what shows without opening."""
    if path.is_symlink() and not path.exists():
        raise AudioError(f"missing file: a broken link to {path.readlink()}")
    if not path.exists():
        raise AudioError("missing file" + _alike(path))
    if not path.is_file():
        raise AudioError("not a file")
    if path.stat().st_size == 0:
        raise AudioError("empty file (0 bytes)")


def _alike(path: Path) -> str:
    """Return the words about a file of the same name in other letters: of another case, or accents."""
    if not path.parent.is_dir():
        return ""
    name = unicodedata.normalize("NFC", path.name).casefold()
    there = (other for other in os.listdir(path.parent) if len(other) < 2 * len(path.name))  # noqa: PTH208
    found = next((one for one in there if unicodedata.normalize("NFC", one).casefold() == name), None)
    return f"; {found} is there" if found is not None else ""


def _decode_content(
    path: Path, content: Content, findings: Findings, start: float, mono_frames: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the blocks of libsndfile, or of ffmpeg where that does not know the content."""
    refusal = ""
    if content.kind in SNDFILE_KINDS:
        try:
            yield from _decode_parts(path, content, findings, start, mono_frames)
            return
        except _NotOpenedError as error:
            refusal = str(error)
    demuxer, label = DEMUXERS.get(content.kind, ("", ""))
    if not demuxer or (refusal and shutil.which("ffmpeg") is None):
        raise AudioError(f"not readable as audio: {refusal}")
    try:
        yield from _ffmpeg(path, demuxer, label, findings)
    except _NotOpenedError as error:
        raise AudioError(f"not readable as audio: {refusal or error}") from error


class _NotOpenedError(Exception):
    """A decoder does not know what this is."""


class _Sequential(soundfile.SoundFile):
    """A file that is read from its begin to its end, without a look at the length that its header states."""

    def seekable(self) -> bool:
        """Return False: soundfile then neither stops at that length nor jumps."""
        return False


def _decode_parts(
    path: Path, content: Content, findings: Findings, start: float, mono_frames: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the blocks of each part; compare the sum with what the header claims."""
    decoded, claimed, rate, error = 0, content.frames, 0, ""
    for number, (begin, end) in enumerate(content.parts):
        scale = _float_scale(path, content, number, findings) if content.kind in {"riff", "aiff", ""} else 1.0
        with _opened(path, content, number) as (file, view):
            rate = _checked_rate(file.samplerate)
            if content.kind != "flac" and not content.is_piped and len(content.parts) == 1:
                claimed = file.frames
            room = (end - begin) * MAX_FRAMES_PER_BYTE
            if passed := _pass_over(file, content, int(start * rate)):
                decoded += passed
                yield rate, np.broadcast_to(np.float32(0), (passed, 1))
            for block, error in _blocks(file, content.frames, mono_frames):
                if len(block):
                    decoded += len(block)
                    yield rate, block / np.float32(scale) if scale > 1 else block
                room -= len(block)
                if room < 0:
                    error = "more samples than its bytes can hold"
                    break
            is_complete = not error and claimed is not None and decoded >= claimed
            error = _reading_error(view, is_complete=is_complete) or error
        if error:
            break
    _compare(decoded, claimed, rate, error, findings)


def _reading_error(view: FileView, *, is_complete: bool) -> str:
    """Return why a file could not be read; where libsndfile read it by itself, that is tried again."""
    if view.is_whole and not is_complete:
        view.read_through()
    return str(view.error.strerror) if view.error else ""


def _compare(decoded: int, claimed: int | None, rate: int, error: str, findings: Findings) -> None:
    """Say how much of what the header claims was decoded; refuse what has no sample."""
    if decoded == 0:
        reason = "; ".join(filter(None, [findings.damage, error]))
        raise AudioError(f"{reason}; no sample can be decoded" if reason else "no samples")
    seconds = f"{decoded / rate:.1f}"
    short = claimed is not None and decoded + SLACK_SECONDS * rate < claimed
    if short and not findings.damage:
        assert claimed is not None
        findings.damage = f"cut off or damaged: {seconds} of {claimed / rate:.1f} s can be decoded"
    elif error and not findings.damage:
        findings.damage = f"cut off or damaged: {seconds} s can be decoded ({error})"
    elif findings.damage:
        findings.damage += f"; {seconds} s can be decoded"
    if claimed is not None and claimed + SLACK_SECONDS * rate < decoded:
        findings.notes.append(f"its header says {claimed / rate:.1f} s, {seconds} s can be decoded")


def _checked_rate(rate: int) -> int:
    """Return a sample rate that can be one."""
    if not LEAST_RATE <= rate <= HIGHEST_RATE:
        raise AudioError(f"damaged: a sample rate of {rate} Hz")
    return rate


@contextmanager
def _opened(path: Path, content: Content, number: int) -> Iterator[tuple[soundfile.SoundFile, FileView]]:
    """Open a part of a file in libsndfile; through a pipe where it must not know the file's length."""
    with FileView(path, *content.parts[number], content.patches) as view:
        try:
            if content.is_piped:
                with _piped(view) as reading_end, _Sequential(reading_end, closefd=False) as file:
                    yield file, view
            elif view.is_whole:  # libsndfile reads by itself, and threads that decode do not wait for Python
                with path.open("rb", buffering=0) as own, _Sequential(own.fileno(), closefd=False) as file:
                    yield file, view
            else:
                with _Sequential(view) as file:
                    yield file, view
        except soundfile.LibsndfileError as error:
            raise _NotOpenedError(error.error_string) from error


@contextmanager
def _piped(view: FileView) -> Iterator[int]:
    """Yield the reading end of a pipe that a thread fills."""
    reading_end, writing_end = os.pipe()

    def feed() -> None:
        with suppress(BrokenPipeError), os.fdopen(writing_end, "wb") as pipe:
            shutil.copyfileobj(view, pipe)

    thread = threading.Thread(target=feed, name="feed", daemon=True)
    thread.start()
    try:
        yield reading_end
    finally:
        os.close(reading_end)
        thread.join()


def _pass_over(file: soundfile.SoundFile, content: Content, frames: int) -> int:
    """Move over the whole blocks of so many frames; return their frames, 0 where not all must be decoded.

    A damaged FLAC or Ogg lacks samples that only decoding finds, float samples may be no numbers, and which
    channel is loudest is told by the blocks before.
    """
    plain = content.kind in {"riff", "aiff"} and file.subtype.startswith("PCM_") and file.channels == 1
    whole = max(frames, 0) // BLOCK_FRAMES * BLOCK_FRAMES
    if not plain or content.damage or content.patches or not whole < file.frames:
        return 0
    return file.seek(whole)


def _blocks(
    file: soundfile.SoundFile, claimed: int | None = None, mono_frames: int = BLOCK_FRAMES
) -> Iterator[tuple[np.ndarray, str]]:
    """Yield (frame, channel) float32 and what the decoder complains of; the last block may be empty."""
    most = mono_frames if file.channels == 1 else max(BLOCK_FRAMES // file.channels, 1)
    expected = claimed or file.frames or most
    while True:
        frames = min(max(expected, LEAST_FRAMES), most)
        block, error = np.full((frames, file.channels), np.nan, np.float32), ""
        try:
            found = len(file.read(out=block))
        except soundfile.LibsndfileError as complaint:  # what it decoded before is in the block
            error = complaint.error_string or f"error {complaint.code}"
            written = np.flatnonzero(~np.isnan(block[:, 0]))
            found = int(written[-1]) + 1 if len(written) else 0
        yield block[:found], error
        if found == 0 or error:
            return
        expected -= found


def _float_scale(path: Path, content: Content, number: int, findings: Findings) -> float:
    """Return what float samples are divided by: 1, unless they are at the scale of integers."""
    with _opened(path, content, number) as (file, _):
        if file.subtype not in {"FLOAT", "DOUBLE"}:
            return 1.0
        peak = max((float(np.abs(block).max(initial=0.0)) for block, _ in _blocks(file)), default=0.0)
    if not peak > HIGHEST_FLOAT:
        return 1.0
    scale = next((full for full in FULL_SCALES if peak <= full), None)
    if scale is None:
        raise AudioError(f"float samples up to {peak:.3g}, which is no scale of audio")
    findings.notes.append(f"float samples at integer scale, up to {peak:.0f}: divided by {scale}")
    return float(scale)


def _ffmpeg(path: Path, demuxer: str, label: str, findings: Findings) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the blocks that ffmpeg writes as float32 in Sun's format, whose header is six numbers."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise _NotOpenedError(f"{label} content, which takes ffmpeg, and that is not installed")
    command = [
        program, "-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe", "-f", demuxer,
        "-i", f"file:{path}", "-map", "0:a:0", "-c:a", "pcm_f32be", "-f", "au", "pipe:1",
    ]  # fmt: skip
    decoded, rate = 0, 1
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints
        ) as process,
    ):
        assert process.stdout is not None
        header = process.stdout.read(24)
        if len(header) == 24:
            _, offset, _, _, rate, channels = struct.unpack(">6I", header)
            process.stdout.read(offset - len(header))
            frame_bytes = 4 * channels
            while chunk := process.stdout.read(frame_bytes * max(BLOCK_FRAMES // channels, 1)):
                whole = len(chunk) // frame_bytes * frame_bytes
                block = np.frombuffer(chunk[:whole], ">f4").astype(np.float32).reshape(-1, channels)
                decoded += len(block)
                if len(block):
                    yield _checked_rate(rate), block
        process.wait()
        complaints.seek(0)
        said = complaints.read(1000).decode("utf-8", "replace").partition("\n")[0]
    said = said.rpartition("] ")[2]
    if not decoded:
        raise _NotOpenedError(f"{label} content, of which ffmpeg says: {said or 'no samples'}")
    findings.notes.append(f"{label} content, decoded by ffmpeg")
    if said or process.returncode:
        findings.damage = f"damaged: {decoded / rate:.1f} s can be decoded (ffmpeg: {said})"
