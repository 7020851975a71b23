"""conformer: convolutions and conformer blocks on parts, after m-koichi/ConformerSED.

The front end is that of timm_007 instead of the original's 16 kHz one; warm-up, a lower learning rate,
weight decay and the loss are what conformer_001 to conformer_005 of Choiuijin1125/bclef2022 lacked.
"""

import dataclasses
from dataclasses import dataclass
from typing import Literal, Self

from core.config import Config, DataConfig, LossConfig, ModelConfig, OptimConfig, require, require_probability


@dataclass(frozen=True, kw_only=True)
class ConformerConfig(ModelConfig):
    """Seven convolution blocks, conformer blocks over the segments of a part, a head."""

    filters: tuple[int, ...] = (16, 32, 64, 128, 128, 128, 128)
    """Channels of each convolution block."""
    pool_sizes: tuple[tuple[int, int], ...] = ((2, 2), (2, 2), (2, 2), (1, 2), (1, 2), (1, 2), (1, 2))
    """(frames, mels) that each block pools; the original's last one, for 64 mels, is (1, 1)."""
    num_blocks: int = 3
    """Conformer blocks."""
    width: int = 144
    """Channels of a block."""
    num_heads: int = 4
    """Heads of the self-attention."""
    feed_forward: int = 576
    """Hidden units of the feed-forward modules."""
    kernel_size: int = 7
    """Segments that the convolution module sees, odd."""
    dropout: float = 0.1
    """Everywhere."""
    attention: Literal["absolute", "relative", "relative_causal"] = "absolute"
    """Positions: in the input only; relative ones too; or the original's relative shift, which is wrong
    for segments after the present one (for parity)."""
    head: Literal["shared", "class_attention", "token"] = "shared"
    """The attention head of timm_007; the original's softmax over species; or its tag token, one a part."""
    token_pool: Literal["mean", "max"] = "mean"
    """How the tag logits of the parts become the clip's."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require_probability("model.dropout", self.dropout)
        require(
            len(self.filters) == len(self.pool_sizes),
            f"model.filters has {len(self.filters)} blocks but model.pool_sizes {len(self.pool_sizes)}",
        )
        require(
            self.width % self.num_heads == 0 and self.width % 2 == 0,
            f"model.width={self.width}: an even multiple of model.num_heads={self.num_heads}",
        )
        require(self.kernel_size % 2 == 1, f"model.kernel_size={self.kernel_size}: must be odd")

    def shortened(self) -> Self:
        """Return a network that learns from random weights in minutes on two cores."""
        return dataclasses.replace(
            self, filters=(16, 24, 32, 64, 64, 64, 64), width=96, feed_forward=192, num_blocks=2
        )


CONFIG = Config(
    name="conformer",
    for_few="timm_014",
    epochs=50,
    model=ConformerConfig(),
    data=DataConfig(batch_size=32),
    loss=LossConfig(kind="bce", label_smoothing=0.0),
    optim=OptimConfig(
        lr=1e-3,
        warmup_epochs=4.0,
        weight_decay=1e-2,
        decay_norm_and_bias=False,
        betas=(0.9, 0.98),
        max_grad_norm=5.0,
        ema_decay=0.99,
    ),
)
