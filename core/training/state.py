"""Where a run stands, as tensors and plain values that a checkpoint can hold and training continue from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from core.training.optim import pack_optimizer, unpack_optimizer

MODEL_PREFIX = "model/"


@dataclass
class Progress:
    """Counters of a run; the next step to take is `step` of `epoch`.

    Attributes
    ----------
    epoch, step
        Epoch, and micro-batches of it that are done.
    global_step
        Optimiser steps done.
    loss_sum, loss_count
        Over the epoch so far.
    best
        Highest validation macro AUC so far.
    seconds
        Time spent training and validating, over all resumptions.
    wandb_id
        W&B's id of the run.
    scaler
        State of the fp16 gradient scaler.
    """

    epoch: int = 0
    step: int = 0
    global_step: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    best: float = -1.0
    seconds: float = 0.0
    wandb_id: str | None = None
    scaler: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def pack_training(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return raw weights and moments under distinct names."""
    weights = {MODEL_PREFIX + name: tensor for name, tensor in model.state_dict().items()}
    return weights | pack_optimizer(optimizer)


def unpack_training(
    tensors: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: ModelEmaV3 | None,
) -> None:
    """Put back what `pack_training` took; `weights` hold the moving average where there is one."""
    own = {n.removeprefix(MODEL_PREFIX): t for n, t in tensors.items() if n.startswith(MODEL_PREFIX)}
    model.load_state_dict(own)
    unpack_optimizer(optimizer, tensors)
    if average is not None:
        average.module.load_state_dict(weights)
