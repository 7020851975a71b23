"""3,000 damaged inputs: audio, tables, JSON, command lines and sweep files; see `fuzz_worker`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.core.inference.conftest import Trained
from tests.reliability.fuzz_worker import FILE_BYTES, LIMIT_SECONDS
from tests.reliability.targets import SHARES
from tests.runs import ROOT

LEAST_READ = 0.02
"""Of a kind, the share of inputs that must be read in spite of their damage."""


def fuzz(run: str, folder: Path, first: int, count: int) -> pd.DataFrame:
    """Return a row for each input; a worker that an input ends is followed by another one."""
    rows: dict[int, dict[str, object]] = {}
    number, environment = first, os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    while number < first + count:
        words = [run, str(folder / str(number)), str(number), str(first + count - number)]
        command = [sys.executable, "-m", "tests.reliability.fuzz_worker", *words]
        shown = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False
        )
        for line in shown.stdout.splitlines():
            found = json.loads(line)
            number = found.get("number", number)
            rows[number] = rows.get(number, {"outcome": f"ended the program: {shown.stderr[-1500:]}"}) | found
        assert number in rows, shown.stderr
        number += 1
    return pd.DataFrame(rows.values())


@pytest.mark.slow
def test_damaged_inputs_are_read_or_refused(trained: Trained, tmp_path: Path) -> None:
    table = fuzz(trained.runs[0], tmp_path, 0, sum(SHARES.values()))
    right = table["outcome"].isin(["read", "refused"])
    counts = pd.crosstab(table["kind"], table["outcome"].where(right, "failed"))
    print(f"\n{counts}\nlongest {table['seconds'].max():.1f} s, memory {table['memory_mb'].max():.0f} MB")
    assert right.all(), table[~right][["number", "name", "outcome"]].to_string()
    assert len(table) == sum(SHARES.values())
    assert (counts["read"] >= LEAST_READ * counts.sum(axis=1)).all()
    assert table["seconds"].max() < LIMIT_SECONDS
    assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) < FILE_BYTES
