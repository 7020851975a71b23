"""timm_012: timm_007, the best published score model, with another backbone.

The "other backbones with the best score model" that Choiuijin1125/bclef2022 wanted to try next:
EfficientNetV2-B3 here, others with `--model.backbone`, or all of `sweeps/backbone.yaml`.
"""

import dataclasses
from dataclasses import dataclass
from typing import Self

from core.config import Config, TimmConfig


@dataclass(frozen=True, kw_only=True)
class OtherBackboneConfig(TimmConfig):
    """TimmSED that stays another one when it is shortened, from random weights where no hub answers."""

    def shortened(self) -> Self:
        """Return the network around a small backbone that timm_007 has not."""
        return dataclasses.replace(
            self, backbone="mobilenetv4_conv_small.e2400_r224_in1k", pretrained="if_reachable"
        )


CONFIG = Config(
    name="timm_012",
    for_few="timm_014",
    model=OtherBackboneConfig(backbone="tf_efficientnetv2_b3.in21k_ft_in1k"),
)
