"""timm_012: timm_007, the best published score model, with another backbone.

The "other backbones with the best score model" that Choiuijin1125/bclef2022 wanted to try next:
EfficientNetV2-B3 here, others with `--model.backbone`, or all of `sweeps/backbone.yaml`.
"""

from dataclasses import dataclass
from typing import ClassVar

from core.config import Config, TimmConfig


@dataclass(frozen=True, kw_only=True)
class OtherBackboneConfig(TimmConfig):
    """TimmSED whose demo starts from random weights where no hub answers: more and lighter epochs."""

    demo_epochs: ClassVar[int] = 50
    demo_batch_size: ClassVar[int] = 8
    demo_augmentation: ClassVar[bool] = False


CONFIG = Config(
    name="timm_012",
    model=OtherBackboneConfig(
        backbone="tf_efficientnetv2_b3.in21k_ft_in1k", demo_backbone="mobilenetv4_conv_small.e2400_r224_in1k"
    ),
)
