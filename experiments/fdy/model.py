"""Frequency dynamic convolution CRNN, written anew after frednam93/FDY-SED (Nam et al., Interspeech 2022)."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.config import FeatureConfig
from core.models.base import Output, SpeciesModel
from core.models.convolutions import (
    ConvolutionStack,
    join_sequences,
    plain_convolution,
    sequences_of,
)
from core.models.originals import load_renamed
from core.models.pooling import AttentionHead, ClassAttentionPool
from experiments.fdy.config import FdyConfig

DYNAMIC_NAMES = {"conv1d1": "0", "bn": "1", "conv1d2": "3"}
"""The original's names of the attention's layers in a dynamic convolution -> ours."""


class FdyCrnn(SpeciesModel):
    """Dynamic convolutions, a GRU over the segments of a part, a head over the segments of all parts.

    Weights of FDY-SED's `CRNN` fit one built with `FdyConfig(head="class_attention")` and the sizes of the
    recording; temperatures and the normalisation of the mels stay. Normalised log-mels go to `classify` as
    (batch, 1, 1, mel, frame); the original's weak and strong probabilities are the sigmoids of clip and
    segment logits.
    """

    original_names: ClassVar = {
        **{
            rf"cnn\.cnn\.conv(\d+)\.attention\.{theirs}\.": rf"cnn.blocks.\1.conv.attention.{own}."
            for theirs, own in DYNAMIC_NAMES.items()
        },
        r"cnn\.cnn\.conv(\d+)\.": r"cnn.blocks.\1.conv.",
        r"cnn\.cnn\.batchnorm(\d+)\.": r"cnn.blocks.\1.norm.",
        r"cnn\.cnn\.cg(\d+)\.": r"cnn.blocks.\1.activation.",
        "rnn.rnn.": "rnn.",
        r"dense\.": "head.classifier.",
        "dense_softmax.": "head.attention.",
    }

    def __init__(self, config: FdyConfig, features: FeatureConfig, num_species: int) -> None:
        super().__init__(features)

        def convolution(block: int, channels_in: int, channels_out: int) -> nn.Module:
            if block < config.first_dynamic:
                return plain_convolution(block, channels_in, channels_out)
            return FrequencyDynamicConv(channels_in, channels_out, config.num_kernels, config.temperature)

        self.cnn = ConvolutionStack(
            config.filters, config.pool_sizes, config.dropout, convolution, _ContextGating
        )
        self.rnn = nn.GRU(
            config.filters[-1], config.rnn_width, config.rnn_layers, batch_first=True, bidirectional=True
        )
        self.dropout = nn.Dropout(config.dropout)
        width = 2 * config.rnn_width
        if config.head == "shared":
            self.head: nn.Module = AttentionHead(width, num_species, config.dropout)
        else:
            self.head = ClassAttentionPool(width, num_species)

    def classify(self, parts: Tensor) -> Output:
        """Return the logits from normalised log-mels (batch, part, 1, mel, frame)."""
        batch, num_parts, _, _, num_frames = parts.shape
        sequence, _ = self.rnn(self.cnn(sequences_of(parts)))
        segments = join_sequences(self.dropout(sequence), batch)
        clip_logit, segment_logit = self.head(segments.transpose(1, 2))
        return Output(clip_logit, segment_logit, num_parts * num_frames)

    def set_temperature(self, temperature: float) -> None:
        """Set the temperature of every dynamic convolution; it is saved with the weights."""
        for layer in self.modules():
            if isinstance(layer, FrequencyDynamicConv):
                layer.temperature.fill_(temperature)

    def load_original(self, weights: Mapping[str, Tensor]) -> None:
        """Load an original's weights, its axes of basis kernels and channels joined."""
        joined = {name: value.flatten(0, 1) if value.ndim == 5 else value for name, value in weights.items()}
        load_renamed(self, joined, self.original_names, r"^scaler\.|\.temperature$")


class FrequencyDynamicConv(nn.Module):
    """A 3 x 3 convolution whose kernel differs by mel: a mixture of basis kernels, chosen from the input.

    The mixture depends on the mel, so the kernels cannot be merged before the convolution: one convolution
    with all of them runs, then the weighted sum.
    """

    temperature: Tensor

    def __init__(self, channels_in: int, channels_out: int, num_kernels: int, temperature: float) -> None:
        super().__init__()
        self.num_kernels = num_kernels
        self.weight = nn.Parameter(torch.empty(num_kernels * channels_out, channels_in, 3, 3))
        nn.init.kaiming_normal_(self.weight)  # its deviation depends on the channels that come in only
        hidden = max(channels_in // 4, 4)
        self.attention = nn.Sequential(
            nn.Conv1d(channels_in, hidden, 3, padding=1, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Conv1d(hidden, num_kernels, 1),
        )
        for layer in self.attention:
            if isinstance(layer, nn.Conv1d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        self.register_buffer("temperature", torch.tensor(temperature))

    def shares(self, images: Tensor) -> Tensor:
        """Return the share of each basis kernel at each mel, (batch, kernel, mel) float32."""
        return torch.softmax(self.attention(images.mean(dim=2)).float() / self.temperature, dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """Return (batch, channel out, frame, mel) from (batch, channel in, frame, mel)."""
        shares = self.shares(images)
        basis = functional.conv2d(images, self.weight, padding=1)
        basis = basis.unflatten(1, (self.num_kernels, -1))  # (batch, kernel, channel, frame, mel)
        return (basis * shares.to(basis.dtype)[:, :, None, None, :]).sum(dim=1)


class _ContextGating(nn.Module):
    """Each value times the sigmoid of a linear map of the channels at its place.

    The map starts as the identity, so that the gate starts as SiLU: from small random values it is nearly
    constant, seven blocks of it are nearly linear, and their mean pooling cancels what they find.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, channels)
        nn.init.eye_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return (batch, channel, frame, mel) of the same shape."""
        weight = self.linear.weight[:, :, None, None]
        return images * torch.sigmoid(functional.conv2d(images, weight, self.linear.bias))
