"""Runs that are killed and continued, as programs of their own."""

import os
import signal
import sys
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file

from core.scoring.predictions import FILES
from tests.runs import finish, start, wait_until

WORDS = ("--epochs=2", "--checkpoint_steps=1", "--tracking.use=False")


def only_run(folder: Path) -> Path:
    (run,) = (folder / "outputs" / "timm_007").iterdir()
    return run


def num_steps(folder: Path) -> int:
    """Return how many steps the last checkpoint of the only run holds."""
    for file in folder.glob("outputs/timm_007/*/metrics.jsonl"):
        return len(file.read_text().splitlines())
    return 0


@pytest.fixture(scope="module")
def uninterrupted(tiny_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    process = start(folder, f"--data.root={tiny_demo}", "--schedule=full", *WORDS)
    assert process.wait() == 0 or finish(process) == ""
    return only_run(folder)


def tensors(run: Path) -> dict[str, bytes]:
    (file,) = (run / "checkpoints" / "last").glob("*training*.safetensors")
    return {name: tensor.numpy().tobytes() for name, tensor in load_file(file).items()}


@pytest.mark.slow
def test_a_run_killed_within_an_epoch_ends_with_the_same_weights(
    uninterrupted: Path, tiny_demo: Path, tmp_path: Path
) -> None:
    process = start(tmp_path, f"--data.root={tiny_demo}", "--schedule=full", *WORDS)
    wait_until(lambda: num_steps(tmp_path) >= 2, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    run = only_run(tmp_path)
    assert not (run / "summary.json").exists()
    shown = finish(start(tmp_path, "--resume"))
    assert "Resuming" in shown
    assert (run / "summary.json").exists(), shown
    assert "Labelled soundscapes: 4 windows of 1 file train" in shown
    assert shown.count("macro ROC-AUC") == 2  # of recordings and of soundscapes, each once
    assert tensors(run) == tensors(uninterrupted)
    judged = [pd.read_parquet(one / FILES["soundscapes"]) for one in (run, uninterrupted)]
    pd.testing.assert_frame_equal(*judged)
    assert num_steps(tmp_path) == len((uninterrupted / "metrics.jsonl").read_text().splitlines())
    again = finish(start(tmp_path, f"--resume={run}"))
    assert again.count("macro ROC-AUC") == 2


@pytest.mark.slow
def test_sigterm_saves_and_says_so(tiny_demo: Path, uninterrupted: Path, tmp_path: Path) -> None:
    process = start(tmp_path, f"--data.root={tiny_demo}", "--schedule=full", *WORDS, "--checkpoint_steps=0")
    wait_until(
        lambda: (tmp_path / "outputs").exists() and any(tmp_path.glob("outputs/*/*/bad_files.csv")), process
    )
    process.send_signal(signal.SIGTERM)
    shown = finish(process)
    assert process.returncode == 143, shown
    finish(start(tmp_path, "--resume"))
    assert tensors(only_run(tmp_path)) == tensors(uninterrupted)


@pytest.mark.slow
def test_two_processes_train_one_run(tiny_demo: Path, tmp_path: Path) -> None:
    environment = ("env", "ACCELERATE_USE_CPU=true", sys.executable, "-m", "accelerate.commands.launch")
    launcher = (*environment, "--multi_gpu", "--num_processes", "2", "--main_process_port", "0")
    words = (f"--data.root={tiny_demo}", "--schedule=full", "--epochs=1")
    process = start(tmp_path, *words, launcher=launcher)
    shown = finish(process, timeout=240)
    assert process.returncode == 0, shown
    assert "2 x cpu" in shown
    assert shown.count("macro ROC-AUC") == 2  # of recordings and of soundscapes
    assert (only_run(tmp_path) / "summary.json").exists()
    rows = pd.read_parquet(only_run(tmp_path) / FILES["soundscapes"])
    assert rows["start_seconds"].tolist() == [0, 5, 10, 15]
