"""TimmSED on parts: the network of timm_001 to timm_009 of Choiuijin1125/bclef2022, written anew.

A clip of 30 s is cut into six parts; the backbone sees each as a picture, the attention head pools over the
segments of all parts. Differs from the original in `pool_axis`: there, the mean over the map's last axis
took away time, so that attention ran over frequency cells ("source"); here it runs over time.
"""

from typing import ClassVar

from torch import Tensor

from core.config import FeatureConfig, TimmConfig
from core.models.backbones import create_backbone, feature_map, num_features
from core.models.base import Output, SpeciesModel, concatenate_parts
from core.models.pooling import AttentionHead


class TimmSED(SpeciesModel):
    """A timm backbone on parts with the attention head.

    Weights of SelectivePartTimmSEDGPU (or TimmSEDGPU) fit one built with `TimmConfig(pool_axis="source")` and
    the original's front end.
    """

    original_names: ClassVar = {
        "bn0.": "scaler.norm.",
        "fc1.": "head.hidden.",
        "att_block.att.": "head.pool.attention.",
        "att_block.cla.": "head.pool.classifier.",
    }

    def __init__(self, config: TimmConfig, features: FeatureConfig, num_species: int) -> None:
        super().__init__(features)
        self.pool_axis = config.pool_axis
        self.backbone = create_backbone(
            config.backbone, config.pretrained, drop_path=config.drop_path, recompute=config.recompute
        )
        self.head = AttentionHead(num_features(self.backbone), num_species, config.dropout)

    def classify(self, parts: Tensor) -> Output:
        """Return the logits from normalised log-mels (batch, part, 1, mel, frame)."""
        batch, num_parts, _, _, num_frames = parts.shape
        maps = feature_map(self.backbone, parts.flatten(0, 1))  # (batch * part, channel, mel', time')
        averaged = 3 if self.pool_axis == "source" else 2
        segments = concatenate_parts(maps.mean(dim=averaged), batch)
        clip_logit, segment_logit = self.head(segments)
        return Output(clip_logit, segment_logit, num_parts * num_frames)
