"""The machine a run is on: settings that make a CPU fast, and the record of what ran where."""

import ctypes
import importlib.metadata
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.training.stopping import EXIT_CODE_BASE

if TYPE_CHECKING:
    import torch

PACKAGES = (
    "torch", "torchvision", "torchaudio", "timm", "accelerate", "wandb", "numpy", "pandas", "scikit-learn",
    "soundfile", "soxr", "safetensors", "tyro", "onnxruntime", "openvino",
)  # fmt: skip
LAUNCHERS = ("accelerate", "torchrun", "torch/distributed")
LAUNCHED = "ACCELERATE_MIXED_PRECISION"  # `accelerate launch` sets it for what it starts
PR_SET_PDEATHSIG = 1
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h
PROJECT = Path(__file__).resolve().parents[1]


def follow_launcher() -> None:
    """Ask Linux to end this process when `accelerate launch` is ended, and end it if that has happened.

    Without it, a W&B agent that stops a trial stops only the launcher, and the training lives on.
    Programs started without a launcher are left alone: their shell may be closed.
    """
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    try:
        command = Path(f"/proc/{parent}/cmdline").read_text()
    except OSError:
        command = ""
    if any(name in command for name in LAUNCHERS):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        orphaned = os.getppid() != parent  # it ended before the wish was heard
    else:
        orphaned = parent == 1 and LAUNCHED in os.environ
    if orphaned:
        sys.exit(EXIT_CODE_BASE + signal.SIGTERM)


def usable_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def tune_cpu(num_processes: int = 1) -> None:
    """Use all cores and keep freed memory.

    `accelerate launch` sets one thread per process. glibc gives large freed blocks back to the kernel and
    fetches them again at every layer: on a virtual machine of two cores, keeping them made training steps of
    EfficientNet-Lite0 1.45 times as fast (benchmarks/training_step.py).
    """
    import torch

    torch.set_num_threads(max(usable_cores() // num_processes, 1))
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, ctypes.c_int(-1))


def describe_environment(device: "torch.device") -> dict[str, Any]:
    """Return versions, commit, device and command of this process, for `environment.json`."""
    import torch

    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": code_version(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "device_type": device.type,
        "threads": torch.get_num_threads(),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "command": sys.argv,
    }


def code_version() -> str:
    """Return the commit of this code, `+changes` behind it if files differ, "unknown" without git."""
    try:
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}+changes" if changed else commit


def _git(*words: str) -> str:
    command = ["git", "-C", str(PROJECT), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
