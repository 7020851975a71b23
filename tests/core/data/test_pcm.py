"""The cache of decoded audio."""

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.data import pcm
from core.data.pcm import PcmStore


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    generator = np.random.default_rng(0)
    paths = [tmp_path / f"{i}.wav" for i in range(4)]
    for path in paths:
        soundfile.write(path, generator.uniform(-0.5, 0.5, 32000), 32000)
    return paths


def build(files: list[Path], cache: Path) -> None:
    PcmStore(files, 32000, cache, quiet=True)


def test_the_cache_holds_the_samples_and_is_used(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = PcmStore(files, 32000, None, quiet=True)
    first = PcmStore(files, 32000, tmp_path / "cache", quiet=True)
    monkeypatch.setattr(pcm, "stream_mono", None)  # decoding would fail now
    second = PcmStore(files, 32000, tmp_path / "cache", quiet=True)
    for i in range(len(files)):
        wave = second.read(i, 1000, 5000)
        assert wave.dtype == np.int16
        for other in (first, plain):
            np.testing.assert_array_equal(wave, other.read(i, 1000, 5000))
    assert first.lengths.tolist() == plain.lengths.tolist() == [32000] * 4


def test_a_changed_file_is_decoded_again(files: list[Path], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    before = PcmStore(files, 32000, cache, quiet=True).read(0, 0, 1000).copy()
    status = files[0].stat()
    soundfile.write(files[0], np.full(32000, 0.25), 32000)
    os.utime(files[0], ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))
    after = PcmStore(files, 32000, cache, quiet=True).read(0, 0, 1000)
    assert after.tolist() == [8192] * 1000 != before.tolist()


def test_two_processes_build_one_cache(files: list[Path], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=build, args=(files, cache)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    kept = [path.suffix for path in cache.rglob("*") if path.is_file()]
    assert kept == [".i16"] * len(files)
    store = PcmStore(files, 32000, cache, quiet=True)
    direct = PcmStore(files, 32000, None, quiet=True)
    np.testing.assert_array_equal(store.read(3, 0, 32000), direct.read(3, 0, 32000))


def test_bad_files_have_a_reason_and_no_length(files: list[Path], tmp_path: Path) -> None:
    files[1].write_bytes(b"")
    store = PcmStore([*files, tmp_path / "absent.ogg"], 32000, tmp_path / "cache", quiet=True)
    assert store.lengths.tolist() == [32000, 0, 32000, 32000, 0]
    assert store.bad == {1: "empty file (0 bytes)", 4: "missing file"}
