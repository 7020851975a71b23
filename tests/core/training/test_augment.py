"""Mixup's algebra, against recordings of the original and by hand."""

import pytest
import torch

from core.config import MixupConfig, SpecAugmentConfig
from core.training.augment import Joining, Labelled, Mixing, draw_augmentation, draw_mixing, keep_mask
from tests.conftest import Reference

OFF = SpecAugmentConfig(probability=0.0)


def labelled(arrays: dict[str, torch.Tensor], prefix: str = "") -> Labelled:
    target = arrays[f"{prefix}Y"]
    return Labelled(target, torch.ones_like(target), arrays[f"{prefix}W"])


CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("second", "out"), [("", "mix"), ("S", "sel")])
def test_parity_of_mixup(reference: Reference, second: str, out: str) -> None:
    arrays = reference("mixup")
    mixing = Mixing(arrays["perm"], arrays["coeff"])
    mixed = mixing.mix(arrays["X"], arrays[f"{second}X"])
    labels = mixing.mix_labels(labelled(arrays), labelled(arrays, second))
    torch.testing.assert_close(mixed, arrays[f"out_{out}_X"], atol=1e-6, rtol=0)
    torch.testing.assert_close(labels.target, arrays[f"out_{out}_Y"], atol=1e-6, rtol=0)
    torch.testing.assert_close(labels.weight, arrays[f"out_{out}_W"], atol=1e-6, rtol=0)


def test_mixup_keeps_weight_between_its_parents() -> None:
    mixing = draw_mixing(1000, 0.4, generator())
    first, second = torch.full((1000,), 0.2), torch.full((1000,), 0.9)
    mixed = mixing.mix(first, second)
    assert mixed.min() >= 0.2 - 1e-6
    assert mixed.max() <= 0.9 + 1e-6


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_shares_follow_the_beta_distribution(alpha: float) -> None:
    share = draw_mixing(200_000, alpha, generator()).share
    assert share.mean().item() == pytest.approx(0.5, abs=0.005)
    assert share.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.02)


def test_strength_scales_the_partners_share() -> None:
    full = draw_mixing(50, 1.0, generator(), strength=1.0)
    half = draw_mixing(50, 1.0, generator(), strength=0.5)
    torch.testing.assert_close(1 - half.share, (1 - full.share) / 2)
    assert (draw_mixing(50, 1.0, generator(), strength=0.0).share == 1).all()


def test_selective_mixup_puts_a_scored_clip_into_every_item() -> None:
    main = Labelled(torch.tensor([[1.0, 0.0]] * 4), torch.ones(4, 2), torch.ones(4))
    scored = Labelled(torch.tensor([[0.0, 1.0]] * 4), torch.ones(4, 2), torch.ones(4))
    both = Labelled(torch.cat([main.target, scored.target]), torch.ones(8, 2), torch.ones(8))
    config = MixupConfig(selective_probability=1.0, probability=0.0)
    augment = draw_augmentation(4, 4, config, OFF, [0.0, 0.9, 0.9, 0.9], generator())
    mixed = augment.mix_labels(both)
    torch.testing.assert_close(mixed.target.sum(dim=1), torch.ones(4))
    assert (mixed.target[:, 1] > 0).all()
    parts = torch.cat([torch.zeros(4, 2, 1, 3, 5), torch.ones(4, 2, 1, 3, 5)])
    heard = augment(parts)
    assert heard.shape == (4, 2, 1, 3, 5)
    torch.testing.assert_close(heard.mean(dim=(1, 2, 3, 4)), mixed.target[:, 1])  # one share for all parts


def test_without_its_gate_the_scored_half_is_left_out() -> None:
    both = Labelled(torch.eye(4), torch.ones(4, 4), torch.ones(4))
    config = MixupConfig(selective_probability=0.8, probability=0.0)
    augment = draw_augmentation(2, 2, config, OFF, [0.81, 0.9, 0.9, 0.9], generator())
    assert torch.equal(augment.mix_labels(both).target, torch.eye(4)[:2])
    parts = torch.randn(4, 1, 1, 2, 2)
    assert torch.equal(augment(parts), parts[:2])


def test_zero_probability_never_mixes() -> None:
    labels = Labelled(torch.eye(3), torch.ones(3, 3), torch.ones(3))
    config = MixupConfig(selective_probability=0.0, probability=0.0)
    augment = draw_augmentation(3, 0, config, OFF, [0.0, 0.0, 0.0, 0.0], generator())
    assert torch.equal(augment.mix_labels(labels).target, torch.eye(3))


def test_masks_are_mixed_with_the_same_share() -> None:
    mixing = Mixing(torch.tensor([1, 0]), torch.tensor([0.25, 1.0]))
    labels = Labelled(torch.zeros(2, 1), torch.tensor([[1.0], [0.0]]), torch.ones(2))
    mixed = mixing.mix_labels(labels, labels)
    torch.testing.assert_close(mixed.mask, torch.tensor([[0.25], [0.0]]))


def test_stripes_have_allowed_widths_and_differ_between_parts() -> None:
    config = SpecAugmentConfig(num_time_stripes=1, max_time_width=16, num_mel_stripes=0)
    keep = keep_mask(torch.Size((2000, 1, 1, 1, 100)), CPU, config, generator())
    widths = (~keep).sum(dim=4)
    assert widths.min() == 0
    assert widths.max() == 15
    keep = keep_mask(torch.Size((2, 3, 1, 32, 100)), CPU, SpecAugmentConfig(max_time_width=40), generator())
    assert not torch.equal(keep[0, 0], keep[0, 1])
    assert set(keep.unique().tolist()) == {False, True}


def test_augmentation_is_a_function_of_its_generator() -> None:
    labels = Labelled(torch.eye(8), torch.ones(8, 8), torch.ones(8))
    parts = torch.randn(8, 1, 1, 16, 80)
    results = []
    for _ in range(2):
        torch.rand(7)  # what else was drawn does not matter
        augment = draw_augmentation(4, 4, MixupConfig(), SpecAugmentConfig(), [0.0] * 4, generator(5))
        results.append((augment(parts), augment.mix_labels(labels).target))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_labels_are_joined_and_spectrograms_halved() -> None:
    first = Labelled(torch.tensor([[1.0, 0.0, 0.2]]), torch.tensor([[1.0, 1.0, 0.0]]), torch.tensor([0.5]))
    second = Labelled(torch.tensor([[0.3, 0.7, 0.9]]), torch.ones(1, 3), torch.tensor([1.0]))
    joining = Joining.of(torch.tensor([0]))
    mixed = joining.mix_labels(first, second)
    assert torch.allclose(mixed.target, torch.tensor([[1.0, 0.7, 0.9]]))
    assert torch.equal(mixed.mask, first.mask)
    assert joining.mix(torch.ones(1, 2), torch.zeros(1, 2)).tolist() == [[0.5, 0.5]]
