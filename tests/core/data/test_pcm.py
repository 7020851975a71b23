"""The cache of decoded audio."""

import multiprocessing
import os
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import soundfile

from core.data import pcm
from core.data.decoding import AudioError
from core.data.pcm import PcmStore
from core.data.sample_files import CacheFormat

FORMATS = pytest.mark.parametrize("cache_format", ["pcm", "flac"])


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    generator = np.random.default_rng(0)
    paths = [tmp_path / f"{i}.wav" for i in range(4)]
    for path in paths:
        soundfile.write(path, generator.uniform(-0.5, 0.5, 32000), 32000)
    return paths


def build(files: list[Path], cache: Path) -> None:
    PcmStore(files, 32000, cache, quiet=True)


@FORMATS
def test_the_cache_holds_the_samples_and_is_used(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache_format: CacheFormat
) -> None:
    plain = PcmStore(files, 32000, None, quiet=True)
    first = PcmStore(files, 32000, tmp_path / "cache", quiet=True, cache_format=cache_format)
    monkeypatch.setattr(pcm, "stream_mono", None)  # decoding would fail now
    second = PcmStore(files, 32000, tmp_path / "cache", quiet=True, cache_format=cache_format)
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


@pytest.mark.slow
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


@pytest.mark.parametrize("with_cache", [True, False])
def test_what_is_damaged_or_odd_is_listed_in_every_run(
    files: list[Path], tmp_path: Path, with_cache: bool
) -> None:
    cache = tmp_path / "cache" if with_cache else None
    files[0].write_bytes(files[0].read_bytes()[:32044])
    soundfile.write(files[1], np.zeros(32000), 32000)
    files[2].write_text("no audio")
    for _ in range(2):
        store = PcmStore(files, 32000, cache, quiet=True)
        assert store.lengths.tolist() == [16000, 32000, 0, 32000]
        assert set(store.bad) == {2}
        assert store.findings[0].damage == "cut off: its header says 1.0 s; 0.5 s can be decoded"
        assert store.findings[1].notes == ["silent: every sample is 0"]
        assert len(store.read(0, 0, 32000)) == 16000
    strict = PcmStore(files, 32000, cache, quiet=True, strict=True)
    assert strict.bad[0] == store.findings[0].damage
    assert strict.lengths.tolist() == [0, 32000, 0, 32000]


def test_beyond_the_end_there_is_nothing(files: list[Path], tmp_path: Path) -> None:
    store, clip = PcmStore(files, 32000, tmp_path / "cache", quiet=True), np.full(4, 7, np.int16)
    assert len(store.read(0, int(store.lengths[0]) - 3, 10)) == 3
    assert len(store.read(0, int(store.lengths[0]) + 3, 10)) == 0
    assert store.read_into(0, int(store.lengths[0]), clip) == 0
    assert clip.tolist() == [7] * 4


def test_flac_takes_less_room(tmp_path: Path) -> None:
    envelope = np.linspace(0, 0.05, 320_000)
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-1, 1, 320_000) * envelope, 32000)
    sizes = []
    for cache_format in get_args(CacheFormat):
        folder = tmp_path / cache_format
        PcmStore([tmp_path / "a.wav"], 32000, folder, quiet=True, cache_format=cache_format)
        sizes += [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    assert sizes[1] < 0.75 * sizes[0]


@FORMATS
@pytest.mark.parametrize("damage", ["shorter", "longer", "empty", "former"])
def test_a_damaged_cache_file_is_written_anew(
    files: list[Path], tmp_path: Path, damage: str, cache_format: CacheFormat
) -> None:
    cache = tmp_path / "cache"
    before = PcmStore(files[:1], 32000, cache, quiet=True, cache_format=cache_format).read(0, 0, 32000)
    (stored,) = (path for path in cache.rglob("*") if path.is_file())
    content = stored.read_bytes()
    changed = {"shorter": content[:1000] + content[-100:], "longer": content * 2, "former": content[:64000]}
    stored.write_bytes(changed.get(damage, b""))
    after = PcmStore(files[:1], 32000, cache, quiet=True, cache_format=cache_format)
    assert after.lengths.tolist() == [32000]
    np.testing.assert_array_equal(after.read(0, 0, 32000), before)
    assert stored.read_bytes() == content


@FORMATS
def test_a_file_that_is_gone_while_training_is_named(
    files: list[Path], tmp_path: Path, cache_format: CacheFormat
) -> None:
    store = PcmStore(files, 32000, tmp_path / "cache", quiet=True, cache_format=cache_format)
    before = store.read(0, 100, 1000)
    for stored in [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]:
        stored.unlink()
    np.testing.assert_array_equal(store.read(0, 100, 1000), before)  # of the recording itself
    files[0].unlink()
    with pytest.raises(AudioError, match=r"0\.wav: missing file"):
        store.read(0, 0, 1000)


def test_a_recording_that_may_not_be_read_is_bad_and_a_cache_that_may_not_be_written_is_told(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def refuse(path: Path, *words: Any, **more: Any) -> Any:
        if path == files[1]:
            raise PermissionError(13, "Permission denied")
        return opened(path, *words, **more)

    monkeypatch.setattr(Path, "open", refuse)  # whoever runs tests as root may read everything
    store = PcmStore(files, 32000, tmp_path / "cache", quiet=True)
    assert store.bad == {1: "not readable: Permission denied"}
    (tmp_path / "other").mkdir()
    for name in range(256):
        (tmp_path / "other" / f"{name:02x}").write_text("no folder")
    with pytest.raises(ValueError, match=r"data\.cache=.*other: cannot be written: File exists"):
        PcmStore(files, 32000, tmp_path / "other", quiet=True)


def test_no_claim_of_one_file_refuses_the_others(
    files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "a.flac", np.zeros(32000), 32000)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[21] |= 15
    content[22:26] = b"\xff" * 4  # 2^36 - 1 samples, 137 GB
    (tmp_path / "a.flac").write_bytes(content)
    store = PcmStore([*files, tmp_path / "a.flac"], 32000, tmp_path / "cache")
    assert store.lengths.tolist() == [32000] * 5
    assert "of 2147483.6 s can be decoded" in store.findings[4].damage
    assert "0.00 GB" in capsys.readouterr().out
