"""timm_010: timm_007 with undersampled selective mixup.

The scored half of a batch is drawn with every scored species equally often, instead of every recording: the
"undersampled selective mixup" that Choiuijin1125/bclef2022 wanted to try next.
"""

from core.config import Config, DataConfig, TimmConfig

CONFIG = Config(
    name="timm_010",
    for_few="timm_014",
    model=TimmConfig(backbone="tf_efficientnet_b0.ns_jft_in1k"),
    data=DataConfig(undersample_power=1.0),
)
