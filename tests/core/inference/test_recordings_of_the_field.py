"""Cards of field recorders: equal names at several sites, files of all kinds, whole and damaged."""

import os
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from core.inference import journal
from core.inference.config import ExportConfig, InferenceConfig
from core.inference.engines.parity import read_windows
from core.inference.ensemble import load_ensemble
from core.inference.run import predict
from tests.core.inference.conftest import RATE, Trained, write_noise

NAMES = ("20230420_074000", "20230420_080000", "20230420_082000")


def config_of(trained: Trained, folder: Path, out: Path) -> InferenceConfig:
    return InferenceConfig(checkpoints=trained.runs[:1], soundscapes=(str(folder),), out=str(out))


def read_ledger(out: Path) -> pd.DataFrame:
    return pd.read_csv(out.with_name(f"{out.stem}_ledger.csv"), keep_default_na=False).set_index("file_id")


def test_six_soundscapes_of_two_sites_are_six_in_every_table(trained: Trained, tmp_path: Path) -> None:
    card = tmp_path / "card"
    for i, (site, name) in enumerate((site, name) for site in ("site A", "site B") for name in NAMES):
        write_noise(card / site / f"{name}.WAV", 10.0, seed=i)
    out, found = tmp_path / "s.csv", tmp_path / "found"
    tables = [str(tmp_path / "p.csv"), str(tmp_path / "r.csv")]
    config = replace(config_of(trained, card, out), probabilities=tables[0], by_recording=tables[1])
    predict(replace(config, detections=str(found)))
    ids = [f"{site}/{name}" for site in ("site A", "site B") for name in NAMES]
    times = [f"2023-04-20T{time}:00" for time in ("07:40", "08:00", "08:20")] * 2
    ledger = read_ledger(out)
    assert ledger.index.tolist() == ids
    assert set(ledger["status"]) == {"ok"}
    for file in tables:
        table = pd.read_csv(file).drop_duplicates("file_id").sort_values("file_id")
        assert table["file_id"].tolist() == ids
        assert table["site"].tolist() == ["site A"] * 3 + ["site B"] * 3
        assert table["start_time"].tolist() == times
    windows = pd.read_csv(out)["row_id"].str.rsplit("_", n=2).str[0]
    assert windows.drop_duplicates().tolist() == ids
    for name in ids:
        raven = pd.read_csv(found / f"{name}.selections.txt", sep="\t")
        assert set(raven["Begin Path"]) <= {str(card / f"{name}.WAV")}
        assert set(raven["site"]) <= {name[:6]}
    detections = pd.read_csv(found / "detections.csv")
    assert set(detections["site"]) == {"site A", "site B"}
    assert set(detections["start_time"]) <= set(times)


def write_card(folder: Path) -> None:
    """Write 6 s of noise in every way that recorders do, and some that they should not."""
    whole = write_noise(folder / "whole.wav", 6.0).read_bytes()
    size = whole.index(b"data") + 4
    (folder / "zero.wav").write_bytes(whole[:size] + struct.pack("<I", 0) + whole[size + 4 :])
    (folder / "full.wav").write_bytes(whole[:size] + b"\xff" * 4 + whole[size + 4 :])
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.wav").write_bytes(b"")
    (folder / "._whole.wav").write_bytes(b"macOS")
    (folder / "notes.txt").write_text("battery changed")
    wave, _ = soundfile.read(folder / "whole.wav")
    soundfile.write(folder / "rf64.wav", wave, RATE, format="RF64")
    soundfile.write(folder / "24bit.wav", wave, RATE, "PCM_24")
    soundfile.write(folder / "float.wav", wave * 32768, RATE, "FLOAT")
    soundfile.write(folder / "stereo.wav", np.stack([wave, -wave], axis=1), RATE)
    soundfile.write(folder / "fast.wav", np.repeat(wave, 12), 384000)


def test_every_kind_of_file_is_predicted_or_says_why_not(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card, out = tmp_path / "card", tmp_path / "s.csv"
    write_card(card)
    predict(replace(config_of(trained, card, out), probabilities=str(tmp_path / "p.csv")))
    ledger = read_ledger(out)
    good = ["24bit", "fast", "float", "full", "rf64", "stereo", "whole", "zero"]
    seconds = dict.fromkeys(good, 6.0) | {"cut": 3.0, "empty": 0.0}
    assert ledger["seconds"].drop("").to_dict() == pytest.approx(seconds, abs=0.01)
    assert ledger["windows"].drop("").to_dict() == {name: -(-int(s) // 5) for name, s in seconds.items()}
    assert ledger["status"].drop("").to_dict() == dict.fromkeys(good, "ok") | {
        "full": "damaged: not closed: its header states no length; 6.0 s can be decoded",
        "zero": "damaged: not closed: its header states no length; 6.0 s can be decoded",
        "cut": "damaged: cut off: its header says 6.0 s; 3.0 s can be decoded",
        "empty": "empty file (0 bytes)",
    }
    assert "integer scale" in ledger["notes"]["float"]
    assert "channels cancel out" in ledger["notes"]["stereo"]
    assert ledger["status"].loc[[""]].tolist() == [
        "not read: 1 file ending in .txt", "not read: hidden files and folders, 1",
    ]  # fmt: skip
    table = pd.read_csv(tmp_path / "p.csv").set_index(["file_id", "end_time"]).iloc[:, 2:]
    for name in ("zero", "full", "rf64", "24bit", "float", "stereo"):
        np.testing.assert_allclose(table.loc[name], table.loc["whole"], atol=1e-3)
    assert (
        "1 soundscape missing or unusable, 3 damaged and predicted as far as they can be decoded, "
        "2 lines about other files: listed in s_ledger.csv"
    ) in capsys.readouterr().out
    predict(replace(config_of(trained, card, tmp_path / "strict.csv"), strict=True))
    ledger = read_ledger(tmp_path / "strict.csv")
    assert set(ledger.index[ledger["windows"] == 0]) == {"zero", "full", "cut", "empty", ""}


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_a_phone_recording_takes_ffmpeg(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, out = tmp_path / "card", tmp_path / "s.csv"
    wav = write_noise(card / "a.wav", 6.0)
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(wav), str(card / "phone.m4a")], check=True)
    predict(config_of(trained, card, out))
    ledger = read_ledger(out)
    assert ledger["status"].to_dict() == {"a": "ok", "phone": "ok"}
    assert ledger["windows"].to_dict() == {"a": 2, "phone": 2}
    assert ledger["notes"]["phone"] == "AAC/MP4 content, decoded by ffmpeg"
    monkeypatch.setenv("PATH", str(tmp_path))
    predict(config_of(trained, card, out))
    assert "takes ffmpeg, and that is not installed" in read_ledger(out)["status"]["phone"]


def test_a_file_that_changed_since_the_run_was_stopped_is_predicted_anew(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card, out = tmp_path / "card", tmp_path / "s.csv"
    for name in "abc":
        write_noise(card / f"{name}.wav", 6.0)
    monkeypatch.setattr(journal, "FLUSH_FILES", 1)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("core.inference.run.decided_soundscapes", stop)
    with pytest.raises(KeyboardInterrupt):
        predict(config_of(trained, card, out))
    monkeypatch.undo()
    before = (card / "b.wav").stat().st_mtime_ns
    write_noise(card / "b.wav", 12.0)
    os.utime(card / "b.wav", ns=(before + 1, before + 1))
    capsys.readouterr()
    predict(config_of(trained, card, out))
    assert "3 soundscapes, 2 of them done before" in capsys.readouterr().out
    assert read_ledger(out)["windows"].to_dict() == {"a": 2, "b": 3, "c": 2}


def test_a_pattern_that_fits_nothing_is_refused(trained: Trained, tmp_path: Path) -> None:
    write_noise(tmp_path / "card" / "a.wav", 6.0)
    config = config_of(trained, tmp_path / "card", tmp_path / "s.csv")
    with pytest.raises(ValueError, match=r"pattern=\(\?P<site>x\): fits no soundscape, such as a"):
        predict(replace(config, pattern="(?P<site>x)"))


def test_an_export_leaves_out_a_bad_soundscape_and_names_it(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_noise(tmp_path / "card" / "b.wav", 6.0)
    soundfile.write(tmp_path / "card" / "a.wav", np.zeros(0), RATE)
    config = ExportConfig(checkpoints=trained.runs[:1], soundscapes=(str(tmp_path / "card"),))
    windows = read_windows(config, load_ensemble(trained.runs[:1]))
    assert windows.file.tolist() == ["b", "b"]
    assert "a.wav is left out: no samples" in capsys.readouterr().out
