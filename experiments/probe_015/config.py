"""probe_015: a small head on the frozen embeddings of a pretrained bird model.

What a lab tries first: BirdNET or Perch hears the windows once, and what is trained takes seconds. A clip is
what a window of a soundscape is, 5 s. Binary cross-entropy without smoothing; mixup mixes embeddings.
"""

from dataclasses import dataclass
from typing import Literal

from core.config import (
    Config,
    FeatureConfig,
    LossConfig,
    MixupConfig,
    ModelConfig,
    OptimConfig,
    SpecAugmentConfig,
    require,
    require_probability,
)
from core.config_data import DataConfig, NoiseConfig


@dataclass(frozen=True, kw_only=True)
class ProbeConfig(ModelConfig):
    """A head on embeddings, and the pretrained network that they come from."""

    card: str = "birdnet_2.4"
    """Card of the pretrained network: a name in core/embeddings/cards, or a .json file."""
    file: str | None = None
    """The network's file (ONNX or LiteRT), where it is not the card's."""
    hop_seconds: float | None = None
    """Step from one window of the network to the next; None: the card's."""
    head: Literal["linear", "mlp", "prototype"] = "linear"
    """One weight a species and number, a hidden layer before it, or the cosine to a learnt prototype."""
    hidden: int = 512
    """Units of the hidden layer of the "mlp"."""
    dropout: float = 0.1
    """Dropout of the embedding."""
    pool: Literal["mean", "max", "softmax"] = "softmax"
    """How the logits of a clip's windows become one: mean, maximum, or their mean weighted by exp(logit)."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require_probability("model.dropout", self.dropout)
        require(self.hidden >= 1, f"model.hidden={self.hidden}: at least 1")


CONFIG = Config(
    name="probe_015",
    epochs=30,
    model=ProbeConfig(),
    data=DataConfig(
        clip_seconds=5.0,
        valid_clip_seconds=10.0,
        short_clips="repeat",
        batch_size=32,
        valid_batch_size=64,
        min_epoch_steps=20,
        noise=NoiseConfig(probabilities=[]),  # the embedded audio is as it is
    ),
    features=FeatureConfig(sample_rate=48000, f_max_hz=None),
    mixup=MixupConfig(probability=0.5, selective_probability=0.0),
    spec_augment=SpecAugmentConfig(probability=0.0),
    loss=LossConfig(kind="bce", label_smoothing=0.0),
    optim=OptimConfig(lr=3e-3, warmup_epochs=1.0, weight_decay=1e-2, ema_decay=0.99),
)
