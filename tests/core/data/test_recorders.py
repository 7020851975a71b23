"""Where and when: from names, folders, headers and a pattern that is given."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.data.recorders import UNKNOWN, Origin, compile_pattern, describe_origin

ABSENT = Path("absent.wav")


@pytest.mark.parametrize(
    ("name", "site", "start"),
    [
        ("20230420_074000", "", "2023-04-20T07:40:00"),
        ("20230420_074000T", "", "2023-04-20T07:40:00"),
        ("site A/20230420_074000", "site A", "2023-04-20T07:40:00"),
        ("site A/Data/20230420_074000", "site A", "2023-04-20T07:40:00"),
        ("north/site A/20230420/074000", "site A", "2023-04-20T07:40:00"),
        ("S4A03895_20190522_230000", "S4A03895", "2019-05-22T23:00:00"),
        ("ridge/SMM00123_20230420_074000", "ridge", "2023-04-20T07:40:00"),
        ("SWIFT01_20230420_074000_Z", "SWIFT01", "2023-04-20T07:40:00Z"),
        ("20230420T074000+1000_REC", "", "2023-04-20T07:40:00+10:00"),
        ("H02_20230420_074000", "H02", "2023-04-20T07:40:00"),
        ("train_soundscapes/H02_20230420_074000", "H02", "2023-04-20T07:40:00"),
        ("BC2026_Test_0001_S05_20250227_010002", "S05", "2025-02-27T01:00:02"),
        ("20152_SSW_20170805", "SSW", "2017-08-05"),
        ("pond-2023-04-20 07-40", "pond", "2023-04-20T07:40:00"),
        ("soundscape_29201", "", ""),
        ("20231320_074000", "", ""),  # no such month
        ("20230230_074000", "", ""),  # no such day
        ("XC123456", "", ""),
    ],
)
def test_names_and_folders_tell(name: str, site: str, start: str) -> None:
    assert describe_origin(ABSENT, name) == Origin(site, start)


def test_a_pattern_comes_before_all_else() -> None:
    pattern = compile_pattern(r"^(?P<site>[A-Z]+)(?P<date>\d{8})x(?P<time>\d{4})")
    assert describe_origin(ABSENT, "DJAUX20230420x0740", pattern) == Origin("DJAUX", "2023-04-20T07:40:00")
    assert describe_origin(ABSENT, "b/20230420_0740", pattern) == Origin("b", "2023-04-20T07:40:00")
    for text, message in ((r"(?P<site>", "no regular expression"), (r"(?P<place>.)", "needs at least one")):
        with pytest.raises(ValueError, match=message):
            compile_pattern(text)


def write_wav(path: Path, name: bytes, content: bytes, *, is_before: bool) -> Path:
    """Write a WAV file with a chunk before or behind its data."""
    soundfile.write(path, np.zeros(100), 8000)
    whole = path.read_bytes()
    chunk = name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    place = whole.index(b"data") if is_before else len(whole)
    path.write_bytes(whole[:place] + chunk + whole[place:])
    return path


def wamd(*entries: tuple[int, bytes]) -> bytes:
    return b"".join(struct.pack("<HI", number, len(text)) + text for number, text in entries)


AUDIOMOTH = b"INFOICMT\x50\0\0\0Recorded at 07:40:00 20/04/2023 (UTC%s) by AudioMoth 24F319055FDF2F5B at gain"


@pytest.mark.parametrize(
    ("name", "content", "site", "start"),
    [
        (b"guan", b"GUANO|Version: 1.0\nTimestamp: 2023-04-20T07:40:00+10:00\nWA|Song Meter|Prefix: ridge\n",
         "ridge", "2023-04-20T07:40:00+10:00"),
        (b"LIST", AUDIOMOTH % b"", "", "2023-04-20T07:40:00Z"),
        (b"LIST", AUDIOMOTH % b"-3:30", "", "2023-04-20T07:40:00-03:30"),
        (b"bext", bytes(320) + b"2023-04-2007:40:00" + bytes(300), "", "2023-04-20T07:40:00"),
        (b"bext", bytes(700), "", ""),
        (b"wamd", wamd((1, b"SM4"), (4, b"ridge"), (5, b"2023-04-20 07:40:00-05:00")),
         "ridge", "2023-04-20T07:40:00-05:00"),
        (b"guan", b"Timestamp: yesterday\n", "", ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_before", [True, False])
def test_headers_tell_what_names_do_not(
    tmp_path: Path, name: bytes, content: bytes, site: str, start: str, *, is_before: bool
) -> None:
    file = write_wav(tmp_path / "a.wav", name, content, is_before=is_before)
    assert describe_origin(file, "a") == Origin(site, start)
    assert describe_origin(file, "bog/20230420_074000").start_time == (start or "2023-04-20T07:40:00")
    assert describe_origin(file, "bog/20230421_074000") == Origin("bog", "2023-04-21T07:40:00")


def test_no_wav_and_damaged_chunks_tell_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(b"fLaC")
    assert describe_origin(tmp_path / "a.flac", "a") == UNKNOWN
    (tmp_path / "a.wav").write_bytes(b"RIFF\0\0\0\0WAVEwamd\xff\0\0\0\x05\0\xff\xff\xff\xff")
    assert describe_origin(tmp_path / "a.wav", "a") == UNKNOWN
