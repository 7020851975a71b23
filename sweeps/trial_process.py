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
    command
        What to start.
    folder
        The trial's; takes `output.log`.
    environment
        Variables beside those of this process.
    cores
        CPU cores it may use; None: all.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        cores: Sequence[int] | None = None,
    ) -> None:
        self.folder, self.started = folder, time.monotonic()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_SWEEP")}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        with (folder / "output.log").open("a") as log:
            self.process = subprocess.Popen(
                list(command),
                env=inherited | {"PATH": path} | dict(environment) | {MARK: str(folder.resolve())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: prepare(cores),
            )
        self.is_stopping = False

    @property
    def minutes(self) -> float:
        """Minutes since it was started."""
        return (time.monotonic() - self.started) / 60

    def has_ended(self) -> bool:
        """Return whether the trial and all that it started has ended."""
        return self.process.poll() is not None and not processes_of(self.folder)

    def stop(self) -> None:
        """Ask the trial to save and end."""
        self.is_stopping = True
        terminate(self.process)

    def wait(self, seconds: float) -> None:
        """Wait for the end; kill what is left after a while."""
        deadline = time.monotonic() + seconds
        while not self.has_ended() and time.monotonic() < deadline:
            time.sleep(STEP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Kill what is left."""
        kill_all(self.folder)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def prepare(cores: Sequence[int] | None) -> None:
    """Ask Linux, in the new process, to end it with this one; bind it to its cores."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if cores is not None:
            os.sched_setaffinity(0, cores)


def terminate(process: "subprocess.Popen[bytes]") -> None:
    """Send SIGTERM: to the launcher, whose end a trial follows on Linux; elsewhere to the whole group."""
    with contextlib.suppress(ProcessLookupError):
        if sys.platform.startswith("linux"):
            process.terminate()
        else:
            os.killpg(process.pid, signal.SIGTERM)


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


def kill_all(folder: Path) -> None:
    """Kill every process of a trial."""
    for process in processes_of(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def await_leftovers(folder: Path, seconds: float = STOP_SECONDS) -> None:
    """Wait until processes of a trial that lost its sweep have saved and ended; kill them after a while."""
    deadline = time.monotonic() + seconds
    while processes_of(folder) and time.monotonic() < deadline:
        time.sleep(STEP_SECONDS)
    kill_all(folder)
