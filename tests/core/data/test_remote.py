"""Audio that lies elsewhere: in memory as a storage, and behind storages that are not there."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
import numpy as np
import pytest

from core.data import remote
from core.data.audio import read_mono
from core.data.decoding import AudioError
from core.data.remote import RemoteFile, fetched, is_remote, unreachable
from core.data.soundscapes import find_soundscapes, search_soundscapes
from tests.core.inference.conftest import RATE, write_noise


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Any]:
    """Return a storage with two soundscapes, a table and a hidden file."""
    memory = fsspec.filesystem("memory")
    for i, name in enumerate(("a/20230420_074000.wav", "b c/x.flac", "notes.txt", ".bin/y.wav")):
        if name.endswith(("wav", "flac")):
            file = write_noise(tmp_path / f"{i}{PurePosixPath(name).suffix}", 6.0, seed=i)
            memory.pipe(f"/bucket/{name}", file.read_bytes())
        else:
            memory.pipe(f"/bucket/{name}", b"text")
    yield memory
    memory.rm("/bucket", recursive=True)


def test_a_folder_elsewhere_is_searched_as_one_here(storage: Any, tmp_path: Path) -> None:
    storage.get("/bucket", f"{tmp_path}/here", recursive=True)
    there, here = search_soundscapes(["memory://bucket"]), search_soundscapes([f"{tmp_path}/here"])
    assert list(there.files) == list(here.files) == ["a/20230420_074000", "b c/x"]
    reasons = [reason for _, reason in there.left_out]
    assert reasons == [reason for _, reason in here.left_out]
    assert {path for path, _ in there.left_out} == {"memory://bucket"}


def test_files_and_folders_elsewhere_and_here_are_named_together(storage: Any, tmp_path: Path) -> None:
    write_noise(tmp_path / "20230420_074000.wav", 5.0)
    paths = [
        "memory://bucket/a/20230420_074000.wav",
        f"{tmp_path}/20230420_074000.wav",
        "memory://bucket/b c",
    ]
    files = search_soundscapes(paths).files
    assert len(files) == 3
    assert "x" in files
    assert {str(file) for file in files.values()} >= {f"{tmp_path}/20230420_074000.wav"}
    both = search_soundscapes(["memory://bucket/a", "memory://bucket/b c"]).files
    assert list(both) == ["a/20230420_074000", "b c/x"]


def test_audio_is_fetched_and_its_copy_removed(
    storage: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "copies"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    file = search_soundscapes(["memory://bucket"]).files["b c/x"]
    assert isinstance(file, RemoteFile)
    assert unreachable(file) == ""
    with fetched(file) as local:
        assert [one.suffix for one in place.rglob("*.*")] == [".flac"]
        found = read_mono(local, RATE)
    assert not any(place.iterdir())
    np.testing.assert_array_equal(found, read_mono(tmp_path / "1.flac", RATE))


def test_a_copy_that_fails_is_tried_again_and_then_told(
    storage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = search_soundscapes(["memory://bucket"]).files["b c/x"]
    failures = [OSError("reset"), TimeoutError("slow")]
    copy = type(storage).get_file

    def shaky(*words: Any, **options: Any) -> None:
        if failures:
            raise failures.pop()
        copy(*words, **options)

    monkeypatch.setattr(remote, "WAITS", (0.0, 0.0, 0.0))
    monkeypatch.setattr(type(storage), "get_file", shaky)
    with fetched(file) as local:
        assert local.stat().st_size > 0
    failures = [OSError("reset")] * 4
    with pytest.raises(AudioError, match="cannot be fetched: reset"), fetched(file):
        pass
    storage.rm("/bucket/b c/x.flac")
    with pytest.raises(AudioError, match="missing file"), fetched(file):
        pass
    assert "x.flac" in unreachable(file)


@pytest.mark.parametrize(
    ("address", "package", "said"),
    [
        ("s3://bucket/folder", "s3fs", "its storage takes a package: pip install s3fs"),
        ("gs://bucket/folder", "gcsfs", "its storage takes a package: pip install gcsfs"),
        ("nothing://bucket", "", "Protocol not known: nothing"),
        ("memory://nowhere", "", "memory://nowhere does not exist"),
        ("zip://a::s3://bucket/b.zip", "", "addresses inside others are not read"),
    ],
)
def test_what_cannot_be_listed_is_told(
    address: str, package: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if package:
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=f"soundscapes: {address}.*") as told:
        search_soundscapes([address])
    assert said in str(told.value)


def test_programs_that_read_only_here_refuse_addresses() -> None:
    with pytest.raises(ValueError, match="s3://a/b: only predicting reads what lies elsewhere"):
        find_soundscapes(["s3://a/b"])


def test_paths_of_this_machine_are_no_addresses() -> None:
    assert not any(map(is_remote, ("/a/b", "a:b", "C:/x", "./s3:/a", "~/x")))


def test_the_length_is_guessed_by_size() -> None:
    assert RemoteFile("s3://a/b.wav", 64_000 * 60, "").seconds == 60
    assert RemoteFile("s3://a/b.ogg", 8_000 * 60, "").seconds == 60
