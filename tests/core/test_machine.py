"""A training ends with what launched it, and shares its machine."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.machine import LAUNCHED, PASSIVE, tune_cpu, usable_cores
from tests.programs import wait_until
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


THREADS = """
import core, json, os, sys, torch
from core.machine import tune_cpu
tune_cpu()
names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
print(json.dumps([torch.get_num_threads(), *(os.environ[name] for name in names)]))
"""


def settings(folder: Path, launcher: str | None, *words: str, **given: str) -> list[object]:
    """Return threads and waiting of a program, under a launcher that sets one thread as Accelerate does."""
    (folder / "program.py").write_text(THREADS)
    command = [sys.executable, str(folder / "program.py")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP", "GOMP"))}
    environment |= {"PYTHONPATH": str(ROOT), **given}
    if launcher is not None:
        (folder / launcher).write_text(
            "import os, subprocess, sys\n"
            "wish = os.getenv('OMP_NUM_THREADS', '1')\n"
            "threads = next((w[-1] for w in sys.argv if 'num_cpu' in w), wish)\n"
            f"environment = os.environ | {{'OMP_NUM_THREADS': threads, '{LAUNCHED}': 'no'}}\n"
            "subprocess.run([sys.executable, sys.argv[1]], env=environment, check=True)\n"
        )
        command.insert(1, str(folder / launcher))
    command += words
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    answer: list[object] = json.loads(shown.stdout)
    return answer


CORES = len(usable_cores())


@pytest.mark.parametrize(
    ("launcher", "words", "given", "threads"),
    [
        (None, [], {"OMP_NUM_THREADS": "1"}, 1),
        (None, [], {"OMP_NUM_THREADS": "99"}, CORES),
        ("accelerate.py", [], {}, CORES),  # its 1 is no wish
        ("accelerate.py", [], {"OMP_NUM_THREADS": "1"}, 1),
        ("accelerate.py", ["--num_cpu_threads_per_process=1"], {}, 1),
    ],
)
def test_threads_are_the_usable_cores_or_what_the_user_asked_for(
    tmp_path: Path, launcher: str | None, words: list[str], given: dict[str, str], threads: int
) -> None:
    assert settings(tmp_path, launcher, *words, **given)[0] == threads


@pytest.mark.slow
def test_threads_wait_asleep_unless_the_environment_says_otherwise(tmp_path: Path) -> None:
    assert settings(tmp_path, None) == [CORES, *PASSIVE.values()]
    assert settings(tmp_path, None, OMP_WAIT_POLICY="ACTIVE", GOMP_SPINCOUNT="9")[1:] == ["ACTIVE", "9"]


def test_a_process_that_may_use_one_core_uses_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cores)})
        tune_cpu()
        assert (len(usable_cores()), torch.get_num_threads()) == (1, 1)
    finally:
        os.sched_setaffinity(0, cores)
        torch.set_num_threads(before)
