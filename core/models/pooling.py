"""Pooling over segments: the attention heads of the SED networks, and generalised mean pooling.

The head is AttBlockV2 of the PANNs-style SED baselines as Choiuijin1125/bclef2022 ran it: it pools logits,
where PANNs pools probabilities. The tanh bounds the attention scores to [-1, 1], so that no segment weighs
more than e^2 = 7.4 times another.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class AttentionHead(nn.Module):
    """Per-species attention over segments, with dropout before and after a hidden layer."""

    def __init__(self, num_features: int, num_species: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(num_features, num_features)
        self.pool = AttentionPool(num_features, num_species)
        nn.init.xavier_uniform_(self.hidden.weight)
        nn.init.zeros_(self.hidden.bias)

    def forward(self, segments: Tensor) -> tuple[Tensor, Tensor]:
        """Return (batch, species) and (batch, segment, species) logits from (batch, channel, segment)."""
        smooth = functional.max_pool1d(segments, 3, 1, 1) + functional.avg_pool1d(segments, 3, 1, 1)
        hidden = functional.relu(self.hidden(self.dropout(smooth.transpose(1, 2))))
        return self.pool(self.dropout(hidden).transpose(1, 2))


def pool_logits(logit: Tensor, how: str) -> Tensor:
    """Return the logits of clips, (batch, species), from those of their segments.

    Parameters
    ----------
    logit
        (batch, segment, species).
    how
        "mean", "max", or "softmax": the mean weighted by exp(logit).
    """
    if how == "max":
        return logit.amax(dim=1)
    if how == "mean":
        return logit.mean(dim=1)
    return (functional.softmax(logit, dim=1) * logit).sum(dim=1)


class AttentionPool(nn.Module):
    """Attention-weighted mean of segment logits; AttBlockV2 without its sigmoid."""

    def __init__(self, num_features: int, num_species: int) -> None:
        super().__init__()
        self.attention = nn.Conv1d(num_features, num_species, 1)
        self.classifier = nn.Conv1d(num_features, num_species, 1)
        for layer in (self.attention, self.classifier):
            nn.init.xavier_uniform_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, segments: Tensor) -> tuple[Tensor, Tensor]:
        """Return clip and segment logits, as `AttentionHead`, float32."""
        attention = torch.softmax(torch.tanh(self.attention(segments).float()), dim=-1)
        logit = self.classifier(segments).float()  # (batch, species, segment)
        return (attention * logit).sum(dim=-1), logit.transpose(1, 2)


class ClassAttentionPool(nn.Module):
    """Weak pooling of the DCASE baselines: segment probabilities weighted by a softmax over the species.

    As in FDY-SED and ConformerSED: the weight of a segment is the share that a species has among all species
    there, normalised over time. The clip's probability comes back as a logit, computed in float32 and with
    the probability kept 1e-6 from 0 and 1, where the originals return inf.
    """

    def __init__(self, num_features: int, num_species: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(num_features, num_species)
        self.attention = nn.Linear(num_features, num_species)

    def forward(self, segments: Tensor) -> tuple[Tensor, Tensor]:
        """Return clip and segment logits, as `AttentionHead`, float32."""
        sequence = segments.transpose(1, 2)
        logit = self.classifier(sequence).float()
        share = torch.softmax(self.attention(sequence).float(), dim=-1).clamp(min=1e-7)
        probability = (torch.sigmoid(logit) * share).sum(dim=1) / share.sum(dim=1)
        return torch.logit(probability, eps=1e-6), logit


class GeM(nn.Module):
    """Generalised mean with a learned exponent (1 is the mean, infinity the maximum), always float32."""

    def __init__(self, exponent: float = 3.0) -> None:
        super().__init__()
        self.exponent = nn.Parameter(torch.tensor([exponent]))
        self.floor = 1e-6

    def powers(self, maps: Tensor) -> Tensor:
        """Return each value to the power of the exponent, of the same shape; their mean has `root`."""
        return maps.float().clamp(min=self.floor).pow(self.exponent)

    def root(self, mean: Tensor) -> Tensor:
        """Return the generalised mean from the mean of `powers`."""
        return mean.pow(1.0 / self.exponent)
