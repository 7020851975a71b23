"""A training ends with what launched it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.machine import LAUNCHED, tune_cpu, usable_cores
from tests.runs import ROOT

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")
LAUNCHER = "import subprocess, sys; subprocess.Popen([sys.executable, sys.argv[1]]).wait()"
TRAINING = """
import os, sys, time
from pathlib import Path
from core.machine import follow_launcher
here = Path(__file__).parent
(here / "pid").write_text(str(os.getpid()))
while {late} and os.getppid() != 1:
    time.sleep(0.01)
follow_launcher()
(here / "following").touch()
time.sleep(60)
"""


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def launch(folder: Path, name: str, *, late: bool) -> "tuple[subprocess.Popen[bytes], int]":
    """Start a training under a launcher of this name; return the launcher and the training's number."""
    (folder / name).write_text(LAUNCHER)
    (folder / "training.py").write_text(TRAINING.format(late=late))
    environment = os.environ | {"PYTHONPATH": str(ROOT), LAUNCHED: "no"}
    command = [sys.executable, str(folder / name), str(folder / "training.py")]
    launcher = subprocess.Popen(command, env=environment)
    awaited = folder / ("pid" if late else "following")
    wait_until(lambda: awaited.exists() and bool((folder / "pid").read_text()))
    return launcher, int((folder / "pid").read_text())


def test_a_training_ends_with_its_launcher(tmp_path: Path) -> None:
    launcher, training = launch(tmp_path, "accelerate.py", late=False)
    assert is_alive(training)
    launcher.terminate()
    launcher.wait()
    wait_until(lambda: not is_alive(training))


def test_a_training_whose_launcher_ended_before_it_listened_ends_too(tmp_path: Path) -> None:
    launcher, training = launch(tmp_path, "accelerate.py", late=True)
    launcher.terminate()
    launcher.wait()
    wait_until(lambda: not is_alive(training))
    assert not (tmp_path / "following").exists()


def test_a_program_started_from_a_shell_outlives_it(tmp_path: Path) -> None:
    shell, program = launch(tmp_path, "shell.py", late=False)
    shell.terminate()
    shell.wait()
    time.sleep(0.3)
    assert is_alive(program)
    os.kill(program, signal.SIGKILL)


def test_as_many_threads_as_usable_cores() -> None:
    import torch

    before = torch.get_num_threads()
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cores)})
        tune_cpu()
        assert (usable_cores(), torch.get_num_threads()) == (1, 1)
    finally:
        os.sched_setaffinity(0, cores)
        torch.set_num_threads(before)
