"""nocall: is there a bird at all? The binary classifier of the BirdCLEF 2021 second place.

The values of pp_binary_ext3_1 of ChristofHenkel/kaggle-birdclef2021-2nd-place (EfficientNet-B0, crops of
10 s, mixup up to twice, rating weights, Adam), with the mels ending at half the sample rate.
"""

from dataclasses import dataclass

from core.config import (
    BackboneConfig,
    Config,
    DataConfig,
    FeatureConfig,
    LossConfig,
    MixupConfig,
    OptimConfig,
    SpecAugmentConfig,
    ValidConfig,
)
from core.config_data import NoiseConfig


@dataclass(frozen=True, kw_only=True)
class NocallConfig(BackboneConfig):
    """A timm backbone, attention over time, a linear head."""

    hidden: int = 512
    """Units of the attention."""
    dropout: float = 0.0
    """Dropout before the head."""


CONFIG = Config(
    name="nocall",
    epochs=15,
    model=NocallConfig(),
    data=DataConfig(
        clip_seconds=10.0,
        part_seconds=10.0,
        batch_size=32,
        valid_batch_size=32,
        valid_species="all",
        noise=NoiseConfig(probabilities=[]),  # call-free audio is what is learnt here
    ),
    features=FeatureConfig(num_mels=256, f_min_hz=16.0, f_max_hz=16000.0, top_db=80.0, scale="instance"),
    mixup=MixupConfig(probability=0.5, second_probability=0.5, selective_probability=0.0),
    spec_augment=SpecAugmentConfig(probability=0.0),
    loss=LossConfig(kind="bce", label_smoothing=0.0),
    optim=OptimConfig(lr=4e-4, min_lr=0.0, weight_decay=0.0),
    valid=ValidConfig(threshold_quantile=0.5),
)
