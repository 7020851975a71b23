"""A backbone on parts whose segments are projected to embeddings."""

from torch import Tensor, nn
from torch.nn import functional

from core.config import FeatureConfig
from core.models.backbones import create_backbone, feature_map, num_features
from core.models.base import Output, SpeciesModel, concatenate_parts
from core.models.pooling import pool_logits
from experiments.distil_016.config import DistilledConfig


class Distilled(SpeciesModel):
    """A backbone, a projection to embeddings, and a linear layer on the embeddings of segments.

    Parameters
    ----------
    config
        Backbone, weights, size of the embedding, dropout.
    features
        The front end.
    num_species
        Classes.

    Attributes
    ----------
    labels_teach_all
        Whether the gradient of logits goes beyond the last layer, into embedding and backbone.
    """

    def __init__(self, config: DistilledConfig, features: FeatureConfig, num_species: int) -> None:
        super().__init__(features)
        self.labels_teach_all = True
        self.backbone = create_backbone(
            config.backbone, config.pretrained, drop_path=config.drop_path, recompute=config.recompute
        )
        channels = num_features(self.backbone)
        self.projection = nn.Linear(channels, config.embedding_size)
        self.norm = nn.LayerNorm(config.embedding_size)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.embedding_size, num_species)

    def classify(self, parts: Tensor) -> Output:
        """Return logits and embedding from normalised log-mels (batch, part, 1, mel, frame)."""
        batch, num_parts, _, _, num_frames = parts.shape
        maps = feature_map(self.backbone, parts.flatten(0, 1)).mean(dim=2)
        segments = self.projection(concatenate_parts(maps, batch).transpose(1, 2))  # (batch, segment, number)
        heard = segments if self.labels_teach_all else segments.detach()
        logit = self.head(self.dropout(self.norm(heard)))
        clip_logit = pool_logits(logit, "softmax")
        return Output(clip_logit, logit, num_parts * num_frames, functional.normalize(segments.mean(dim=1)))
