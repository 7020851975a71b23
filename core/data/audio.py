"""Read any recording as blocks of mono float32 at one sample rate.

`core.data.decoding` decodes, soxr resamples. Both work block by block, so a recording of hours needs no more
memory than one of seconds. What is odd about a recording is measured on the way.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr

from core.data.decoding import BLOCK_FRAMES, AudioError, Findings, decode

AUDIO_SUFFIXES = (
    ".ogg", ".oga", ".opus", ".wav", ".wave", ".flac", ".mp3", ".aif", ".aiff", ".w64", ".caf",
    ".m4a", ".mp4", ".aac", ".wma", ".3gp", ".amr", ".webm",
)  # fmt: skip
CANCELLING_SHARE = 0.05
"""Of the louder channel's power, below which the mean of channels has lost the sound."""
LISTED_OFFSET = 0.005
LISTED_CLIPPING = 1e-4
LEAD_SECONDS = 0.5
"""Before what is wanted, that a resampler hears of."""
FULL_SCALE = 127 / 128  # the highest sample of 8 bits
PLAUSIBLE_BITS, USUAL_BITS = 1000, 64_000  # a second, at least and typically


def stream_mono(path: Path, sample_rate: int, findings: Findings | None = None) -> Iterator[np.ndarray]:
    """Yield the recording's blocks, mixed down to mono and resampled.

    Parameters
    ----------
    path
        Audio file of any sample rate and channel count.
    sample_rate
        Wanted samples per second.
    findings
        Gets what is damaged and odd about the recording; complete after the last block.

    Yields
    ------
    numpy.ndarray
        (sample,) float32, nominally in [-1, 1].

    Raises
    ------
    AudioError
        If the file is missing, empty, not audio, or holds samples that are not numbers.
    """
    for (block,) in stream_rates(path, (sample_rate,), findings):
        yield block


def stream_rates(
    path: Path,
    sample_rates: Sequence[int],
    findings: Findings | None = None,
    *,
    start: float = 0.0,
    mono_frames: int = BLOCK_FRAMES,
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield the recording's blocks at several sample rates, decoded once; see `stream_mono`.

    Parameters
    ----------
    path
        Audio file.
    sample_rates
        (rate,) wanted samples per second.
    findings
        As `stream_mono`.
    start
        Seconds from which the sound is wanted: blocks that end long before are not resampled, or not even
        decoded; zeros stand for them, and `findings` may not tell of them.
    mono_frames
        Frames decoded at a time, of a file of one channel.

    Yields
    ------
    tuple of numpy.ndarray
        (sample,) float32 for each rate; a resampler may hold samples back, so their durations differ.

    Raises
    ------
    AudioError
        As `stream_mono`.
    """
    found = findings if findings is not None else Findings()
    mixer, present, frames, is_wanted = _Mixer(), 0, 0, False
    resamplers: list[soxr.ResampleStream | None] = []
    silence = np.zeros(0, np.float32)
    for rate, block in decode(path, found, start - LEAD_SECONDS, mono_frames):
        if rate != present:  # of the first block, or of another stream in the same file
            if resamplers:
                is_wanted = True
                yield tuple(r.resample_chunk(silence, last=True) if r else silence for r in resamplers)
            resamplers = [None if r == rate else soxr.ResampleStream(rate, r, 1) for r in sample_rates]
            present = rate
        mono = mixer.mix(block) if block.strides[0] else block[:, 0]  # zeros of what was passed over
        if not np.isfinite(mono).all():
            raise AudioError("samples that are not finite numbers")
        before, frames = frames, frames + len(mono)
        is_wanted = is_wanted or frames > (start - LEAD_SECONDS) * rate
        if is_wanted:
            yield tuple(r.resample_chunk(mono) if r else mono for r in resamplers)
        else:
            ends = [(before * r // rate, frames * r // rate) for r in sample_rates]
            yield tuple(np.zeros(last - first, np.float32) for first, last in ends)
    found.notes += mixer.notes()
    yield tuple(r.resample_chunk(silence, last=True) if r else silence for r in resamplers)


class _Mixer:
    """Mix channels down, and measure what is odd about the samples."""

    def __init__(self) -> None:
        self.frames = self.clipped = self.cancelled = 0
        self.sum = self.peak = 0.0
        self.channel = -1

    def mix(self, block: np.ndarray) -> np.ndarray:
        """Return (frame,) float32 from (frame, channel)."""
        level = np.abs(block)
        if level.max() >= FULL_SCALE:
            high, flat = level >= FULL_SCALE, np.zeros(level.shape, dtype=bool)
            flat[1:] = block[1:] == block[:-1]  # a clipped wave stays at its limit
            self.clipped += int((high & (flat | (level > 1))).any(axis=1).sum())
        mono = block[:, 0] if block.shape[1] == 1 else self._mixed(block)
        self.frames += len(mono)
        self.sum += float(mono.sum(dtype=np.float64))
        self.peak = max(self.peak, float((level if level.shape[1] == 1 else np.abs(mono)).max()))
        return mono

    def _mixed(self, block: np.ndarray) -> np.ndarray:
        """Return the mean of channels, or the loudest one where they cancel."""
        mono: np.ndarray = block.mean(axis=1, dtype=np.float32)
        power = block.var(axis=0)
        if mono.var() >= CANCELLING_SHARE * power.max():
            return mono
        if self.channel < 0:
            self.channel = int(power.argmax())
        self.cancelled += len(block)
        return block[:, self.channel]

    def notes(self) -> list[str]:
        """Return what is to be known about the samples, a sentence each."""
        found, share = [], self.clipped / self.frames
        if self.cancelled:
            part = "" if self.cancelled == self.frames else f" in {self.cancelled / self.frames:.0%} of it"
            found.append(f"channels cancel out{part}: channel {self.channel + 1} alone is used there")
        if self.peak == 0:
            found.append("silent: every sample is 0")
        if abs(self.sum / self.frames) >= LISTED_OFFSET:
            found.append(f"DC offset of {self.sum / self.frames:.3f} of full scale")
        if share >= LISTED_CLIPPING:
            found.append(f"clipped: {share:.2%} of samples")
        return found


def duration_seconds(path: Path) -> float:
    """Return about how long a recording is, for forecasts; 0 for a file that is not there.

    By its header, or by its size where no file of that size can hold what the header says.
    """
    try:
        size = path.stat().st_size
        information = soundfile.info(path)
    except OSError:
        return 0.0
    except soundfile.SoundFileError:
        return size * 8 / USUAL_BITS
    claimed = information.frames / max(information.samplerate, 1)
    return claimed if 0 < claimed <= size * 8 / PLAUSIBLE_BITS else size * 8 / USUAL_BITS


def read_mono(path: Path, sample_rate: int) -> np.ndarray:
    """Return the whole recording, (sample,) float32; see `stream_mono`."""
    return np.concatenate(list(stream_mono(path, sample_rate)))


def to_int16(wave: np.ndarray) -> np.ndarray:
    """Return float samples in [-1, 1] as int16, clipped."""
    scaled = wave * 32768.0
    np.rint(scaled, out=scaled)
    return np.clip(scaled, -32768, 32767, out=scaled).astype("<i2")
