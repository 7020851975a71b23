import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.data.audio import read_mono, to_int16
from core.data.decoding import AudioError, Findings
from core.data.soundscapes import WINDOW_SECONDS
from core.inference import reading
from core.inference.reading import read_ahead
from core.inference.windows import Pieces
from tests.core.inference.conftest import RATE, write_noise

SIZE = 2


def joined(cut: Iterator[Pieces]) -> np.ndarray:
    """Return the samples of the only rate."""
    pieces = [piece for (piece,) in (one.values() for one in cut)]
    wave = np.concatenate([piece.windows(0).ravel() for piece in pieces])
    return wave[: round(pieces[-1].end_seconds * RATE)]


def test_files_read_ahead_are_those_read_one_by_one(tmp_path: Path) -> None:
    paths = [write_noise(tmp_path / f"{i}.wav", 10.0 + i, rate=RATE + 1000 * i, seed=i) for i in range(3)]
    for num_threads in (1, 5):
        found = [joined(cut) for cut, _ in read_ahead(paths, [RATE], SIZE, num_threads)]
        for path, wave in zip(paths, found, strict=True):
            assert np.array_equal(wave, read_mono(path, RATE))
    whole = [joined(cut) for cut, _ in read_ahead(paths, [RATE], SIZE, as_int16=True)]
    assert np.array_equal(whole[2], to_int16(read_mono(paths[2], RATE)))


def test_a_bad_file_raises_its_own_error_and_the_next_one_is_read(tmp_path: Path) -> None:
    good = write_noise(tmp_path / "good.wav", 12.0)
    (tmp_path / "bad.ogg").write_text("no audio")
    streams = read_ahead([good, tmp_path / "bad.ogg", tmp_path / "absent.wav", good], [RATE], SIZE)
    assert len(joined(next(streams)[0])) == 12 * RATE
    for reason in ("not readable as audio", "missing file"):
        cut, _ = next(streams)
        with pytest.raises(AudioError, match=reason):
            list(cut)
        assert list(cut) == []
    assert len(joined(next(streams)[0])) == 12 * RATE
    assert next(streams, None) is None


def test_what_is_not_read_of_a_file_never_reaches_the_next(tmp_path: Path) -> None:
    paths = [write_noise(tmp_path / f"{i}.wav", 30.0, seed=i) for i in range(2)]
    streams = read_ahead(paths, [RATE], SIZE)
    next(next(streams)[0])
    assert np.array_equal(joined(next(streams)[0]), read_mono(paths[1], RATE))


def test_it_stays_a_bounded_number_of_pieces_ahead_and_ends_with_its_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def endless(path: Path, sample_rates: list[int], findings: Findings, mono_frames: int) -> object:
        for i in range(10_000):
            made.append(i)
            yield (np.full(WINDOW_SECONDS * RATE, i, np.float32),)

    monkeypatch.setattr(reading, "stream_rates", endless)
    streams = read_ahead([tmp_path / "a"], [RATE], SIZE)
    cut, _ = next(streams)
    assert next(cut)[RATE].wave[0] == 0
    time.sleep(0.3)
    assert len(made) <= (reading.PIECES_AHEAD + 2) * SIZE + 1
    streams.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]
