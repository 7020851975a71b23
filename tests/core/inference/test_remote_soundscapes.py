"""Soundscapes behind addresses give what they give on this machine's disk."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pytest

from core.inference import journal, run
from tests.core.data.test_recorders import write_wav
from tests.core.inference.conftest import Trained
from tests.programs import refusal, run_program


@pytest.fixture
def elsewhere(soundscapes: Path) -> Iterator[Any]:
    """Return a storage with the soundscapes, and a file that is none."""
    header = b"GUANO|Version: 1.0\nTimestamp: 2023-04-20T07:40:00+10:00\nWA|Song Meter|Prefix: ridge\n"
    write_wav(soundscapes / "header.wav", b"guan", header, is_before=True)
    (soundscapes / "torn.wav").write_bytes(b"RIFF, or not")
    memory = fsspec.filesystem("memory")
    memory.put(str(soundscapes), "/field", recursive=True)
    yield memory
    memory.rm("/field", recursive=True)


def ledger_of(out: Path) -> pd.DataFrame:
    table = pd.read_csv(out.with_name(f"{out.stem}_ledger.csv"))
    return table.drop(columns=["path", "took_seconds"])


def test_files_by_address_are_predicted_as_those_of_this_disk(
    trained: Trained, soundscapes: Path, elsewhere: Any, tmp_path: Path
) -> None:
    outs = {}
    for name, place in {
        "plain": soundscapes,
        "file": f"file://{soundscapes}",
        "memory": "memory://field",
    }.items():
        outs[name] = tmp_path / f"{name}.csv"
        words = ("--checkpoints", *trained.runs, f"--out={outs[name]}", f"--detections={tmp_path / name}")
        run_program("core.inference", *words, "--soundscapes", place)
    for name in ("file", "memory"):
        assert outs[name].read_bytes() == outs["plain"].read_bytes()
        assert ledger_of(outs[name]).equals(ledger_of(outs["plain"]))
        assert len(list((tmp_path / name).iterdir())) == len(list((tmp_path / "plain").iterdir()))
    known = ledger_of(outs["memory"]).set_index("file_id")
    assert known.loc["header", "start_time"] == "2023-04-20T07:40:00+10:00"
    assert known.loc["torn", "status"].startswith("not readable as audio")
    assert pd.read_csv(tmp_path / "memory_ledger.csv")["path"].str.startswith("memory:///field/").all()


def test_a_file_elsewhere_that_changes_is_predicted_again(
    trained: Trained, elsewhere: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--checkpoints", *trained.runs, "--soundscapes", "memory://field", f"--out={tmp_path}/s.csv")
    monkeypatch.setattr(journal, "FLUSH_FILES", 1)
    monkeypatch.setattr(run, "write_tables", stop)
    with pytest.raises(SystemExit):
        run_program("core.inference", *words)
    monkeypatch.undo()
    elsewhere.pipe("/field/s0.wav", elsewhere.cat("/field/s3.wav"))
    assert "7 soundscapes, 6 of them done before" in run_program("core.inference", *words)


def stop(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_cannot_be_reached_is_told_in_one_line(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    words = ["--checkpoints", *trained.runs, f"--out={tmp_path}/s.csv", "--soundscapes"]
    said = refusal("core.inference", *words, "s3://bucket/test_soundscapes")
    assert said == (
        "error: soundscapes: s3://bucket/test_soundscapes: its storage takes a package: pip install s3fs\n"
    )
    said = refusal("core.inference", *words, "memory://x", "--engine=ray")
    assert "soundscapes=memory://x: with --engine=ray other processes cannot read it" in said
    assert said.count("\n") == 1
