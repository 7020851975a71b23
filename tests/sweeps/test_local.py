"""`python -m sweeps.local` as a program of its own, with a stand-in for the training."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeps.trial_process import processes_of
from tests.programs import wait_until
from tests.runs import ROOT
from tests.sweeps.sweep_texts import ALPHAS, write_sweep

Starter = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Starter:
    """Return what starts the program in an empty folder."""

    def started(file: Path, *words: str, **variables: str) -> "subprocess.Popen[str]":
        environment = os.environ | {"PYTHONPATH": str(ROOT), "STAND_IN_STARTS": str(tmp_path / "starts")}
        return subprocess.Popen(
            [sys.executable, "-m", "sweeps.local", str(file), f"--data.root={tmp_path}", *words],
            cwd=tmp_path, env=environment | variables, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    return started


def finish(process: "subprocess.Popen[str]", code: int = 0) -> str:
    output, _ = process.communicate(timeout=60)
    assert process.returncode == code, output
    return output


def sweep_folder(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "outputs" / "sweeps").iterdir()
    return folder


def table(tmp_path: Path) -> list[dict[str, str]]:
    with (sweep_folder(tmp_path) / "trials.csv").open() as file:
        return list(csv.DictReader(file))


def starts(tmp_path: Path) -> list[str]:
    return (tmp_path / "starts").read_text().splitlines() if (tmp_path / "starts").exists() else []


def no_process_is_left(tmp_path: Path) -> bool:
    return not any(processes_of(folder) for folder in (sweep_folder(tmp_path) / "trials").iterdir())


@pytest.mark.slow
def test_a_grid_ends_by_itself_and_leaves_a_table(start: Starter, tmp_path: Path) -> None:
    file = write_sweep(tmp_path, parameters=ALPHAS | {"features.f_max_hz": {"value": None}})
    output = finish(start(file, "--epochs=2"))
    folder = sweep_folder(tmp_path)
    assert folder.name.startswith("mine-")
    assert (folder / "sweep.yaml").read_text() == file.read_text()
    asked = json.loads((folder / "sweep.json").read_text())
    assert (asked["id"], asked["name"], asked["seed"]) == (folder.name, "mine", 0)
    assert asked["overrides"] == [f"--data.root={tmp_path}", "--epochs=2"]
    assert "code_version" in asked
    rows = table(tmp_path)
    assert list(rows[0]) == ["trial", "state", "run", "minutes", "mixup.alpha", "valid/score"]
    assert [(row["trial"], row["state"], row["mixup.alpha"]) for row in rows] == [
        ("0", "finished", "0.1"), ("1", "finished", "0.2"), ("2", "finished", "0.3"),
    ]  # fmt: skip
    assert [float(row["valid/score"]) for row in rows] == pytest.approx([0.9, 0.8, 0.7])
    assert all((folder / row["run"] / "summary.json").is_file() for row in rows)
    assert "3 of 3 trials have ended" in output
    assert "3 of 3 trials have ended" in finish(start(file, "--epochs=2"))
    assert len([line for line in starts(tmp_path) if line.startswith("start")]) == 3


@pytest.mark.slow
def test_a_killed_sweep_goes_on_where_it_was(start: Starter, tmp_path: Path) -> None:
    file = write_sweep(tmp_path)
    process = start(file, "--epochs=4", STAND_IN_SECONDS="0.3")
    wait_until(lambda: "epoch 0.2 1" in starts(tmp_path))
    process.kill()
    process.communicate()
    assert [row["state"] for row in table(tmp_path)] == ["finished", "running"]
    output = finish(start(file, "--epochs=4"))
    assert "trial 1 goes on" in output
    assert [row["state"] for row in table(tmp_path)] == ["finished"] * 3
    seen = starts(tmp_path)
    assert [line for line in seen if line.startswith("start")] == [
        "start 0.1 ", "start 0.2 ", "start 0.2 ", "start 0.3 ",
    ]  # fmt: skip
    epochs = [line for line in seen if line.startswith("epoch")]
    assert len(epochs) == len(set(epochs)) == 12


def test_a_stopped_sweep_lets_its_trial_save_and_leaves_no_process(start: Starter, tmp_path: Path) -> None:
    file = write_sweep(tmp_path)
    process = start(file, "--epochs=100", STAND_IN_SECONDS="0.2")
    wait_until(lambda: "epoch 0.1 0" in starts(tmp_path))
    assert "another process is running this sweep" in finish(start(file, "--epochs=100"), code=2)
    process.send_signal(signal.SIGTERM)
    output = finish(process, code=143)
    assert "the same command goes on" in output
    assert no_process_is_left(tmp_path)
    assert [row["state"] for row in table(tmp_path)] == ["running"]


@pytest.mark.slow
def test_failed_trials_are_marked_and_several_in_a_row_end_the_sweep(start: Starter, tmp_path: Path) -> None:
    parameters = {"mixup.alpha": {"values": [0.1, 0.5, 0.2, 0.6, 0.7, 0.8, 0.3]}}
    file = write_sweep(tmp_path, parameters=parameters)
    output = finish(start(file, STAND_IN_LIMIT="0.4"), code=1)
    assert [row["state"] for row in table(tmp_path)] == [
        "finished", "failed", "finished", "failed", "failed", "failed",
    ]  # fmt: skip
    assert [row["valid/score"] for row in table(tmp_path)][1] == ""
    assert "too much mixup" in output
    assert "3 trials in a row failed" in output
    finish(start(file, STAND_IN_LIMIT="0.4"))
    assert [row["state"] for row in table(tmp_path)][-1] == "finished"


@pytest.mark.slow
def test_poor_trials_end_early(start: Starter, tmp_path: Path) -> None:
    rule = {"type": "hyperband", "min_iter": 2, "eta": 3}
    parameters = {"mixup.alpha": {"values": [0.1, 0.9]}}
    finish(
        start(
            write_sweep(tmp_path, early_terminate=rule, parameters=parameters),
            "--epochs=12", STAND_IN_SECONDS="0.2",
        )
    )  # fmt: skip
    rows = table(tmp_path)
    assert [row["state"] for row in rows] == ["finished", "stopped"]
    assert float(rows[1]["valid/score"]) == pytest.approx(0.1)
    assert len([line for line in starts(tmp_path) if line.startswith("epoch 0.9")]) < 12
    assert no_process_is_left(tmp_path)


@pytest.mark.slow
def test_several_trials_at_once_have_a_gpu_each(start: Starter, tmp_path: Path) -> None:
    file = write_sweep(tmp_path, method="random", parameters={"mixup.alpha": {"min": 0.1, "max": 0.9}})
    finish(start(file, "--count=4", "--jobs=2", STAND_IN_SECONDS="0.1", CUDA_VISIBLE_DEVICES="3,5"))
    lines = [line.split() for line in starts(tmp_path) if line.startswith("start")]
    assert len(lines) == 4
    assert {line[2] for line in lines} == {"3", "5"}
    assert len({row["mixup.alpha"] for row in table(tmp_path)}) == 4
    output = finish(start(file, "--count=4", "--jobs=3", CUDA_VISIBLE_DEVICES="3,5"), code=2)
    assert "--jobs=3: 1 GPU for each trial, and 2 are visible" in output


@pytest.mark.parametrize(
    ("change", "words", "said"),
    [
        ({}, ["--mixup.alhpa=0.1"], "mixup.alpha"),
        ({}, ["--data.root=/nowhere"], "data.root=/nowhere: no such folder"),
        ({}, ["--output_dir=here"], "a trial's runs go into the sweep's folder"),
        ({"method": "random"}, [], "a random sweep has no end; give --count or run_cap"),
    ],
)
def test_mistakes_are_told_before_anything_starts(
    start: Starter, tmp_path: Path, change: dict[str, Any], words: list[str], said: str
) -> None:
    output = finish(start(write_sweep(tmp_path, **change), *words), code=2)
    assert output.startswith("error: ")
    assert said in output
    assert not (tmp_path / "outputs").exists()


@pytest.mark.slow
def test_a_folder_is_not_mixed_with_another_file_or_words(start: Starter, tmp_path: Path) -> None:
    finish(start(write_sweep(tmp_path), "--id=one"))
    assert "begun with overrides" in finish(start(write_sweep(tmp_path), "--id=one", "--epochs=2"), code=2)
    other = write_sweep(tmp_path, parameters={"mixup.alpha": {"values": [0.7]}})
    assert "begun with another version of" in finish(start(other, "--id=one"), code=2)
