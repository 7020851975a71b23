"""Archives and epochs are timed from their files on."""

import json
from pathlib import Path

import pytest

from benchmarks.epoch import EpochBenchmark, measure_epochs
from benchmarks.soundscapes import SoundscapeBenchmark, measure_soundscapes
from tests.runs import BACKBONE, TINY_WORDS


@pytest.mark.slow
def test_an_archive_is_timed_in_each_format(capsys: pytest.CaptureFixture[str]) -> None:
    measure_soundscapes(
        SoundscapeBenchmark(files=2, distinct=1, backbone=BACKBONE, backends=("torch",), rounds=1)
    )
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("| torch")]
    assert [row[1].strip() for row in rows] == ["torch, networks alone", "torch, wav", "torch, ogg"]
    assert all(float(row[2]) > 0 for row in rows)


@pytest.mark.slow
def test_an_epoch_is_timed_with_noise(tmp_path: Path) -> None:
    words = " ".join(word for word in TINY_WORDS if not word.startswith("--model.pretrained"))
    file = tmp_path / "epoch.json"
    measure_epochs(
        EpochBenchmark(
            experiments=("timm_007",), precision="no", options=words, steps=2, with_noise=True, out=str(file)
        )
    )
    (row,) = json.loads(file.read_text())["rows"]
    assert row["clips_per_second"] > 0
    assert 0 <= row["waiting"] <= 1
