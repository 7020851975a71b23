"""Hugging Face audio sets: parquet files with audio in them, on disk and on the hub."""

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import soundfile
from pyarrow import parquet

from core.data import parquet_set
from core.data.competition import Competition, describe, read_competition
from tests.folders import RATE, tone
from tests.runs import TinyTrainer, tiny_config, with_data

NAMES = ["whcspa", "22961", "amerob"]
PART_ROWS = 5
SCAPE = "HSN_001_20150708_061805"
TIMES: dict[str, Any] = {"start_time": None, "end_time": None}


def encoded(code: str, seconds: float, kind: str = "OGG", seed: int = 0) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, tone(code, NAMES, seconds, seed), RATE, format=kind)
    return file.getvalue()


def audio(name: str, content: bytes) -> dict[str, Any]:
    return {"bytes": content, "path": name}


def write_split(file: Path, rows: Sequence[Mapping[str, Any]], names: Sequence[str] | None = NAMES) -> None:
    """Write rows as the library datasets does, with the names of classes in the schema."""
    label = {"names": names, "_type": "ClassLabel"}
    features = {"audio": {"sampling_rate": RATE, "_type": "Audio"}, "ebird_code": label}
    features |= {"ebird_code_multilabel": {"feature": label, "_type": "Sequence"}}
    table = pa.Table.from_pylist([dict(row) for row in rows])
    if names is not None:
        said = {"huggingface": json.dumps({"info": {"features": features}})}
        table = table.replace_schema_metadata(said)
    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, file, row_group_size=PART_ROWS)


@cache
def recordings() -> list[dict[str, Any]]:
    rows = []
    for number in range(12):
        code, name = number % len(NAMES), f"XC{number}.ogg"
        content = b"no audio at all" if number == 7 else encoded(NAMES[code], 2.0, seed=number)
        rows.append(
            {
                "audio": audio(name, content), "filepath": name, **TIMES, "ebird_code": code,
                "ebird_code_multilabel": [code], "ebird_code_secondary": ["22961"] if number == 0 else [],
                "quality": "ABC"[number % 3], "recordist": f"R{number % 4}", "lat": 38.5, "license": "CC BY",
                "detected_events": [[0.0, 1.0]],
            }
        )  # fmt: skip
    return rows


@cache
def windows() -> list[dict[str, Any]]:
    """Return the rows of test_5s, each with its own audio."""
    heard: tuple[list[int], ...] = ([0], [], [0, 1], [2])
    return [
        {
            "audio": audio("x.flac", encoded(NAMES[min(codes, default=0)], 5.0, "FLAC", seed=i)),
            "filepath": f"{SCAPE}_{5 * i:03}_{5 * i + 5:03}.flac", "start_time": 0.0, "end_time": 5.0,
            "ebird_code": None, "ebird_code_multilabel": codes,
        }
        for i, codes in enumerate(heard)
    ]  # fmt: skip


def make_set(root: Path) -> Path:
    write_split(root / "train-00000-of-00001.parquet", recordings())
    write_split(root / "test_5s-00000-of-00001.parquet", windows())
    song = {**windows()[0], "ebird_code": 0}
    write_split(root / "test-00000-of-00001.parquet", [song])
    return root


@pytest.fixture(scope="module")
def bird_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("sets") / "HSN")


@pytest.fixture(scope="module")
def found(bird_set: Path) -> Competition:
    return read_competition(bird_set, cache=str(bird_set.parent / "cache"))


def test_recordings_have_the_names_of_the_schema(found: Competition) -> None:
    table = found.recordings
    assert found.species == found.scored == ("22961", "amerob", "whcspa")
    assert found.layout.year is None
    assert table["recording"].tolist()[:3] == ["whcspa/XC0.ogg", "22961/XC1.ogg", "amerob/XC2.ogg"]
    assert table["species"].tolist() == NAMES * 4
    assert table["secondary"].tolist()[:2] == [("22961",), ()]
    assert table["rating"].tolist()[:3] == [5.0, 4.0, 3.0]
    assert table["author"].tolist()[:4] == ["R0", "R1", "R2", "R3"]
    assert set(table["license"]) == {"CC BY"}
    assert set(table["latitude"]) == {"38.5"}
    for path, row in zip(table["path"], recordings(), strict=True):
        assert path.read_bytes() == row["audio"]["bytes"]


def test_rows_of_test_5s_are_windows_of_which_all_is_known(found: Competition) -> None:
    heard = found.soundscapes
    assert heard.soundscape.tolist() == [f"{SCAPE}_{5 * i:03}_{5 * i + 5:03}" for i in range(4)]
    assert (heard.begin.tolist(), heard.end.tolist()) == ([0.0] * 4, [5.0] * 4)
    assert heard.known.all()
    columns = [heard.species.index(code) for code in NAMES]
    assert heard.positive[:, columns].tolist() == [
        [True, False, False], [False] * 3, [True, True, False], [False, False, True],
    ]  # fmt: skip
    assert set(heard.site) == {"HSN_001"}
    assert set(heard.start_time) == {"2015-07-08T06:18:05"}
    assert [heard.paths[name].read_bytes() for name in heard.soundscape] == [
        row["audio"]["bytes"] for row in windows()
    ]


def test_the_command_says_what_was_recognised(bird_set: Path, found: Competition) -> None:
    text = describe(found)
    assert f"unpacked from {bird_set}" in text
    assert "split test is not read: test_5s is about the same soundscapes" in text
    assert "Recordings: 12 of 3 classes" in text
    assert "Labelled soundscapes: 4" in text


def test_what_was_interrupted_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, store = make_set(tmp_path / "HSN"), str(tmp_path / "cache")
    write, read = parquet_set.write_table, parquet_set.read_rows

    def stop_at_the_third_part(table: pd.DataFrame, file: Path) -> Path:
        if file.stem == "1-1":
            raise KeyboardInterrupt
        return write(table, file)

    monkeypatch.setattr(parquet_set, "write_table", stop_at_the_third_part)
    with pytest.raises(KeyboardInterrupt):
        read_competition(root, cache=store)
    monkeypatch.setattr(parquet_set, "write_table", write)
    seen: list[tuple[str, int]] = []

    def note_and_read(source: Any, group: int, target: Path, *, about_soundscapes: bool) -> Any:
        seen.append((source.split, group))
        return read(source, group, target, about_soundscapes=about_soundscapes)

    monkeypatch.setattr(parquet_set, "read_rows", note_and_read)
    found = read_competition(root, cache=store)
    assert seen == [("train", 1), ("train", 2)]
    assert len(found.recordings) == 12
    assert len(found.soundscapes) == 4
    again = read_competition(root, cache=store)
    assert seen == [("train", 1), ("train", 2)], "what is unpacked stays"
    assert again.recordings.equals(found.recordings)


def test_it_trains_and_lists_what_is_no_audio(bird_set: Path, found: Competition, tmp_path: Path) -> None:
    config = replace(with_data(tiny_config(bird_set, tmp_path), min_epoch_steps=2), epochs=1)
    TinyTrainer.main(config)
    (run,) = tmp_path.glob("tiny/*/")
    bad = pd.read_csv(run / "bad_files.csv")
    assert bad["status"].tolist() == ["unusable"]
    assert bad["file"][0].endswith("train_audio/22961/XC7.ogg")
    assert (run / "checkpoints").is_dir()


def test_songs_in_whole_soundscapes_make_windows(tmp_path: Path) -> None:
    whole = audio("x.ogg", encoded(NAMES[0], 15.0))
    rows = [
        {"audio": whole, "filepath": "S01_20150708_061805.ogg", "ebird_code": code, "start_time": begin,
         "end_time": begin + 2.0}
        for code, begin in ((0, 1.0), (2, 11.0))
    ]  # fmt: skip
    write_split(tmp_path / "HSN" / "train" / "0000.parquet", recordings()[:3])
    write_split(tmp_path / "HSN" / "test" / "0000.parquet", rows)
    heard = read_competition(tmp_path, cache=str(tmp_path / "cache")).soundscapes
    assert heard.begin.tolist() == [0.0, 5.0, 10.0]
    assert heard.known.all()
    assert [np.array(heard.species)[row].tolist() for row in heard.positive] == [["whcspa"], [], ["amerob"]]
    assert list(heard.paths) == ["S01_20150708_061805"]


def test_stretches_of_one_file_are_named_by_their_start(tmp_path: Path) -> None:
    rows = [{**row, "filepath": "a/S01.flac", "start_time": 5.0 * i, "end_time": 5.0 * i + 5} for i, row in
            enumerate(windows())]  # fmt: skip
    write_split(tmp_path / "train.parquet", recordings()[:3])
    write_split(tmp_path / "test_5s.parquet", rows)
    heard = read_competition(tmp_path, cache=str(tmp_path / "cache")).soundscapes
    assert heard.soundscape.tolist() == ["a/S01", "a/S01_5", "a/S01_10", "a/S01_15"]
    assert heard.begin.tolist() == [0.0] * 4
    assert [len(path.read_bytes()) for path in heard.paths.values()] == [
        len(r["audio"]["bytes"]) for r in rows
    ]


def test_any_set_with_audio_and_a_label_is_read(tmp_path: Path) -> None:
    rows = [
        {"audio": encoded("amerob", 1.0, seed=number), "label": label, "filepath": name}
        for number, (label, name) in enumerate(
            [
                ("001", "clip.wav"),
                ("001", "clip.wav"),
                ("1e5", "/etc/../clip.wav"),
                (None, "x.wav"),
                ("a/b", "y"),
            ]
        )
    ]
    write_split(tmp_path / "data" / "train-00000-of-00001.parquet", rows, names=None)
    write_split(tmp_path / "data" / "validation-00000-of-00001.parquet", rows[:1], names=None)
    found = read_competition(tmp_path, cache=str(tmp_path / "cache"))
    names = ["001/clip.wav", "001/clip-train-1.wav", "1e5/clip.wav", "a_b/y"]
    assert found.recordings["recording"].tolist() == names
    assert found.species == ("001", "1e5", "a/b")
    assert [path.read_bytes() for path in found.recordings["path"]] == [
        row["audio"] for row in rows if row["label"]
    ]
    notes = "\n".join(found.notes)
    assert "recordings without a label are left out: 1" in notes
    assert "split validation is not read: it is held out, and has no start_time and end_time" in notes


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"filepath": "x.ogg", "ebird_code": 0},
            r"train\.parquet: no column audio; found ebird_code, filepath",
        ),
        ({"audio": b"x"}, r"train\.parquet: no column ebird_code or label; found audio$"),
        ({"audio": b"x", "ebird_code": 3}, r"train\.parquet, row 0: class 3, but the file names 3 classes"),
        ({"audio": b"x", "ebird_code": 0, "filepath": ".."}, r"row 0: '\.\.' is no name of a file"),
    ],
)
def test_what_is_missing_is_one_line(tmp_path: Path, row: Mapping[str, Any], message: str) -> None:
    write_split(tmp_path / "train.parquet", [row])
    with pytest.raises(ValueError, match=message):
        read_competition(tmp_path, cache=str(tmp_path / "cache"))


def test_a_file_that_is_cut_off_and_two_sets_at_once_are_refused(tmp_path: Path) -> None:
    whole = make_set(tmp_path / "HSN")
    write_split(tmp_path / "POW" / "train-00000-of-00001.parquet", recordings()[:3])
    with pytest.raises(ValueError, match="holds several sets, name the folder of one: HSN, POW"):
        read_competition(tmp_path, cache=str(tmp_path / "cache"))
    train = whole / "train-00000-of-00001.parquet"
    train.write_bytes(train.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"train-00000-of-00001\.parquet: not readable as parquet"):
        read_competition(whole, cache=str(tmp_path / "cache"))


def run_program(root: str, cache: Path, endpoint: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "core.data.competition", root, f"--cache={cache}"]
    environment = os.environ | {"HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    return subprocess.run(words, capture_output=True, text=True, check=False, env=environment)


def test_a_hub_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    result = run_program("hf://owner/name/HSN", tmp_path, "http://127.0.0.1:9")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "error: hf://owner/name/HSN: " in result.stderr
    assert "http://127.0.0.1:9 cannot be reached; fetch them where it can be, `hf download" in result.stderr
    assert "and give --data.root=FOLDER" in result.stderr


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    """Serve a set with a configuration HSN that the hub converted, its own files being metadata."""
    train = tmp_path / "served.parquet"
    write_split(train, recordings()[:3])
    content = train.read_bytes()
    names = [f"{config}/partial-train/0000.parquet" for config in ("HSN", "POW")]
    converted = [{"type": "file", "path": name, "size": len(content), "oid": "0"} for name in names]
    own = [{"type": "file", "path": "HSN/HSN_metadata_train.parquet", "size": 1, "oid": "0"}]

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            there = "owner/name" in self.path or self.path == "/"
            body = content if there else b"{}"
            if there and self.path.startswith("/api/"):
                body = json.dumps(converted if "convert%2Fparquet" in self.path else own).encode()
            self.send_response(200 if there else 404)
            for key, value in {"ETag": '"1"', "X-Repo-Commit": "c" * 40, "Content-Length": str(len(body)),
                               "X-Error-Code": "" if there else "RepoNotFound"}.items():  # fmt: skip
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_a_set_of_the_hub_is_fetched_once(tmp_path: Path, hub: str) -> None:
    result = run_program("hf://owner/name/HSN", tmp_path / "cache", hub)
    assert result.returncode == 0, result.stderr
    assert "Recordings: 3 of 3 classes" in result.stdout
    assert "the hub converted a part of this set only" in result.stdout
    offline = run_program("hf://owner/name/HSN", tmp_path / "cache", "http://127.0.0.1:9")
    assert offline.stdout == result.stdout
    unnamed = run_program("hf://owner/name", tmp_path / "cache", hub)
    assert "name one of its configurations as hf://owner/name/CONFIG: HSN, POW" in unnamed.stderr
    absent = run_program("hf://owner/absent/HSN", tmp_path / "cache", hub)
    assert f"{hub} has no data set owner/absent that is open to you" in absent.stderr
