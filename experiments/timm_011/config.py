"""timm_011: timm_007 with the recordings of BirdCLEF 2021 added to training.

The "2021 data + selective mixup" that Choiuijin1125/bclef2022 wanted to try next. Name the folder of 2021
with `--data.extra_roots`; its recordings only train, and those that 2022 holds too are left out.
"""

from core.config import Config, DataConfig, TimmConfig

CONFIG = Config(
    name="timm_011",
    for_few="timm_014",
    model=TimmConfig(backbone="tf_efficientnet_b0.ns_jft_in1k"),
    data=DataConfig(extra_roots=["data/birdclef-2021"]),
)
