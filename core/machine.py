"""The machine a run is on: settings that make a CPU fast, and the record of what ran where."""

import ctypes
import importlib.metadata
import os
import platform
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

PACKAGES = (
    "torch", "torchvision", "torchaudio", "timm", "accelerate", "wandb", "numpy", "pandas", "scikit-learn",
    "soundfile", "soxr", "safetensors", "tyro", "onnxruntime", "openvino",
)  # fmt: skip
LAUNCHERS = re.compile(r"accelerate(\.py|-launch|\.commands\..*)?|torchrun|torch\.distributed\..*")
LAUNCHED = "ACCELERATE_MIXED_PRECISION"  # `accelerate launch` sets it for what it starts
AGENT = "TORCHELASTIC_RUN_ID"  # and torch's agent that
_REACH_SECONDS = 4.0
EXIT_CODE_BASE = 128  # a shell's convention: 128 + signal
THREADS = "OMP_NUM_THREADS"
PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "10000"}
"""The second is a wait of microseconds: without it a training step alone on a machine is 15 % slower."""
PR_SET_PDEATHSIG = 1
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h
PROJECT = Path(__file__).resolve().parents[1]


def wait_passively() -> None:
    """Let threads without work sleep instead of spin; call it before torch is loaded, which reads this once.

    Spinning threads take the cores that other programs, or the loaders of the same one, could use. What the
    environment says already stays.
    """
    for name, value in PASSIVE.items():
        os.environ.setdefault(name, value)


def follow_launcher() -> None:
    """Ask Linux to end this process when `accelerate launch` is ended, and end it if that has happened.

    Without it, a W&B agent that stops a trial stops only the launcher, and the training lives on.
    Programs started without a launcher are left alone: their shell may be closed.
    """
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    if _is_launcher(parent):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        orphaned = os.getppid() != parent  # it ended before the wish was heard
    else:
        orphaned = parent == 1 and LAUNCHED in os.environ
    if orphaned:
        sys.exit(EXIT_CODE_BASE + signal.SIGTERM)


def end_launcher() -> None:
    """End the launcher of this process, if it has one.

    It would print a traceback about the status of what it started, where that has told already what is wrong.
    """
    if is_launched():
        # torch's agent answers SIGTERM with a traceback, too
        os.kill(os.getppid(), signal.SIGKILL if AGENT in os.environ else signal.SIGTERM)


def is_launched() -> bool:
    """Return whether `accelerate launch` or torchrun has started this process."""
    return (AGENT in os.environ or LAUNCHED in os.environ) and _is_launcher(os.getppid())


def answers(url: str) -> bool:
    """Return whether a server answers at an address; asks once, for a few seconds."""
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_REACH_SECONDS).close()
    except urllib.error.HTTPError:
        return True  # it answered
    except (OSError, ValueError):
        return False
    return True


def _is_launcher(process: int) -> bool:
    """Return whether a process is Python that runs the program or module of a launcher."""
    python, *words = (Path(word).name for word in _proc(process, "cmdline").split("\0")[:3])
    return python.startswith("python") and any(LAUNCHERS.fullmatch(word) for word in words)


def _proc(process: int, name: str) -> str:
    """Return a file of a process under /proc, empty where it cannot be read."""
    try:
        return Path(f"/proc/{process}/{name}").read_text()
    except OSError:
        return ""


def usable_cores() -> list[int]:
    """Return the CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def wished_threads() -> int | None:
    """Return the threads per process that the user asked for with OMP_NUM_THREADS, None without a wish.

    `accelerate launch` sets it to 1 for what it starts: that is no wish, unless the launcher was told so.
    """
    text = os.environ.get(THREADS, "")
    if not text.isdigit() or text == "0":
        return None
    if text == "1" and LAUNCHED in os.environ and _is_launcher(os.getppid()):
        told = f"\0{_proc(os.getppid(), 'environ')}\0{_proc(os.getppid(), 'cmdline')}"
        if f"\0{THREADS}=1\0" not in told and "num_cpu_threads_per_process" not in told:
            return None
    return int(text)


def tune_cpu(num_processes: int = 1) -> None:
    """Use the cores that this process may use, or OMP_NUM_THREADS of them if fewer, and keep freed memory.

    glibc gives large freed blocks back to the kernel and fetches them again at every layer: on a virtual
    machine of two cores, keeping them made training steps of EfficientNet-Lite0 1.45 times as fast
    (experiments/README.md, waiting threads, has the program).
    """
    import torch

    cores = len(usable_cores())
    torch.set_num_threads(min(wished_threads() or max(cores // num_processes, 1), cores))
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, ctypes.c_int(-1))


class HeapTrimmer:
    """Give freed memory back to the kernel each time the process has grown by so much.

    `tune_cpu` keeps what is freed. glibc before 2.38 cannot reuse a freed aligned block for one of the same
    size, and torch's blocks are aligned: over a long file the process grew by 700 MB.

    Parameters
    ----------
    growth_bytes
        How much the process may grow beyond what it held here, or after the last time that it gave back.
    """

    def __init__(self, growth_bytes: int) -> None:
        self.growth_bytes = growth_bytes
        self.limit = resident_bytes() + growth_bytes
        self.is_possible = platform.libc_ver()[0] == "glibc"

    def trim(self) -> None:
        """Give back where the limit is passed; the next limit lies above what is held then."""
        if self.is_possible and resident_bytes() > self.limit:
            ctypes.CDLL(None).malloc_trim(0)
            self.limit = max(self.limit, resident_bytes() + self.growth_bytes // 2)


def describe_environment(device: "torch.device") -> dict[str, Any]:
    """Return versions, commit, device and command of this process, for `environment.json`."""
    import torch

    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: package_version(name) for name in PACKAGES},
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


def package_version(package: str) -> str:
    """Return the version of an installed package, or "absent"."""
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


def resident_bytes() -> int:
    """Return the main memory that this program holds now, 0 where Linux does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def peak_memory_bytes() -> int:
    """Return the most main memory that this program has held since its start.

    `ru_maxrss` begins at what the parent process held, so Linux's own record comes first.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
