"""Recomputed blocks: less memory, the same losses, gradients and running statistics."""

from dataclasses import replace

import pytest
import torch

from core.config import FeatureConfig, TimmConfig
from core.models.sed import TimmSED

SMALL = TimmConfig(backbone="test_efficientnet.r160_in1k", pretrained=False, dropout=0.2, drop_path=0.3)


def train_steps(config: TimmConfig, steps: int = 3) -> tuple[TimmSED, list[float], int]:
    """Return the model after some steps, its losses, and the bytes kept for the gradient of the last one."""
    torch.manual_seed(0)
    model = TimmSED(config, FeatureConfig(), 4).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    losses, kept = [], 0
    for step in range(steps):
        torch.manual_seed(step)
        wave = 0.1 * torch.randn(4, 2, 32_000)
        held: dict[int, int] = {}

        def keep(tensor: torch.Tensor, held: dict[int, int] = held) -> torch.Tensor:
            held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = model(wave.flatten(0, 1), 2).clip_logit.square().mean()
        kept = sum(held.values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return model, losses, kept


def test_recomputed_blocks_train_alike_and_keep_less() -> None:
    plain, losses, kept = train_steps(SMALL)
    model, same, less = train_steps(replace(SMALL, recompute=True))
    assert same == pytest.approx(losses, rel=1e-5)
    assert less < kept / 2
    for (name, one), (_, other) in zip(plain.named_buffers(), model.named_buffers(), strict=True):
        if "num_batches_tracked" not in name:
            torch.testing.assert_close(other, one, msg=name)
    for one, other in zip(plain.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(other, one)


def test_a_backbone_that_cannot_is_told() -> None:
    with pytest.raises(ValueError, match=r"model\.recompute=True: timm has no checkpointing for selecsls42"):
        TimmSED(replace(SMALL, backbone="selecsls42", drop_path=0.0, recompute=True), FeatureConfig(), 4)
