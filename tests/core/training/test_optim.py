"""The average of epochs that is scored."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn

from core.config import Config, OptimConfig
from core.trainer import build_accelerator
from core.training.optim import Optimization

CONFIG = Config(name="tiny", epochs=4, optim=OptimConfig(lr=0.1, swa_from=0.5))


def open_optimization(model: nn.Module) -> Optimization:
    return Optimization(CONFIG, model, build_accelerator(CONFIG))  # type: ignore[arg-type]


def train(optimization: Optimization, epoch: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(epoch)
    optimization.network.train()
    for step in range(3):
        losses = optimization.network(torch.randn(8, 5, generator=generator)).square().mean(dim=1)
        optimization.backward(losses, torch.ones(8))
        optimization.step(3 * epoch + step, 3)
    optimization.end_epoch(epoch)
    return optimization.model.get_parameter("0.weight").detach().clone()


def test_what_is_scored_is_the_mean_of_the_last_epochs_also_of_a_resumed_run() -> None:
    torch.manual_seed(0)
    optimization = open_optimization(nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3)))
    weights = [train(optimization, epoch) for epoch in range(3)]
    scored = optimization.scored_model.get_parameter("0.weight")
    torch.testing.assert_close(scored, weights[2])
    resumed = open_optimization(nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3)))
    resumed.optimizer.load_state_dict(deepcopy(optimization.optimizer.state_dict()))
    resumed.model.load_state_dict(optimization.model.state_dict())
    resumed.scored_model.load_state_dict(optimization.scored_model.state_dict())
    weights.append(train(optimization, 3))
    assert torch.equal(train(resumed, 3), weights[3])
    for one in (optimization, resumed):
        averaged = one.scored_model
        torch.testing.assert_close(averaged.get_parameter("0.weight"), (weights[2] + weights[3]) / 2)
        assert torch.equal(averaged.get_buffer("1.running_mean"), one.model.get_buffer("1.running_mean"))


def test_only_one_average_is_scored() -> None:
    with pytest.raises(ValueError, match=r"optim.swa_from=0.5 and optim.ema_decay=0.99: two averages"):
        replace(CONFIG.optim, ema_decay=0.99)
