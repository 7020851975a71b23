"""The optimiser, its learning rate as a function of the step, and its state as plain tensors.

A step follows the weighted mean of the losses of all its clips, whatever processes and micro-batches they
are divided among: sums are added up, and divided by the weight of all before the optimiser moves.
"""

import math
from collections.abc import Mapping
from typing import Any, cast

import torch
from timm.optim import param_groups_layer_decay
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from core.config import Config, OptimConfig
from core.models.base import SpeciesModel
from core.training.profiling import part_of_step

STATE_PREFIX = "optimizer/"


class Optimization:
    """Optimiser steps of a network: weighted mean of the loss, learning rate, clipping, average of weights.

    Parameters
    ----------
    config
        Of the run.
    model
        The network.
    accelerator
        Of Accelerate; wraps network and optimiser.

    Attributes
    ----------
    network, stepper
        Network and optimiser as the accelerator made them.
    optimizer
        The optimiser itself.
    average
        The average of the weights that is scored, a moving one or of epochs; None: there is none.
    """

    def __init__(self, config: Config, model: SpeciesModel, accelerator: Any) -> None:
        self.config, self.model, self.accelerator = config, model, accelerator
        self.optimizer = build_optimizer(model, config.optim)
        self.network, self.stepper = accelerator.prepare(model, self.optimizer)
        decay = config.optim.ema_decay
        self.average: ModelEmaV3 | AveragedModel | None = None
        if decay is not None:
            self.average = ModelEmaV3(model, decay, use_warmup=True)
        elif config.optim.swa_from is not None:
            self.average = AveragedModel(model)
        if config.compile:  # the average is a copy that is not
            model.compile_training()
        self._weight = torch.zeros((), device=accelerator.device)  # of the step's clips so far, here

    @property
    def scored_model(self) -> SpeciesModel:
        """The network whose weights are scored and saved: their average where there is one."""
        return self.model if self.average is None else cast(SpeciesModel, self.average.module)

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return float(self.optimizer.param_groups[0]["lr"])

    @part_of_step("backward")
    def backward(self, losses: Tensor, weight: Tensor) -> Tensor:
        """Add the gradients of a micro-batch; return the sum of its weighted losses, and that of its weights.

        Parameters
        ----------
        losses, weight
            (clip,) of this process.

        Returns
        -------
        Tensor
            (2,) on the device, detached.
        """
        weight = weight.float()
        total, weighted = weight.sum(), (losses * weight).sum()
        self._weight += total
        self.accelerator.backward(weighted / self._clips_per_backward)
        return torch.stack([weighted.detach(), total])

    @property
    def _clips_per_backward(self) -> float:
        """Clips of a process's micro-batch: means are taken over micro-batches and processes."""
        parts = self.config.optim.accumulation * self.accelerator.num_processes
        return self.config.data.batch_size / parts

    def _divide_by_weight(self) -> None:
        """Turn the gradients, so far sums over `data.batch_size`, into those of the weighted mean."""
        total = self.accelerator.reduce(self._weight, "sum")
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        torch._foreach_mul_(gradients, self.config.data.batch_size / total)
        self._weight = torch.zeros_like(self._weight)

    @property
    def is_finite(self) -> bool:
        """Whether all weights, their average and the optimiser's moments are finite."""
        average = [] if self.average is None else self.average.module.state_dict().values()
        moments = pack_optimizer(self.optimizer).values()
        tensors = (*self.model.state_dict().values(), *average, *moments)
        largest = torch._foreach_norm([one for one in tensors if one.is_floating_point()], math.inf)
        return bool(torch.stack([one.to(self._weight) for one in largest]).isfinite().all())

    @torch.no_grad()
    def share(self) -> None:
        """Give every process the buffers and the moving average of the first, whose are saved."""
        if self.accelerator.num_processes == 1:
            return
        average = [] if self.average is None else self.average.module.state_dict().values()
        for tensor in (*self.model.buffers(), *average):
            torch.distributed.broadcast(tensor, 0)

    @part_of_step("optimiser")
    def step(self, done: int, micro_batches: int) -> None:
        """Set the learning rate, clip, step, and update the moving average.

        Parameters
        ----------
        done
            Steps that were taken before.
        micro_batches
            Of an epoch.
        """
        optim = self.config.optim
        rate = learning_rate(done, micro_batches // optim.accumulation, self.config.epochs, optim)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("lr_scale", 1.0)
        self._divide_by_weight()
        if optim.max_grad_norm is not None:
            self.accelerator.clip_grad_norm_(self.network.parameters(), optim.max_grad_norm)
        self.stepper.step()
        self.stepper.zero_grad()
        if isinstance(self.average, ModelEmaV3):
            self.average.update(self.model, done + 1)

    def end_epoch(self, epoch: int) -> None:
        """Take the weights at the end of an epoch, from 0, into their mean, if that is what is scored."""
        if isinstance(self.average, AveragedModel):
            assert self.config.optim.swa_from is not None
            first = min(round(self.config.optim.swa_from * self.config.epochs), self.config.epochs - 1)
            self.average.n_averaged.fill_(max(epoch - first, 0))  # of none, it takes the weights as they are
            self.average.update_parameters(self.model)


def build_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """Return AdamW over all parameters.

    Where the configuration says so, vectors and what the model's `no_weight_decay` names go undecayed, and
    each block's rate is `layer_decay` times that of the next (timm's rule over the model's `group_matcher`;
    groups carry an `lr_scale`).
    """
    kept: set[str] = set()
    if not config.decay_norm_and_bias:
        named = model.no_weight_decay() if hasattr(model, "no_weight_decay") else ()  # type: ignore[operator]
        kept = {name for name, p in model.named_parameters() if p.ndim <= 1 or name in named}
    if config.layer_decay is not None:
        groups = param_groups_layer_decay(
            model, config.weight_decay, no_weight_decay_list=list(kept), layer_decay=config.layer_decay
        )
        return _adamw(groups, config)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    groups = [{"params": [p for name, p in trained.items() if name not in kept]}]
    if kept:
        groups.append({"params": [p for name, p in trained.items() if name in kept], "weight_decay": 0.0})
    return _adamw(groups, config)


def _adamw(groups: list[dict[str, Any]], config: OptimConfig) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        groups, lr=config.lr, betas=config.betas, weight_decay=config.weight_decay, fused=True
    )


def learning_rate(step: int, steps_per_epoch: int, epochs: int, config: OptimConfig) -> float:
    """Return the rate of an optimiser step: linear warm-up, then a cosine to `min_lr`.

    Parameters
    ----------
    step
        Number of the optimiser step, from 0, over all epochs.
    steps_per_epoch, epochs
        Length of the whole run.
    config
        Highest and lowest rate, length of the warm-up.
    """
    warmup = round(config.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return config.lr * (step + 1) / warmup
    progress = (step - warmup) / max(steps_per_epoch * epochs - warmup, 1)
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
    layout (files hold them row by row, convolutions are channels-last) would meet the wrong weights. Other
    names among `tensors` are passed over.
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
