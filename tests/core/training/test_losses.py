"""Losses against recordings of the original and closed forms."""

import math

import pytest
import torch
from torch import Tensor

from core.config import LossConfig
from core.models.base import Output
from core.training.losses import focal_terms, recording_loss, smooth_labels, species_loss
from tests.conftest import Reference


def output_of(logit: torch.Tensor) -> Output:
    return Output(logit, logit[:, None], 1)


def batch_loss(output: Output, target: Tensor, mask: Tensor, weight: Tensor, config: LossConfig) -> Tensor:
    losses = species_loss(output, target, mask, weight, config)
    return (losses * weight).sum() / weight.sum()


@pytest.mark.parametrize("kind", ["hard", "smooth", "mixed"])
def test_parity_of_the_focal_loss(reference: Reference, kind: str) -> None:
    arrays = reference("bce_focal")
    logit = arrays["logits"].requires_grad_()
    target = arrays[f"targets_{kind}"]
    losses = recording_loss(logit, target, torch.ones_like(target), LossConfig())
    torch.testing.assert_close(losses, arrays[f"out_focal_per_sample_{kind}"], atol=1e-6, rtol=0)
    loss = batch_loss(output_of(logit), target, torch.ones_like(target), arrays["weight"], LossConfig())
    torch.testing.assert_close(loss, arrays[f"out_loss_weighted_{kind}"], atol=1e-6, rtol=0)
    loss.backward()
    torch.testing.assert_close(logit.grad, arrays[f"out_grad_logits_{kind}"], atol=1e-7, rtol=0)


def test_focal_loss_at_zero_logit_is_its_closed_form() -> None:
    terms = focal_terms(torch.zeros(2), torch.tensor([1.0, 0.0]))
    expected = torch.tensor([0.25 * 0.25 * math.log(2), 0.25 * math.log(2)])
    torch.testing.assert_close(terms, expected)


def test_frame_term_adds_the_loss_of_the_loudest_frame() -> None:
    clip, segments = torch.zeros(1, 1), torch.tensor([[[-2.0], [3.0]]])
    output, ones = Output(clip, segments, 2), torch.ones(1, 1)
    both = batch_loss(output, ones, ones, torch.ones(1), LossConfig(kind="bce", frame_term_weight=0.5))
    expected = math.log(2) + 0.5 * math.log1p(math.exp(-3.0))
    assert both.item() == pytest.approx(expected, rel=1e-6)


def test_masked_species_neither_count_nor_learn() -> None:
    logit = torch.tensor([[0.3, -1.0, 2.0]], requires_grad=True)
    target, mask = torch.tensor([[1.0, 0.0, 1.0]]), torch.tensor([[1.0, 1.0, 0.0]])
    loss = batch_loss(output_of(logit), target, mask, torch.ones(1), LossConfig())
    without = recording_loss(logit[:, :2], target[:, :2], mask[:, :2], LossConfig())
    assert loss.item() == pytest.approx(without.item())
    loss.backward()
    assert logit.grad is not None
    assert logit.grad[0, 2] == 0


def test_a_recordings_weight_is_relative_to_the_batch() -> None:
    logit, target = torch.tensor([[1.0], [-1.0]]), torch.ones(2, 1)
    ones = torch.ones(2, 1)
    light = batch_loss(output_of(logit), target, ones, torch.tensor([0.1, 0.2]), LossConfig())
    heavy = batch_loss(output_of(logit), target, ones, torch.tensor([0.5, 1.0]), LossConfig())
    assert light.item() == pytest.approx(heavy.item())


def test_smoothing_adds_and_clips() -> None:
    smoothed = smooth_labels(torch.tensor([0.0, 0.95, 1.0]), 0.1)
    torch.testing.assert_close(smoothed, torch.tensor([0.1, 1.0, 1.0]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_loss_is_float32_whatever_comes_in(dtype: torch.dtype) -> None:
    logit = torch.tensor([[60.0, -60.0]], dtype=dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ones = torch.ones(1, 2)
        loss = batch_loss(output_of(logit), ones, ones, torch.ones(1), LossConfig())
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)


def test_soft_auc_is_the_loss_of_pairs_and_a_share_of_the_plain_one() -> None:
    logit = torch.tensor([[1.0, 5.0], [-2.0, 0.0], [0.5, 1.0]], requires_grad=True)
    target = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])  # no pair of the second species
    mask = torch.tensor([[1.0, 1.0], [1.0, 1.0], [0.0, 1.0]])  # of the first one only (0, 1) is left
    config = LossConfig(kind="soft_auc", auc_margin=2.0, auc_bce_weight=0.5)
    loss = batch_loss(output_of(logit), target, mask, torch.ones(3), config)
    plain = batch_loss(output_of(logit), target, mask, torch.ones(3), LossConfig(kind="bce"))
    assert loss.item() == pytest.approx(math.log1p(math.exp(-2.0 * 3.0)) + 0.5 * plain.item(), rel=1e-5)
    loss.backward()
    assert logit.grad is not None
    assert logit.grad.isfinite().all()


def test_a_batch_without_pairs_has_the_plain_loss_alone() -> None:
    logit, ones = torch.tensor([[0.3], [-1.0]]), torch.ones(2, 1)
    config = LossConfig(kind="soft_auc", auc_bce_weight=1.0)
    plain = batch_loss(output_of(logit), ones, ones, torch.ones(2), LossConfig(kind="bce"))
    assert batch_loss(output_of(logit), ones, ones, torch.ones(2), config).item() == plain.item()
