"""The network of the BirdCLEF 2021 second place (ps_model_9): GeM over the maps of all parts.

A clip is cut into parts, the backbone sees each as a picture with time first, and generalised mean pooling
runs over the maps of all parts at once. The original trains on six parts and predicts single ones;
here the number of parts is an argument, and both are the same code.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from core.config import FeatureConfig, GemConfig
from core.models.backbones import create_backbone, feature_map, num_features
from core.models.base import Output, SpeciesModel, concatenate_parts
from core.models.originals import FRONT_END
from core.models.pooling import GeM


class GemNet(SpeciesModel):
    """A timm backbone on parts, generalised mean pooling over all of them, a linear head.

    The logit of a segment is that of the head on the pooled mels of one step of the map's time.

    Weights of ps_model_9's `Net` fit one built with `FeatureConfig(n_fft=1024, hop_length=320,
    scale="affine")`, or the front end of the recording. In training the original's parts are `num_parts`
    here; in evaluation each of its parts is a clip of one part.
    """

    original_names: ClassVar = {"global_pool.p": "pool.exponent", **FRONT_END}

    def __init__(self, config: GemConfig, features: FeatureConfig, num_species: int) -> None:
        super().__init__(features)
        self.backbone = create_backbone(
            config.backbone, config.pretrained, drop_path=config.drop_path, recompute=config.recompute
        )
        self.pool = GeM(config.exponent)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(num_features(self.backbone), num_species)

    def classify(self, parts: Tensor) -> Output:
        """Return the logits from normalised log-mels (batch, part, 1, mel, frame)."""
        batch, num_parts, _, _, num_frames = parts.shape
        maps = feature_map(self.backbone, parts.flatten(0, 1).transpose(2, 3))
        maps = concatenate_parts(maps, batch)  # (batch, channel, part * time', mel')
        with torch.autocast(maps.device.type, enabled=False):
            powers = self.pool.powers(maps).mean(dim=3)
            segments, clip = self.pool.root(powers), self.pool.root(powers.mean(dim=2))
            clip_logit = self.head(self.dropout(clip))
            segment_logit = self.head(segments.transpose(1, 2))
        return Output(clip_logit, segment_logit, num_parts * num_frames)
