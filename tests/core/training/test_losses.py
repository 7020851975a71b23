"""Losses against recordings of the original and closed forms."""

import math

import pytest
import torch

from core.config import LossConfig
from core.models.base import Output
from core.training.losses import focal_terms, recording_loss, smooth_labels, species_loss
from tests.conftest import Reference


def output_of(logit: torch.Tensor) -> Output:
    return Output(logit, logit[:, None], 1)


@pytest.mark.parametrize("kind", ["hard", "smooth", "mixed"])
def test_parity_of_the_focal_loss(reference: Reference, kind: str) -> None:
    arrays = reference("bce_focal")
    logit = arrays["logits"].requires_grad_()
    target = arrays[f"targets_{kind}"]
    losses = recording_loss(logit, target, torch.ones_like(target), LossConfig())
    torch.testing.assert_close(losses, arrays[f"out_focal_per_sample_{kind}"], atol=1e-6, rtol=0)
    loss = species_loss(output_of(logit), target, torch.ones_like(target), arrays["weight"], LossConfig())
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
    both = species_loss(output, ones, ones, torch.ones(1), LossConfig(kind="bce", frame_term_weight=0.5))
    expected = math.log(2) + 0.5 * math.log1p(math.exp(-3.0))
    assert both.item() == pytest.approx(expected, rel=1e-6)


def test_masked_species_neither_count_nor_learn() -> None:
    logit = torch.tensor([[0.3, -1.0, 2.0]], requires_grad=True)
    target, mask = torch.tensor([[1.0, 0.0, 1.0]]), torch.tensor([[1.0, 1.0, 0.0]])
    loss = species_loss(output_of(logit), target, mask, torch.ones(1), LossConfig())
    without = recording_loss(logit[:, :2], target[:, :2], mask[:, :2], LossConfig())
    assert loss.item() == pytest.approx(without.item())
    loss.backward()
    assert logit.grad is not None
    assert logit.grad[0, 2] == 0


def test_a_recordings_weight_is_relative_to_the_batch() -> None:
    logit, target = torch.tensor([[1.0], [-1.0]]), torch.ones(2, 1)
    ones = torch.ones(2, 1)
    light = species_loss(output_of(logit), target, ones, torch.tensor([0.1, 0.2]), LossConfig())
    heavy = species_loss(output_of(logit), target, ones, torch.tensor([0.5, 1.0]), LossConfig())
    assert light.item() == pytest.approx(heavy.item())


def test_smoothing_adds_and_clips() -> None:
    smoothed = smooth_labels(torch.tensor([0.0, 0.95, 1.0]), 0.1)
    torch.testing.assert_close(smoothed, torch.tensor([0.1, 1.0, 1.0]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_loss_is_float32_whatever_comes_in(dtype: torch.dtype) -> None:
    logit = torch.tensor([[60.0, -60.0]], dtype=dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ones = torch.ones(1, 2)
        loss = species_loss(output_of(logit), ones, ones, torch.ones(1), LossConfig())
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
