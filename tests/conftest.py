"""Data that many tests share."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

# Before torch is loaded: threads that wait for their turn must not take it from the other worker's.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # a worker of the suite runs on each core

import numpy as np
import pytest
import torch

from core.data.demo.build import ensure_demo, tiny_plan

os.environ.setdefault("WANDB_MODE", "disabled")
os.environ.setdefault("WANDB_SILENT", "true")
FIXTURES = Path(__file__).parent / "fixtures"
Reference = Callable[[str], dict[str, torch.Tensor]]


@pytest.fixture(scope="session")
def reference() -> Reference:
    """Return a reader of reference arrays by name."""

    def read(name: str) -> dict[str, torch.Tensor]:
        with np.load(FIXTURES / f"{name}.npz", allow_pickle=False) as arrays:
            return {key: torch.from_numpy(arrays[key]) for key in arrays.files if key != "meta"}

    return read


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that the first worker which needs it makes; the others wait, and only read it."""
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, done = base / f"shared_{name}", base / f"shared_{name}.done"
    with (base / f"shared_{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def tiny_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small generated data set: 6 species, 3 scored, about 20 recordings of 5 s."""
    return made_once(tmp_path_factory, "demo", lambda f: ensure_demo(f / "tiny", plan=tiny_plan())) / "tiny"
