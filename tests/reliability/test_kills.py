"""Trainings that are killed, of one process and of two, lose nothing and write nothing twice."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runs import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["one", "two"])
def test_nothing_is_lost_by_a_kill(processes: str, tiny_demo: Path, tmp_path: Path) -> None:
    """With one process before each of its file operations; with two, 20 times, one of them or both."""
    command = [sys.executable, "-m", "tests.reliability.killing", str(tiny_demo), str(tmp_path), processes]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    print(done.stdout.rstrip().rpartition("\n")[2])
    assert done.stdout.rstrip().endswith(", 0 losses")
