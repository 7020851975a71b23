"""Decoding of whole, odd and broken files."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.data.audio import AudioError, read_mono, to_int16


def tone(seconds: float, rate: int, hz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def test_stereo_of_another_rate_becomes_the_mean_of_its_channels(tmp_path: Path) -> None:
    wave = tone(2.0, 44100)
    soundfile.write(tmp_path / "a.wav", np.stack([wave, 0.5 * wave], axis=1), 44100, subtype="FLOAT")
    read = read_mono(tmp_path / "a.wav", 32000)
    assert read.dtype == np.float32
    assert len(read) == 64000
    expected = 0.75 * tone(2.0, 32000)
    assert np.abs(read - expected)[1000:-1000].max() < 1e-3


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_every_format_keeps_its_tone(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"a.{suffix}"
    soundfile.write(file, tone(1.0, 32000), 32000)
    read = read_mono(file, 32000)
    assert abs(len(read) - 32000) < 2500
    spectrum = np.abs(np.fft.rfft(read))
    assert np.fft.rfftfreq(len(read), 1 / 32000)[spectrum.argmax()] == pytest.approx(440, abs=2)


def test_a_very_short_file_is_read_whole(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(0.03, 32000), 32000)
    assert len(read_mono(tmp_path / "a.wav", 32000)) == 960


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.ogg", b"", "empty file"),
        ("text.ogg", b"<html>not found</html>", "not readable as audio"),
        ("text.wav", b"RIFF but no more", "not readable as audio"),
    ],
)
def test_what_is_no_audio_says_why(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AudioError, match=reason):
        read_mono(tmp_path / name, 32000)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="missing file"):
        read_mono(tmp_path / "a.ogg", 32000)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95, 0.999])
def test_a_cut_off_ogg_is_refused(tmp_path: Path, share: float) -> None:
    file = tmp_path / "a.ogg"
    soundfile.write(file, tone(6.0, 32000), 32000)
    content = file.read_bytes()
    read_mono(file, 32000)
    file.write_bytes(content[: round(share * len(content))])
    with pytest.raises(AudioError, match=r"truncated|not readable"):
        read_mono(file, 32000)


def test_samples_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    wave = tone(1.0, 32000)
    wave[100] = np.nan
    soundfile.write(tmp_path / "a.wav", wave, 32000, subtype="FLOAT")
    with pytest.raises(AudioError, match="not finite"):
        read_mono(tmp_path / "a.wav", 32000)


def test_int16_clips_instead_of_wrapping() -> None:
    assert to_int16(np.array([2.0, -2.0, 0.5])).tolist() == [32767, -32768, 16384]
