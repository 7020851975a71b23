"""htsat: a Swin transformer on folded spectrograms, after RetroCirce/HTS-Audio-Transformer.

The front end is the original's 64 mels at hop 320, with HTK filters. A picture holds 512 frames (5.1 s)
instead of 1024, so that a part of 5 s is neither stretched nor cut; longer parts become several pictures.
Drop-path, weight decay, learning rate and warm-up are those of a transformer without pretrained weights.
"""

import dataclasses
from dataclasses import dataclass
from typing import Literal, Self

from core.config import (
    Config,
    DataConfig,
    FeatureConfig,
    LossConfig,
    ModelConfig,
    OptimConfig,
    require,
    require_probability,
)


@dataclass(frozen=True, kw_only=True)
class HtsatConfig(ModelConfig):
    """timm's Swin transformer on folded log-mels, with the token-semantic head."""

    backbone: str | None = None
    """A Swin of timm that gives sizes and pretrained weights, such as swin_tiny_patch4_window7_224.ms_in1k;
    None: the sizes below, random weights."""
    pretrained: bool | Literal["if_reachable"] = True
    """With `backbone`: start from its weights; "if_reachable": random ones when no hub answers."""
    embed_dim: int = 96
    """Channels of the first stage; each stage has twice those of the one before."""
    depths: tuple[int, ...] = (2, 2, 6, 2)
    """Blocks of each stage."""
    num_heads: tuple[int, ...] = (4, 8, 16, 32)
    """Heads of each stage."""
    window_size: int = 8
    """Side of an attention window in tokens."""
    drop_path: float = 0.2
    """Stochastic depth (the original's is 0.1)."""
    image_frames: int = 512
    """Frames in a picture; parts of another length are padded, and cut into several."""
    num_folds: int = 2
    """Rows that a picture's frames are folded into, one above the other."""
    frequency_embedding: bool = True
    """Add a learned vector per band to the first tokens: without, they know no frequency but by their
    neighbours (the original)."""
    fit: Literal["pad", "stretch"] = "pad"
    """How short parts fill a picture: their last frame repeated, or the original's bicubic stretch."""
    head: Literal["token_semantic", "shared"] = "token_semantic"
    """The original's convolution over the tokens and their mean, or the attention head of timm_007."""
    dropout: float = 0.1
    """In the shared head."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require_probability("model.drop_path", self.drop_path)
        require_probability("model.dropout", self.dropout)
        require(
            len(self.depths) == len(self.num_heads),
            f"model.depths has {len(self.depths)} stages but model.num_heads {len(self.num_heads)}",
        )
        require(
            self.image_frames % self.num_folds == 0,
            f"model.image_frames={self.image_frames}: not a multiple of model.num_folds={self.num_folds}",
        )

    def shortened(self) -> Self:
        """Return a network that learns from random weights in minutes on two cores."""
        return dataclasses.replace(
            self, backbone=None, embed_dim=24, depths=(1, 1, 2, 1), num_heads=(2, 4, 8, 16), drop_path=0.0
        )


CONFIG = Config(
    name="htsat",
    for_few="timm_014",
    epochs=100,
    features=FeatureConfig(n_fft=1024, hop_length=320, num_mels=64),
    model=HtsatConfig(),
    data=DataConfig(batch_size=32),
    loss=LossConfig(kind="bce", label_smoothing=0.0),
    optim=OptimConfig(
        lr=1e-3,
        warmup_epochs=5.0,
        weight_decay=0.05,
        decay_norm_and_bias=False,
        max_grad_norm=5.0,
        ema_decay=0.99,
    ),
)
