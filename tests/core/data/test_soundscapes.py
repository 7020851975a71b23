"""Which files of a folder are soundscapes, under which ids, and what is said of the rest."""

from pathlib import Path

import pytest

from core.data.soundscapes import find_soundscapes, search_soundscapes


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"RIFF")


def test_an_id_is_the_path_below_the_folder_without_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "b/1.WAV", "a/1.WAV", "a/1.5.wav", "c/x.flac", "c/x.wav", "2.ogg")
    files = find_soundscapes([str(tmp_path)])
    assert list(files) == ["2", "a/1", "a/1.5", "b/1", "c/x.flac", "c/x.wav"]
    assert files["b/1"] == tmp_path / "b/1.WAV"
    assert list(find_soundscapes([str(tmp_path / "a/1.WAV")])) == ["1"]


def test_of_several_folders_ids_are_below_the_one_that_holds_them(tmp_path: Path) -> None:
    touch(tmp_path, "site A/1.wav", "site B/1.wav", "site B/2.wav")
    folders = [str(tmp_path / "site A"), str(tmp_path / "site B"), str(tmp_path / "site B/2.wav")]
    assert list(find_soundscapes(folders)) == ["site A/1", "site B/1", "site B/2"]
    files = [f"{folder}/1.wav" for folder in folders[:2]]
    assert list(find_soundscapes(files)) == ["site A/1", "site B/1"]


def test_what_is_no_soundscape_has_a_line(tmp_path: Path) -> None:
    folder = tmp_path / "card"
    touch(folder, "1.wav", "._1.wav", ".Trashes/2.wav", "CONFIG.TXT", "a/b.txt", "a/phone.m4a", "a/README")
    (folder / "gone.wav").symlink_to("/nowhere/gone.wav")
    (folder / "away").symlink_to("/nowhere")
    found = search_soundscapes([str(folder)])
    assert list(found.files) == ["1", "a/phone", "gone"]
    assert dict(found.left_out[:1]) == {str(folder / "away"): "a broken link to /nowhere"}
    assert [reason for _, reason in found.left_out[1:]] == [
        "not read: 1 file ending in nothing",
        "not read: 2 files ending in .txt",
        "not read: hidden files and folders, 2",
    ]


def test_linked_folders_are_searched_once_and_without_end(tmp_path: Path) -> None:
    touch(tmp_path, "card/z/1.wav", "other/2.wav")
    (tmp_path / "card/a").symlink_to(tmp_path / "card/z")
    (tmp_path / "card/b").symlink_to(tmp_path / "other")
    (tmp_path / "card/z/loop").symlink_to(tmp_path / "card")
    assert list(find_soundscapes([str(tmp_path / "card")])) == ["b/2", "z/1"]


def test_nothing_there_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "a.txt")
    with pytest.raises(ValueError, match="no audio file in"):
        find_soundscapes([str(tmp_path)])
    with pytest.raises(ValueError, match="nowhere does not exist"):
        find_soundscapes([str(tmp_path / "nowhere")])
