"""The bird / no-call network of the BirdCLEF 2021 second place (pp_ch_att_seg4, ch_att_seg2)."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from core.config import FeatureConfig
from core.models.backbones import create_backbone, feature_map, num_features
from core.models.base import Output, SpeciesModel
from core.models.convolutions import join_sequences, sequences_of
from core.models.originals import FRONT_END
from experiments.nocall.config import NocallConfig


class NocallNet(SpeciesModel):
    """A timm backbone on pictures with time first, one attention over the time of all parts.

    The original scales dB by (dB + 80) / 80 before its instance norm, which undoes it but for the norm's
    1e-5; with its weights, mels scaled so go to `from_mels`.
    """

    original_names: ClassVar = {"att.": "attention.", "global_pool.": None, **FRONT_END}  # pooling never used

    def __init__(self, config: NocallConfig, features: FeatureConfig, num_species: int) -> None:
        super().__init__(features)
        self.backbone = create_backbone(
            config.backbone, config.pretrained, drop_path=config.drop_path, recompute=config.recompute
        )
        channels = num_features(self.backbone)
        self.attention = nn.Sequential(
            nn.Linear(channels, config.hidden), nn.ReLU(), nn.Linear(config.hidden, 1)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(channels, num_species)

    def classify(self, parts: Tensor) -> Output:
        """Return the logits from normalised log-mels (batch, part, 1, mel, frame)."""
        batch, num_parts, _, _, num_frames = parts.shape
        maps = feature_map(self.backbone, sequences_of(parts))
        segments = join_sequences(maps.mean(dim=3).transpose(1, 2), batch)  # (batch, segment, channel)
        share = torch.softmax(self.attention(segments).float(), dim=1)
        pooled = (segments * share).sum(dim=1)
        clip_logit, segment_logit = self.head(self.dropout(pooled)), self.head(segments)
        return Output(clip_logit.float(), segment_logit.float(), num_parts * num_frames)
