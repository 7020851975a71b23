"""The convolutional front of the recurrent and attention networks, as in the DCASE baselines.

Seven blocks of convolution, batch norm, activation, dropout and mean pooling on spectrograms whose axes are
(frame, mel). The originals write batch norm with momentum 0.99, which is Keras's meaning of the word: in
torch it would make the running statistics those of the last batch, so it is 0.01 here.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn


def plain_convolution(_block: int, channels_in: int, channels_out: int) -> nn.Module:
    """Return a 3 x 3 convolution with bias, for any block.

    Parameters
    ----------
    channels_in, channels_out
        Channels.
    """
    return nn.Conv2d(channels_in, channels_out, 3, padding=1)


class ConvolutionStack(nn.Module):
    """Blocks of convolution, batch norm, activation, dropout and mean pooling.

    Parameters
    ----------
    filters
        Channels that each block gives.
    pool_sizes
        (frames, mels) that each block pools.
    dropout
        After each activation.
    convolution
        (block, channels in, channels out) -> a layer that keeps height and width.
    activation
        Channels -> a layer; None: ReLU.
    """

    def __init__(
        self,
        filters: Sequence[int],
        pool_sizes: Sequence[tuple[int, int]],
        dropout: float,
        convolution: Callable[[int, int, int], nn.Module] = plain_convolution,
        activation: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(
                OrderedDict(
                    conv=convolution(block, before, after),
                    norm=nn.BatchNorm2d(after, eps=1e-3, momentum=0.01),
                    activation=activation(after) if activation else nn.ReLU(),
                    dropout=nn.Dropout(dropout),
                    pool=nn.AvgPool2d(pool_size),
                )
            )
            for block, ((before, after), pool_size) in enumerate(
                zip(pairwise((1, *filters)), pool_sizes, strict=True)
            )
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return (batch, segment, channel) from (batch, 1, frame, mel); the mels left are averaged."""
        frames, mels = images.shape[2:]
        try:
            for block in self.blocks:
                images = block(images)
        except RuntimeError as error:
            if "too small" not in str(error):
                raise
            message = (
                f"model.pool_sizes: the blocks pool more than the {frames} frames and {mels} mels of a part; "
                "pool less, or raise features.num_mels or data.part_seconds"
            )
            raise ValueError(message) from error
        return images.mean(dim=3).transpose(1, 2)


def sequences_of(parts: Tensor) -> Tensor:
    """Return (batch * part, 1, frame, mel), the axes of these networks, from (batch, part, 1, mel, frame)."""
    return parts.flatten(0, 1).transpose(2, 3)


def join_sequences(sequences: Tensor, batch: int) -> Tensor:
    """Return (batch, part * segment, channel), part after part, from (batch * part, segment, channel)."""
    return sequences.unflatten(0, (batch, -1)).flatten(1, 2)
