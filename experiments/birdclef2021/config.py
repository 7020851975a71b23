"""birdclef2021: cfg_ps_12_v21 of the BirdCLEF 2021 second place.

The values of ChristofHenkel/kaggle-birdclef2021-2nd-place, whose reproduction by Choiuijin1125/bclef2022
scored 0.75 on the public leaderboard. Its Adam without weight decay is AdamW with decay 0.
"""

from core.config import (
    Config,
    DataConfig,
    FeatureConfig,
    GemConfig,
    LossConfig,
    MixupConfig,
    OptimConfig,
    SpecAugmentConfig,
)

CONFIG = Config(
    name="birdclef2021",
    for_few="timm_014",
    epochs=11,
    model=GemConfig(),
    data=DataConfig(batch_size=16),
    features=FeatureConfig(n_fft=1024, hop_length=320, scale="affine"),
    mixup=MixupConfig(probability=0.5, second_probability=0.5, selective_probability=0.0),
    spec_augment=SpecAugmentConfig(probability=0.0),
    loss=LossConfig(kind="bce", label_smoothing=0.0),
    optim=OptimConfig(lr=1e-3, min_lr=0.0, warmup_epochs=1.0, weight_decay=0.0),
)
