"""Labelled soundscapes that benchmarks judge on: named ones, or those of the generated demo data."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from core.command_line import parse_config
from core.config import Config
from core.inference.predictor import find_soundscapes
from core.inference.submission import read_truth


def add_soundscapes(parser: argparse.ArgumentParser) -> None:
    """Add the two options that name soundscapes and their truth."""
    parser.add_argument("--soundscapes", help="folder; without it the generated demo data's")
    parser.add_argument("--truth", help="table of row_id,target for --soundscapes")


def open_soundscapes(given: argparse.Namespace) -> tuple[dict[str, Path], Path]:
    """Return file id -> path, and the table of the truth."""
    if given.soundscapes is None:
        root = Path(str(parse_config(Config(name="demo"), []).data.root))
        return find_soundscapes((str(root / "test_soundscapes"),)), root / "solution.csv"
    return find_soundscapes((given.soundscapes,)), Path(given.truth)


def truth_of(
    files: Mapping[str, Path], pieces: Sequence[np.ndarray], solution: Path, species: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return truth (window, species) and soundscape (window,) of files and what was predicted of each."""
    names = [(name, i) for name, piece in zip(files, pieces, strict=True) for i in range(len(piece))]
    return read_truth(solution, names, species), np.array([name for name, _ in names])
