"""The processes of a trial: started with their own environment, ended without leaving any behind."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.machine import PR_SET_PDEATHSIG
from sweeps.devices import Slot
from sweeps.sweep_folder import Trial

MARK = "SWEEP_TRIAL"
"""Variable by which every process of a trial is found, whoever its parent is."""
STOP_SECONDS = 120.0
"""How long a trial may take to save."""
END_SECONDS = 30.0
"""How long what a trial started may outlive it."""
STEP_SECONDS = 0.1


class TrialProcess:
    """A running trial.

    Parameters
    ----------
    trial, slot
        Which, and where.
    command
        What to start.
    folder
        The trial's; takes `output.log`.
    environment
        Variables beside those of this process.
    """

    def __init__(
        self, trial: Trial, slot: Slot, command: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> None:
        self.trial, self.slot, self.folder = trial, slot, folder
        self.is_stopping = False
        self._earlier, self._started = trial.minutes, time.monotonic()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_SWEEP")}
        inherited["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        own = {**environment, **slot.environment, MARK: str(folder.resolve())}
        with (folder / "output.log").open("a") as log:
            self._process = subprocess.Popen(
                list(command),
                env=inherited | own,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: _prepare(slot.cores),
            )

    @property
    def minutes(self) -> float:
        """Minutes that the trial has run, before it was interrupted too."""
        return self._earlier + (time.monotonic() - self._started) / 60

    @property
    def exit_status(self) -> int | None:
        """Exit status of what was started; None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """Ask the trial to save and end: the launcher, whose end it follows on Linux; elsewhere all of it."""
        self.is_stopping = True
        with contextlib.suppress(ProcessLookupError):
            if sys.platform.startswith("linux"):
                self._process.terminate()
            else:
                os.killpg(self._process.pid, signal.SIGTERM)

    def wait(self, seconds: float) -> None:
        """Wait for the end of the trial and of all that it started; kill what is left after a while."""
        deadline = time.monotonic() + seconds
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        end_processes(self.folder, deadline - time.monotonic())
        self._process.kill()
        self._process.wait()


def _prepare(cores: Sequence[int] | None) -> None:
    """Ask Linux, in the new process, to end it with this one; bind it to its cores."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if cores is not None:
            os.sched_setaffinity(0, cores)


def end_processes(folder: Path, seconds: float = STOP_SECONDS) -> None:
    """Wait until the processes of a trial have ended by themselves; kill what is left after a while."""
    deadline = time.monotonic() + seconds
    while (left := processes_of(folder)) and time.monotonic() < deadline:
        time.sleep(STEP_SECONDS)
    for process in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def processes_of(folder: Path) -> list[int]:
    """Return the processes of a trial; none where there is no /proc to look through."""
    return processes_with(MARK, str(folder.resolve()))


def processes_with(variable: str, value: str) -> list[int]:
    """Return the other processes that have a variable of the environment set so; none without /proc."""
    mark = f"{variable}={value}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is not ours
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return [process for process in found if process != os.getpid()]
