"""Sweep files are checked against the programs they start."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from sweeps.check import SweepError, read_sweep
from tests.runs import ROOT

FILES = sorted((ROOT / "sweeps").glob("*.yaml"))
NAMES = {"mixup", "backbone", "selective", "loss", "frontend", "augment", "folds", "bayes"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_shipped_sweeps_are_right_and_ask_a_question(file: Path) -> None:
    sweep = read_sweep(file)
    first = file.read_text().splitlines()[0]
    assert first.startswith("# ")
    assert "?" in first
    assert sweep["name"] == file.stem
    assert sweep["command"][:3] == ["${env}", "accelerate", "launch"]


def test_all_the_questions_are_there() -> None:
    assert {file.stem for file in FILES} >= NAMES


@pytest.mark.parametrize(
    ("key", "entry", "said"),
    [
        ("mixup.alhpa", {"values": [0.4]}, "mixup.alpha"),
        ("mixup.alpha", {"values": ["much"]}, "mixup.alpha"),
        ("mixup.alpha", {"values": [0.4, -1.0]}, "mixup.alpha=-1.0: must be positive"),
        ("mixup.probability", {"min": 0.5, "max": 1.5}, "between 0 and 1"),
        ("mixup.alpha", {"min": 2.0, "max": 1.0}, "min=2.0 is not below max=1.0"),
        ("optim.lr", {"min": "1e-4", "max": 0.01}, "write 1.0e-3, not 1e-3"),
        ("loss.kind", {"values": ["focal", "hinge"]}, "hinge"),
        ("seed", {"value": 1.5}, "seed"),
        ("seed", {"valeus": [1]}, "seed: needs value, a list of values"),
        ("seed", {"values": []}, "seed: needs value, a list of values"),
        ("seed", 3, "seed: needs value, a list of values"),
    ],
)
def test_mistakes_name_the_file_and_the_key(tmp_path: Path, key: str, entry: object, said: str) -> None:
    sweep = yaml.safe_load((ROOT / "sweeps" / "mixup.yaml").read_text())
    sweep["parameters"] = {"epochs": {"values": [3, 5]}, key: entry}
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(sweep))
    with pytest.raises(SweepError) as error:
        read_sweep(file)
    assert str(file) in str(error.value)
    assert key in str(error.value)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"methd": "grid"}, "unknown key methd"),
        ({"method": "gird"}, "method=gird: one of grid, random, bayes"),
        (
            {"program": "experiments/timm_999/run.py"},
            "timm_999/run.py: no such experiment",
        ),
        ({"program": "../other/run.py"}, "no such experiment"),
        ({"metric": {"name": "valid/score", "goal": "best"}}, "goal: maximize or minimize"),
        ({"command": ["${env}", "python", "${program}"]}, "command lacks ${args}"),
    ],
)
def test_mistakes_beside_the_parameters(tmp_path: Path, change: dict[str, object], said: str) -> None:
    sweep = yaml.safe_load((ROOT / "sweeps" / "mixup.yaml").read_text())
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(sweep | change))
    with pytest.raises(SweepError, match=r".") as error:
        read_sweep(file)
    assert said in str(error.value)


def test_files_that_are_no_sweeps(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    for text, said in (
        ("a: [", "not readable as yaml"),
        ("- a", "no mapping"),
        ("method: grid", "no program"),
    ):
        file.write_text(text)
        with pytest.raises(SweepError, match=said):
            read_sweep(file)


def test_the_command_answers_quickly_and_without_torch(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text((ROOT / "sweeps" / "mixup.yaml").read_text().replace("mixup.alpha", "mixup.alhpa"))
    script = (
        "import runpy, sys\n"
        f"sys.argv = ['check', {str(file)!r}]\n"
        "try:\n    runpy.run_module('sweeps.check', run_name='__main__')\n"
        "except SystemExit as stop:\n    print('torch' in sys.modules, stop.code)\n"
    )
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - started)
    assert result.stdout.split() == ["False", "1"]
    assert "mixup.alhpa" in result.stderr
    assert min(seconds) < 2.0, "a second, and one for a busy machine"
