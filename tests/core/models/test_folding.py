"""Folded networks compute what the networks they come from do, with plain convolutions."""

import pytest
import torch
from timm.layers import ScaledStdConv2d, ScaledStdConv2dSame
from torch import nn

from core.config import FeatureConfig, TimmConfig
from core.models.folding import fold_batch_norm, fold_standardisation, folded
from core.models.sed import TimmSED


def network(backbone: str) -> TimmSED:
    """Return a network whose batch norms have something to do."""
    torch.manual_seed(0)
    model = TimmSED(TimmConfig(backbone=backbone, pretrained=False), FeatureConfig(), 3).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features) * 0.1
            module.running_var = torch.rand(module.num_features) + 0.5
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.uniform_(module.bias, -0.1, 0.1)
        if isinstance(module, ScaledStdConv2d | ScaledStdConv2dSame):
            nn.init.uniform_(module.gain, 0.5, 1.5)
    return model


@pytest.mark.parametrize("backbone", ["test_efficientnet", "resnet10t", "lcnet_050", "eca_nfnet_l0"])
@torch.inference_mode()
def test_the_same_logits(backbone: str) -> None:
    model = network(backbone)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    wave = torch.randn(2, 64000) * 0.1
    expected, found = model(wave), folded(model)(wave)
    scale = expected.segment_logit.abs().max()
    assert torch.allclose(found.clip_logit / scale, expected.clip_logit / scale, atol=1e-5)
    assert torch.allclose(found.segment_logit / scale, expected.segment_logit / scale, atol=1e-5)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), "the network itself was changed"


def test_batch_norms_are_gone() -> None:
    backbone = network("test_efficientnet").backbone
    present = sum(isinstance(m, nn.BatchNorm2d) for m in backbone.modules())
    assert fold_batch_norm(backbone) == present > 5
    assert not any(isinstance(m, nn.BatchNorm2d) for m in backbone.modules())


@pytest.mark.parametrize("size", [15, 16])
def test_standardised_convolutions_become_plain_ones(size: int) -> None:
    torch.manual_seed(0)
    same = ScaledStdConv2dSame(4, 6, 3, stride=2, groups=2)
    layers = nn.Sequential(same, nn.ReLU(), ScaledStdConv2d(6, 5, 3, bias=False))
    with torch.no_grad():
        images = torch.randn(2, 4, size, size)
        expected = layers(images)
        assert fold_standardisation(layers) == 2
        assert not any(isinstance(m, ScaledStdConv2d | ScaledStdConv2dSame) for m in layers.modules())
        torch.testing.assert_close(layers(images), expected)


class Untraceable(nn.Module):
    """Decides by values, which no trace can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images) if images.sum() > 0 else images


def test_what_cannot_be_traced_stays_as_it_is() -> None:
    backbone = Untraceable()
    assert fold_batch_norm(backbone) == 0
    assert isinstance(backbone.layers[1], nn.BatchNorm2d)
