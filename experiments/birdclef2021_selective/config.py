"""birdclef2021_selective: selective mixup with the network and schedule of the 2021 second place.

What Choiuijin1125/bclef2022 wanted to try next. Of the two ordinary mixups of birdclef2021 the first gives
way to selective mixup with its probability in timm_007.
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
    name="birdclef2021_selective",
    for_few="timm_014",
    epochs=11,
    model=GemConfig(),
    data=DataConfig(batch_size=16),
    features=FeatureConfig(n_fft=1024, hop_length=320, scale="affine"),
    mixup=MixupConfig(probability=0.5, selective_probability=0.8),
    spec_augment=SpecAugmentConfig(probability=0.0),
    loss=LossConfig(kind="bce", label_smoothing=0.0),
    optim=OptimConfig(lr=1e-3, min_lr=0.0, warmup_epochs=1.0, weight_decay=0.0),
)
