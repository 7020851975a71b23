"""Which GPUs, or which CPU cores, each of several trials at once gets."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from core.config import require


@dataclass(frozen=True)
class Slot:
    """A place for one trial.

    Attributes
    ----------
    gpus
        Its GPUs, as `CUDA_VISIBLE_DEVICES` names them; empty where there are none to share.
    cores
        Its CPU cores; None: all.
    """

    gpus: tuple[str, ...] = ()
    cores: tuple[int, ...] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a trial in this place."""
        return {"CUDA_VISIBLE_DEVICES": ",".join(self.gpus)} if self.gpus else {}


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, without importing torch."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name.strip() for name in given.split(",") if name.strip() not in ("", "-1")]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    listed = subprocess.run([program, "-L"], capture_output=True, text=True, check=False)
    count = sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
    return [str(i) for i in range(count)]


def share_devices(jobs: int, processes: int, gpus: Sequence[str], cores: Sequence[int]) -> list[Slot]:
    """Return a place for each trial at once.

    Parameters
    ----------
    jobs
        Trials at once.
    processes
        Of each trial: so many GPUs it gets.
    gpus, cores
        What there is to share; cores where there are no GPUs.

    Raises
    ------
    ValueError
        If there are not enough GPUs, or not a core for each.
    """
    require(jobs >= 1, f"--jobs={jobs}: at least 1")
    if jobs == 1:
        return [Slot()]
    if gpus:
        lacking = f"--jobs={jobs}: {processes} GPU for each trial, and {len(gpus)} are visible"
        require(jobs * processes <= len(gpus), lacking)
        return [Slot(gpus=tuple(gpus[i * processes : (i + 1) * processes])) for i in range(jobs)]
    each = len(cores) // jobs
    require(each > 0, f"--jobs={jobs}: a CPU core for each trial at least, and {len(cores)} are usable")
    return [Slot(cores=tuple(cores[i * each : (i + 1) * each])) for i in range(jobs)]
