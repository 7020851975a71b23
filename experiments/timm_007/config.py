"""timm_007: EfficientNet-B0 on 30 s clips of six parts, selective mixup with scored birds.

The values of Choiuijin1125/bclef2022's timm_007 (five folds of it scored 0.79 on the public leaderboard),
which are core's defaults; the attention runs over time instead of frequency.
"""

from core.config import Config, TimmConfig

CONFIG = Config(
    name="timm_007",
    for_few="timm_014",
    model=TimmConfig(backbone="tf_efficientnet_b0.ns_jft_in1k"),
)
