"""timm_008: a larger backbone than timm_007, trained twice as long."""

from core.config import Config, DataConfig, TimmConfig

CONFIG = Config(
    name="timm_008",
    for_few="timm_014",
    epochs=40,
    seed=71578,
    model=TimmConfig(backbone="eca_nfnet_l0.ra2_in1k"),
    data=DataConfig(batch_size=24, valid_batch_size=24),
)
