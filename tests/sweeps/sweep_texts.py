"""Sweep files for tests."""

from pathlib import Path
from typing import Any

import yaml

from sweeps.sweep_file import SweepFile, read_sweep_file

STAND_IN = Path(__file__).with_name("stand_in.py")
ALPHAS = {"mixup.alpha": {"values": [0.1, 0.2, 0.3]}}


def write_sweep(folder: Path, **change: Any) -> Path:
    """Write a sweep over the stand-in program and return its file."""
    content = {
        "name": "mine",
        "program": "experiments/timm_007/run.py",
        "method": "grid",
        "metric": {"name": "valid/score", "goal": "maximize"},
        "parameters": ALPHAS,
        "command": ["${interpreter}", str(STAND_IN), "${program}", "${args}"],
    }
    file = folder / "mine.yaml"
    file.write_text("# How much?\n" + yaml.safe_dump(content | change))
    return file


def make_sweep(folder: Path, **change: Any) -> SweepFile:
    """Return a sweep over the stand-in program."""
    return read_sweep_file(write_sweep(folder, **change))
