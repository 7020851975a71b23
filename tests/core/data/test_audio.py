"""Decoding of whole, odd and broken files."""

import re
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from analysis.report.media import read_stretch
from core.data import decoding
from core.data.audio import duration_seconds, read_mono, stream_mono, to_int16
from core.data.decoding import BLOCK_FRAMES, AudioError, Findings, decode

RATE = 32000


def tone(seconds: float, rate: int, hz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def noise(seconds: float) -> np.ndarray:
    wave = np.random.default_rng(0).standard_normal(round(seconds * RATE))
    return np.clip(0.1 * wave, -0.5, 0.5).astype(np.float32)


def read(file: Path) -> tuple[np.ndarray, Findings]:
    findings = Findings()
    return np.concatenate(list(stream_mono(file, RATE, findings))), findings


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


@pytest.mark.parametrize("share", [0.6, 0.95, 0.999])
@pytest.mark.parametrize("suffix", ["ogg", "wav", "flac", "mp3"])
def test_of_a_cut_off_file_that_much_is_read_and_no_more(tmp_path: Path, suffix: str, share: float) -> None:
    file, wave = tmp_path / f"a.{suffix}", noise(12.0)
    soundfile.write(file, wave, RATE)
    whole, findings = read(file)
    assert findings == Findings()
    content = file.read_bytes()
    file.write_bytes(content[: round(share * len(content))])
    there, findings = read(file)
    np.testing.assert_allclose(there, whole[: len(there)], atol=2e-3)  # nothing is made up
    assert share * 12 - 1 < len(there) / RATE < share * 12 + 0.5
    if share < 0.99 or suffix in {"ogg", "wav"}:  # elsewhere less than a decoder's slack is missing
        assert "cut off" in findings.damage
        assert f"{len(there) / RATE:.1f}" in findings.damage


def test_a_stump_without_sound_is_refused_with_its_reason(tmp_path: Path) -> None:
    file = tmp_path / "a.ogg"
    soundfile.write(file, tone(6.0, RATE), RATE)
    file.write_bytes(file.read_bytes()[:4000])
    with pytest.raises(AudioError, match=r"cut off: its last Ogg page.*no sample"):
        read(file)


@pytest.mark.parametrize(
    ("size", "damage"),
    [
        (0, "not closed: its header states no length; 3.0 s can be decoded"),
        (0xFFFFFFFF, "not closed: its header states no length; 3.0 s can be decoded"),
        (2 * RATE, "not closed: its header says 1.0 s; 3.0 s can be decoded"),
        (8 * RATE, "cut off: its header says 4.0 s; 3.0 s can be decoded"),
    ],
)
def test_a_wav_header_with_another_size_is_not_believed(tmp_path: Path, size: int, damage: str) -> None:
    file = tmp_path / "a.wav"
    soundfile.write(file, noise(3.0), RATE)
    whole, _ = read(file)
    content = file.read_bytes()
    place = content.index(b"data") + 4
    file.write_bytes(content[:place] + struct.pack("<I", size) + content[place + 4 :])
    there, findings = read(file)
    assert findings.damage == damage
    np.testing.assert_array_equal(there, whole)


def test_chunks_behind_the_data_are_no_audio(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    soundfile.write(file, noise(1.0), RATE)
    with file.open("ab") as out:
        out.write(b"LIST" + struct.pack("<I", 40000) + bytes(40000))
    there, findings = read(file)
    assert (len(there), findings) == (RATE, Findings())


@pytest.mark.parametrize("claimed", [0, 1000, (1 << 36) - 1])
def test_the_number_of_samples_of_a_flac_header_is_not_believed(tmp_path: Path, claimed: int) -> None:
    file = tmp_path / "a.flac"
    soundfile.write(file, noise(3.0), RATE)
    whole, _ = read(file)
    content = bytearray(file.read_bytes())
    fields = int.from_bytes(content[18:26], "big") >> 36 << 36
    content[18:26] = (fields | claimed).to_bytes(8, "big")
    file.write_bytes(content)
    there, findings = read(file)
    np.testing.assert_array_equal(there, whole)
    said = " ".join([findings.damage, *findings.notes])
    expected = {0: "states no length", 1000: "says 0.0 s, 3.0 s can"}.get(claimed, "3.0 of 2147483.6 s can")
    assert expected in said
    assert duration_seconds(file) < 60  # of which forecasts are made


def test_joined_oggs_are_read_one_after_the_other(tmp_path: Path) -> None:
    first, second, joined = (tmp_path / f"{name}.ogg" for name in ("first", "second", "joined"))
    soundfile.write(first, noise(2.0), RATE)
    soundfile.write(second, tone(3.0, 22050), 22050)  # another rate
    for parts in ((first, second), (first, first)):
        joined.write_bytes(b"".join(part.read_bytes() for part in parts))
        there, findings = read(joined)
        expected = np.concatenate([read_mono(part, RATE) for part in parts])
        np.testing.assert_array_equal(there, expected)
        assert findings == Findings("", ["2 streams joined in one file"])


def test_an_ogg_with_a_hole_says_how_much_is_left(tmp_path: Path) -> None:
    file = tmp_path / "a.ogg"
    soundfile.write(file, noise(12.0), RATE)
    content = bytearray(file.read_bytes())
    content[content.index(b"OggS", len(content) // 2)] = 0
    file.write_bytes(content)
    there, findings = read(file)
    assert 8 * RATE < len(there) < 12 * RATE
    assert findings.damage.startswith("damaged: no Ogg page at byte ")


@pytest.mark.parametrize("place", [5, 26])  # its type, its number of segments
def test_an_ogg_with_a_damaged_first_page_is_refused_or_read(tmp_path: Path, place: int) -> None:
    file = tmp_path / "a.ogg"
    soundfile.write(file, noise(1.0), RATE)
    content = bytearray(file.read_bytes())
    content[place] = 0
    file.write_bytes(content)
    with pytest.raises(AudioError, match="not readable as audio"):
        read(file)


def without_xing(content: bytes) -> bytes:
    """Return MP3 frames without the first, which holds the length."""
    tag = max(content.find(b"Xing"), content.find(b"Info"))
    return content[content.index(content[:2], tag) :]


def test_an_mp3_without_a_length_is_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "a.mp3"
    wave = noise(12.0) * np.linspace(0.001, 1, 12 * RATE)  # its first frames are short ones
    soundfile.write(file, wave, RATE, bitrate_mode="VARIABLE")
    file.write_bytes(without_xing(file.read_bytes()))
    there, findings = read(file)
    assert len(there) / RATE == pytest.approx(12, abs=0.1)
    assert findings.damage == ""
    file.write_bytes(file.read_bytes() * 2)
    assert len(read_mono(file, RATE)) / RATE == pytest.approx(24, abs=0.2)


def test_an_mp3_longer_than_its_header_says_is_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "a.mp3"
    soundfile.write(file, noise(6.0), RATE)
    file.write_bytes(file.read_bytes() * 2)
    there, findings = read(file)
    assert len(there) / RATE == pytest.approx(12, abs=0.3)
    assert "its header tells of" in findings.notes[0]


def test_channels_that_cancel_leave_the_louder_one(tmp_path: Path) -> None:
    file, wave = tmp_path / "a.wav", noise(2.0)
    soundfile.write(file, np.stack([-0.9 * wave, wave], axis=1), RATE, subtype="FLOAT")
    there, findings = read(file)
    np.testing.assert_array_equal(there, wave)
    assert findings.notes == ["channels cancel out: channel 2 alone is used there"]


def test_silence_offset_and_clipping_are_listed(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    for wave, note in (
        (np.zeros(RATE), "silent: every sample is 0"),
        (0.1 * noise(1.0) + 0.03, "DC offset of 0.030 of full scale"),
        (np.clip(4 * tone(1.0, RATE), -1, 1), r"clipped: 6\d.\d\d% of samples"),
    ):
        soundfile.write(file, wave, RATE)
        (found,) = read(file)[1].notes
        assert re.fullmatch(note, found)
    soundfile.write(file, tone(1.0, RATE) * 2, RATE)  # up to full scale, not beyond
    assert read(file)[1] == Findings()


@pytest.mark.parametrize("scale", [1 << 15, 1 << 23, 1 << 31])
def test_float_samples_at_the_scale_of_integers_are_scaled(tmp_path: Path, scale: int) -> None:
    file = tmp_path / "a.wav"
    soundfile.write(file, tone(1.0, RATE) * scale, RATE, subtype="FLOAT")
    there, findings = read(file)
    np.testing.assert_allclose(there, tone(1.0, RATE), atol=1e-6)
    assert findings.notes == [f"float samples at integer scale, up to {scale / 2:.0f}: divided by {scale}"]


@pytest.mark.parametrize("rate", [8000, 44100, 384000])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "DOUBLE"])
def test_what_recorders_write_keeps_its_tone(tmp_path: Path, rate: int, subtype: str) -> None:
    file = tmp_path / "a.wav"
    for kind in ("WAV", "RF64"):
        soundfile.write(file, np.stack([tone(1.0, rate)] * 2, axis=1), rate, subtype, format=kind)
        there, findings = read(file)
        assert findings == Findings()
        np.testing.assert_allclose(there[500:-500], tone(1.0, RATE)[500:-500], atol=0.01)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize(
    ("name", "words", "label"),
    [
        ("a.m4a", ["-f", "ipod"], "AAC/MP4"),
        ("named.mp3", ["-f", "ipod"], "AAC/MP4"),
        ("a.aac", [], "AAC"),
        ("a.wma", ["-c:a", "wmav2"], "WMA"),
    ],
)
def test_ffmpeg_reads_what_libsndfile_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: list[str], label: str
) -> None:
    soundfile.write(tmp_path / "a.wav", tone(3.0, RATE), RATE)
    file = tmp_path / name
    command = ["ffmpeg", "-v", "error", "-i", str(tmp_path / "a.wav"), *words, str(file)]
    subprocess.run(command, check=True)
    there, findings = read(file)
    assert len(there) / RATE == pytest.approx(3, abs=0.1)
    assert there[RATE:-RATE].std() == pytest.approx(0.5 / 2**0.5, rel=0.02)
    assert findings == Findings("", [f"{label} content, decoded by ffmpeg"])
    next(stream_mono(file, RATE))  # one that is not read to its end leaves no process behind
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioError, match=f"{label} content, which takes ffmpeg, and that is not installed"):
        read(file)


def test_a_file_that_may_not_be_read_and_a_broken_link_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link.wav").symlink_to(tmp_path / "gone.wav")
    with pytest.raises(AudioError, match=r"missing file: a broken link to .*gone\.wav"):
        read(tmp_path / "link.wav")
    with pytest.raises(AudioError, match="not a file"):
        read(tmp_path)
    soundfile.write(tmp_path / "a.wav", tone(1.0, RATE), RATE)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # whoever runs tests as root may read everything
    with pytest.raises(AudioError, match="not readable: Permission denied"):
        read(tmp_path / "a.wav")


def test_samples_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    wave = tone(1.0, 32000)
    wave[100] = np.nan
    soundfile.write(tmp_path / "a.wav", wave, 32000, subtype="FLOAT")
    with pytest.raises(AudioError, match="not finite"):
        read_mono(tmp_path / "a.wav", 32000)


def test_int16_clips_instead_of_wrapping() -> None:
    assert to_int16(np.array([2.0, -2.0, 0.5])).tolist() == [32767, -32768, 16384]


def test_a_stretch_is_the_same_when_what_lies_long_before_is_not_resampled(tmp_path: Path) -> None:
    time = np.arange(90 * 22050) / 22050
    wave = 0.3 * np.sin(2 * np.pi * (20 * time + 0.2 * time**2))  # its pitch tells the time
    soundfile.write(tmp_path / "long.wav", wave, 22050)
    found = read_stretch(tmp_path / "long.wav", (16000, 8000), 61.0, 63.0)
    for one, rate in zip(found, (16000, 8000), strict=True):
        whole = read_mono(tmp_path / "long.wav", rate)[61 * rate : 63 * rate]
        assert len(one) == len(whole)
        assert np.abs(one - whole).max() < 0.01


@pytest.mark.parametrize(
    ("name", "subtype", "channels", "is_passed_over"),
    [
        ("a.wav", "PCM_16", 1, True), ("a.wav", "PCM_24", 1, True), ("a.wav", "PCM_U8", 1, True),
        ("a.aiff", "PCM_16", 1, True), ("a.wav", "PCM_16", 2, False), ("a.wav", "FLOAT", 1, False),
        ("a.wav", "IMA_ADPCM", 1, False), ("a.flac", "PCM_16", 1, False), ("a.ogg", "VORBIS", 1, False),
    ],
)  # fmt: skip
def test_a_stretch_is_the_same_to_the_sample_when_what_lies_long_before_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, subtype: str, channels: int, *,
    is_passed_over: bool,
) -> None:  # fmt: skip
    file = tmp_path / name
    soundfile.write(file, np.stack([noise(40.0)] * channels, axis=1), RATE, subtype=subtype)
    places = [(0.0, 2.0), (8.0, 9.5), (16.884, 17.0), (33.0, 36.0), (39.0, 45.0), (50.0, 55.0)]
    found = [read_stretch(file, (RATE, 24000), *place) for place in places]
    first, (_, block) = list(decode(file, Findings(), 33.0))[:2]
    assert (first[1].any(), len(first[1]) > BLOCK_FRAMES) == (not is_passed_over, is_passed_over)
    assert block.any()
    monkeypatch.setattr(decoding, "_pass_over", lambda *_: 0)
    for place, stretch in zip(places, found, strict=True):
        for one, other in zip(stretch, read_stretch(file, (RATE, 24000), *place), strict=True):
            np.testing.assert_array_equal(one, other)


def test_what_cannot_be_read_is_the_same_from_a_late_start(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(40.0), RATE)
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(content[: len(content) * 3 // 4])
    early, late = Findings(), Findings()
    frames = [
        sum(len(block) for _, block in decode(tmp_path / "a.wav", told, start))
        for told, start in ((early, 0.0), (late, 25.0))
    ]
    assert frames[0] == frames[1]
    assert early == late
    assert "30.0 s can be decoded" in late.damage
