"""A head on frozen embeddings."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.config import FeatureConfig, require
from core.embeddings.cards import read_embedding_card
from core.embeddings.front_end import Embedder
from core.models.base import Augment, Output, SpeciesModel
from core.models.pooling import pool_logits
from experiments.probe_015.config import ProbeConfig

START_SCALE, START_BIAS = 10.0, -4.0  # of a prototype's cosine: a chance of 2 % where it is 0


class Prototypes(nn.Module):
    """Cosine of an embedding to a prototype a species, scaled.

    Parameters
    ----------
    size
        Numbers in an embedding.
    num_species
        Classes.
    """

    def __init__(self, size: int, num_species: int) -> None:
        super().__init__()
        self.prototype = nn.Parameter(torch.randn(num_species, size) / size**0.5)
        self.scale = nn.Parameter(torch.full((num_species,), START_SCALE))
        self.bias = nn.Parameter(torch.full((num_species,), START_BIAS))

    def forward(self, embedding: Tensor) -> Tensor:
        """Return the logits (..., species) of embeddings (..., size)."""
        unit = functional.normalize(embedding, dim=-1)
        return self.scale * functional.linear(unit, functional.normalize(self.prototype)) + self.bias


class Probe(SpeciesModel):
    """A head on the embeddings of a clip's windows.

    Parameters
    ----------
    config
        The pretrained network, and the head.
    features
        `sample_rate`, which must be the network's, and `scale`, how each number is normalised.
    num_species
        Classes.

    Raises
    ------
    ValueError
        If the pretrained network cannot be had, or takes another sample rate.
    """

    def __init__(self, config: ProbeConfig, features: FeatureConfig, num_species: int) -> None:
        card = read_embedding_card(config.card, config.file, config.hop_seconds)
        require(
            card.sample_rate == features.sample_rate,
            f"features.sample_rate={features.sample_rate}: {card.name} hears {card.sample_rate} Hz; use "
            f"--features.sample_rate={card.sample_rate}",
        )
        embedder = Embedder(card)
        super().__init__(replace(features, num_mels=embedder.size), embedder)
        self.pool = config.pool
        self.head = build_head(config, embedder.size, num_species)

    def forward(self, wave: Tensor, num_parts: int = 1, augment: Augment | None = None) -> Output:
        """Return the logits of waves (batch, sample), or of frames (batch, frame, number)."""
        if wave.ndim == 3:
            embedding = wave[..., : self.front_end.size]  # logits of classes may follow
            return self.from_mels(embedding.transpose(1, 2).unsqueeze(1), 1, augment)
        return super().forward(wave, num_parts, augment)

    def classify(self, parts: Tensor) -> Output:
        """Return the logits from normalised embeddings (batch, part, 1, size, frame)."""
        frames = parts.squeeze(2).transpose(2, 3).flatten(1, 2)
        logit = self.head(frames)
        return Output(pool_logits(logit, self.pool), logit, logit.shape[1])


def build_head(config: ProbeConfig, size: int, num_species: int) -> nn.Module:
    """Return the layers from an embedding (..., size) to logits (..., species).

    Parameters
    ----------
    config
        Which head.
    size
        Numbers in an embedding.
    num_species
        Classes.
    """
    dropout = nn.Dropout(config.dropout)
    if config.head == "prototype":
        return nn.Sequential(dropout, Prototypes(size, num_species))
    if config.head == "mlp":
        hidden = [nn.Linear(size, config.hidden), nn.GELU(), nn.Dropout(config.dropout)]
        return nn.Sequential(dropout, *hidden, nn.Linear(config.hidden, num_species))
    return nn.Sequential(dropout, nn.Linear(size, num_species))
