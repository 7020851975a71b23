"""ConformerSED on torchaudio's conformer blocks, written anew after m-koichi/ConformerSED."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torchaudio.models.conformer import ConformerLayer

from core.config import FeatureConfig
from core.models.base import Output, SpeciesModel
from core.models.convolutions import ConvolutionStack, join_sequences, sequences_of
from core.models.originals import load_renamed
from core.models.pooling import AttentionHead, ClassAttentionPool
from experiments.conformer.attention import RelativeAttention, sinusoids
from experiments.conformer.config import ConformerConfig

BLOCK_NAMES = {
    "ffn1.feed_forward_module.": "ffn1.sequential.",
    "ffn2.feed_forward_module.": "ffn2.sequential.",
    "mhsa.layer_norm.": "self_attn_layer_norm.",
    "mhsa.r_w_bias": "self_attn.content_bias",
    "mhsa.r_r_bias": "self_attn.position_bias",
    "mhsa.qkv_net.": "self_attn.query_key_value.",
    "mhsa.o_net.": "self_attn.output.",
    "mhsa.r_net.": "self_attn.position.",
    "mhsa.pos_emb.inv_freq": None,
    "conv.conv.0.": "conv_module.layer_norm.",
    "conv.conv.1.conv.": "conv_module.sequential.0.",
    "conv.conv.3.conv.": "conv_module.sequential.2.",
    "conv.conv.5.": "conv_module.sequential.3.",
    "conv.conv.8.conv.": "conv_module.sequential.5.",
    "norm.": "final_layer_norm.",
}
"""How the parameters of the original's ConformerBlock become ours; relative attention has them all."""
ENCODER_NAMES = {
    rf"conformer_blocks\.(\d+)\.{theirs}": None if own is None else rf"blocks.\1.{own}"
    for theirs, own in BLOCK_NAMES.items()
} | {r"conformer_blocks\.(\d+)\.": r"blocks.\1.", r".*\.pe$": None}


class ConformerSED(SpeciesModel):
    """Convolutions, conformer blocks over the segments of a part, a head over the segments of all parts.

    Weights of ConformerSED's `SEDModel` fit one built with `ConformerConfig(attention="relative_causal",
    head="token")`, or "class_attention" for the original's attention pooling, and the sizes of the recording.
    Normalised log-mels go to `classify` as (batch, 1, 1, mel, frame); the original's weak and strong logits
    are clip and segment logits.
    """

    def __init__(self, config: ConformerConfig, features: FeatureConfig, num_species: int) -> None:
        super().__init__(features)
        self.config = config
        self.cnn = ConvolutionStack(config.filters, config.pool_sizes, config.dropout)
        self.encoder = ConformerEncoder(config, config.filters[-1])
        if config.head == "shared":
            self.head: nn.Module = AttentionHead(config.width, num_species, config.dropout)
        elif config.head == "class_attention":
            self.head = ClassAttentionPool(config.width, num_species)
        else:
            self.token = nn.Parameter(torch.randn(config.filters[-1]) / math.sqrt(config.filters[-1]))
            self.head = nn.Linear(config.width, num_species)

    def classify(self, parts: Tensor) -> Output:
        """Return the logits from normalised log-mels (batch, part, 1, mel, frame)."""
        batch, num_parts, _, _, num_frames = parts.shape
        sequence = self.cnn(sequences_of(parts))
        if self.config.head == "token":
            clip_logit, segment_logit = self._tagged(sequence, batch)
        else:
            segments = join_sequences(self.encoder(sequence), batch)
            clip_logit, segment_logit = self.head(segments.transpose(1, 2))
        return Output(clip_logit, segment_logit, num_parts * num_frames)

    def _tagged(self, sequence: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        """Return clip and segment logits with a tag token before the segments of every part."""
        token = self.token.to(sequence.dtype).expand(len(sequence), 1, -1)
        logits = self.head(self.encoder(torch.cat([token, sequence], dim=1))).float()
        tags = logits[:, 0].unflatten(0, (batch, -1))  # (batch, part, species)
        clip_logit = tags.amax(dim=1) if self.config.token_pool == "max" else tags.mean(dim=1)
        return clip_logit, join_sequences(logits[:, 1:], batch)

    def load_original(self, weights: Mapping[str, Tensor]) -> None:
        """Load an original's weights; its token is a linear map of the constant 1."""
        weights = dict(weights)
        if "linear_emb.weight" in weights:
            weights["token"] = weights.pop("linear_emb.weight").flatten() + weights.pop("linear_emb.bias")
        with_attention = isinstance(self.head, ClassAttentionPool)
        names = {
            **{rf"encoder\.{theirs}": own and f"encoder.{own}" for theirs, own in ENCODER_NAMES.items()},
            r"cnn\.cnn\.conv(\d+)\.": r"cnn.blocks.\1.conv.",
            r"cnn\.cnn\.batchnorm(\d+)\.": r"cnn.blocks.\1.norm.",
            "classifier.": "head.classifier." if with_attention else "head.",
            "dense.": "head.attention.",
        }
        load_renamed(self, weights, names, r"^scaler\.")


class ConformerEncoder(nn.Module):
    """Linear input layer, sinusoidal positions, conformer blocks."""

    def __init__(self, config: ConformerConfig, num_features: int) -> None:
        super().__init__()
        self.width = config.width
        self.input_layer = nn.Sequential(
            nn.Linear(num_features, config.width),
            nn.LayerNorm(config.width),
            nn.Dropout(config.dropout),
            nn.ReLU(),
        )
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(build_block(config) for _ in range(config.num_blocks))

    def embed(self, sequence: Tensor) -> Tensor:
        """Return the input of the first block, (batch, segment, width), from (batch, segment, channel)."""
        embedded = self.input_layer(sequence) * math.sqrt(self.width)
        positions = torch.arange(sequence.shape[1], device=sequence.device)
        table = sinusoids(positions, self.width).unflatten(1, (2, -1)).transpose(1, 2).flatten(1)
        return self.dropout(embedded + table.to(embedded))  # sines and cosines take turns

    def forward(self, sequence: Tensor) -> Tensor:
        """Return (batch, segment, width) from (batch, segment, channel)."""
        hidden = self.embed(sequence).transpose(0, 1)  # torchaudio's blocks take segments first
        for block in self.blocks:
            hidden = block(hidden, None)
        return hidden.transpose(0, 1)


def build_block(config: ConformerConfig) -> ConformerLayer:
    """Return torchaudio's conformer block, with relative attention where the configuration asks for it."""
    block = ConformerLayer(
        config.width, config.feed_forward, config.num_heads, config.kernel_size, config.dropout
    )
    if config.attention != "absolute":
        causal = config.attention == "relative_causal"
        block.self_attn = RelativeAttention(config.width, config.num_heads, config.dropout, causal=causal)
    return block
