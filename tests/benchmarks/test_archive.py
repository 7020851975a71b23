"""Decisions over a large archive: memory that does not grow with it, time that grows in step."""

import json
from pathlib import Path

import pytest

from benchmarks.archive import ArchiveBenchmark, measure_archives


@pytest.mark.slow
def test_memory_stays_and_time_grows_with_the_archive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measure_archives(ArchiveBenchmark(windows=(60_000, 240_000), out=str(tmp_path)))
    small, large = json.loads((tmp_path / "archive.json").read_text())["rows"]
    assert large["threshold"] == pytest.approx(small["threshold"], rel=0.02)
    assert large["peak_mb"] < small["peak_mb"] + 150
    assert large["peak_mb"] < 2000
    assert large["seconds"] < 2 * 4 * small["seconds"]
    assert "240,000 windows x 234 species" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["archive.json"]
