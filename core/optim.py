"""The optimiser, its learning rate as a function of the step, and its state as plain tensors."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from core.config import OptimConfig

STATE_PREFIX = "optimizer/"


def build_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """Return AdamW over all parameters; vectors go undecayed where the configuration says so."""
    trained = [p for p in model.parameters() if p.requires_grad]
    if config.decay_norm_and_bias:
        groups: list[dict[str, Any]] = [{"params": trained}]
    else:
        groups = [
            {"params": [p for p in trained if p.ndim > 1]},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
    return torch.optim.AdamW(
        groups, lr=config.lr, betas=config.betas, weight_decay=config.weight_decay, fused=True
    )


def learning_rate(step: int, total_steps: int, warmup_steps: int, config: OptimConfig) -> float:
    """Return the rate of optimiser step `step` (from 0): linear warm-up, then a cosine to `min_lr`."""
    if step < warmup_steps:
        return config.lr * (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(total_steps - warmup_steps, 1)
    return config.min_lr + (config.lr - config.min_lr) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2


def pack_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's moments under names such as `optimizer/12/exp_avg`."""
    state: dict[int, dict[str, Tensor]] = optimizer.state_dict()["state"]
    return {
        f"{STATE_PREFIX}{index}/{name}": tensor
        for index, moments in state.items()
        for name, tensor in moments.items()
    }


def unpack_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put the moments back that `pack_optimizer` took, in the memory layout of their parameters.

    The fused step reads a parameter and its moments in the order of memory, so that a moment in another
    layout (files hold them row by row, convolutions are channels-last) would meet the wrong weights.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        if key.startswith(STATE_PREFIX):
            index, name = key.removeprefix(STATE_PREFIX).split("/")
            parameter = parameters[int(index)]
            is_moment = name != "step"
            value = torch.empty_like(parameter, requires_grad=False).copy_(tensor) if is_moment else tensor
            state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
