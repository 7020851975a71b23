"""fdy: a recurrent network on frequency dynamic convolutions, after frednam93/FDY-SED.

The front end is that of timm_007 instead of the original's 16 kHz one; learning rate, warm-up, gradient
clipping and the loss are chosen for some ten thousand clips and no teacher.
"""

import dataclasses
from dataclasses import dataclass
from typing import Literal, Self

from core.config import Config, DataConfig, LossConfig, ModelConfig, OptimConfig, require, require_probability


@dataclass(frozen=True, kw_only=True)
class FdyConfig(ModelConfig):
    """Seven convolution blocks, the first of them plain, two bidirectional GRU layers, a head."""

    filters: tuple[int, ...] = (32, 64, 128, 256, 256, 256, 256)
    """Channels of each block."""
    pool_sizes: tuple[tuple[int, int], ...] = ((2, 2), (2, 2), (1, 2), (1, 2), (1, 2), (1, 2), (1, 2))
    """(frames, mels) that each block pools."""
    first_dynamic: int = 1
    """The first block whose convolution is frequency dynamic; those before it are plain."""
    num_kernels: int = 4
    """Basis kernels of a dynamic convolution."""
    temperature: float = 31.0
    """Of the softmax over basis kernels; at 31 they are nearly averaged, at 1 nearly chosen."""
    end_temperature: float | None = None
    """Temperature of the last epoch, reached in equal steps; None: it stays."""
    rnn_width: int = 256
    """Units of the GRU per direction."""
    rnn_layers: int = 2
    """Layers of the GRU."""
    dropout: float = 0.3
    """After each block and after the GRU (the original's is 0.5)."""
    head: Literal["shared", "class_attention"] = "shared"
    """The attention head of timm_007, or the original's softmax over species."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require_probability("model.dropout", self.dropout)
        require(
            len(self.filters) == len(self.pool_sizes),
            f"model.filters has {len(self.filters)} blocks but model.pool_sizes {len(self.pool_sizes)}",
        )
        require(self.num_kernels >= 1, f"model.num_kernels={self.num_kernels}: at least 1")
        for name in ("temperature", "end_temperature"):
            value = getattr(self, name)
            require(value is None or value > 0, f"model.{name}={value}: must be positive")

    def temperature_at(self, progress: float) -> float:
        """Return the temperature of an epoch, `progress` from 0 (first) to 1 (last)."""
        end = self.temperature if self.end_temperature is None else self.end_temperature
        return self.temperature + progress * (end - self.temperature)

    def shortened(self) -> Self:
        """Return a network that learns from random weights in minutes on two cores."""
        return dataclasses.replace(self, filters=(16, 24, 32, 48, 64, 64, 64), rnn_width=64, dropout=0.1)


CONFIG = Config(
    name="fdy",
    for_few="timm_014",
    epochs=40,
    model=FdyConfig(),
    data=DataConfig(batch_size=32),
    loss=LossConfig(kind="bce", label_smoothing=0.0),
    optim=OptimConfig(lr=1e-3, warmup_epochs=2.0, max_grad_norm=5.0, ema_decay=0.99),
)
