"""Data that many tests share."""

import os
from collections.abc import Callable
from pathlib import Path

# Before torch is loaded: threads that wait for their turn must not take it from the other worker's.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pytest
import torch

from core.data.demo import ensure_demo, tiny_plan

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


@pytest.fixture(scope="session")
def tiny_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small generated data set: 6 species, 3 scored, about 20 recordings of 5 s."""
    return ensure_demo(tmp_path_factory.mktemp("demo") / "tiny", plan=tiny_plan())
