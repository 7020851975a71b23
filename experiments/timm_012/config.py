"""timm_012: timm_007, the best published score model, with another backbone.

The "other backbones with the best score model" that Choiuijin1125/bclef2022 wanted to try next:
EfficientNetV2-B3 here, others with `--model.backbone`, or all of `sweeps/backbone.yaml`.
"""

from core.config import Config, TimmConfig

CONFIG = Config(
    name="timm_012",
    model=TimmConfig(
        backbone="tf_efficientnetv2_b3.in21k_ft_in1k", demo_backbone="mobilenetv4_conv_small.e2400_r224_in1k"
    ),
)
