"""Signals end a training between two steps, a killed launcher ends its own; both go on to the same end."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.reliability.killing import contents
from tests.runs import finish, start, wait_until

pytestmark = pytest.mark.slow
WORDS = ("--schedule=full", "--epochs=2", "--checkpoint_steps=2", "--tracking.use=False")
LAUNCH = (sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2")
LAUNCHERS = {
    "one": (sys.executable,),
    "two": ("env", "ACCELERATE_USE_CPU=true", *LAUNCH, "--main_process_port", "0"),
}


def only_run(folder: Path) -> Path:
    (run,) = (folder / "outputs" / "timm_007").iterdir()
    return run


def has_logged(folder: Path) -> bool:
    return any(file.stat().st_size for file in folder.glob("outputs/*/*/metrics.jsonl"))


@pytest.mark.parametrize(
    ("processes", "number"),
    [("one", signal.SIGTERM), ("one", signal.SIGINT), ("two", signal.SIGTERM), ("two", signal.SIGKILL)],
    ids=["sigterm", "ctrl-c", "sigterm to the launcher", "launcher killed"],
)
def test_a_training_goes_on_to_the_same_end(
    processes: str, number: signal.Signals, tiny_demo: Path, tmp_path: Path
) -> None:
    words = (f"--data.root={tiny_demo}", "--data.num_workers=2", "--data.min_epoch_steps=12", *WORDS)
    launcher = LAUNCHERS[processes]
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    for folder in (whole, torn):
        folder.mkdir()
    process = start(whole, *words, launcher=launcher)
    shown = finish(process, timeout=240)
    assert process.returncode == 0, shown
    process = start(torn, *words, launcher=launcher)
    wait_until(lambda: has_logged(torn), process)
    os.kill(process.pid, number)
    finish(process, timeout=90)
    wait_for_end_of(torn)
    assert not (only_run(torn) / "summary.json").exists()
    process = start(torn, "--resume", launcher=launcher)
    shown = finish(process, timeout=240)
    assert process.returncode == 0, shown
    found, expected = contents(only_run(torn)), contents(only_run(whole))
    assert [name for name in expected if found[name] != expected[name]] == []


def wait_for_end_of(folder: Path, patience: float = 60.0) -> None:
    """Wait until no process works in a folder; a killed launcher's trainings end by themselves."""
    deadline = time.monotonic() + patience
    while any(works_in(process, folder) for process in Path("/proc").glob("[0-9]*")):
        assert time.monotonic() < deadline, "a training outlives its launcher"
        time.sleep(0.1)


def works_in(process: Path, folder: Path) -> bool:
    try:
        return (process / "cwd").resolve() == folder.resolve()
    except OSError:
        return False
