"""Self-attention with relative positions, as in Transformer-XL, for segments on both sides."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class RelativeAttention(nn.Module):
    """Multi-head self-attention whose scores know the distance between segments.

    The score of query i and key j is [(q_i + u) k_j + (q_i + v) R(i - j)] / sqrt(channels of a head), with
    learned u and v and R a linear map of sinusoids. Takes the place of torch's `MultiheadAttention` in a
    torchaudio conformer block.

    `causal` repeats ConformerSED's shift, which knows distances of 0 and more only. It is right for keys at
    or before the query; the key right after it gets no position, and key j > i + 1 gets the position score of
    query i + 1 at distance T + 1 - (j - i).
    """

    def __init__(self, width: int, num_heads: int, dropout: float = 0.0, *, causal: bool = False) -> None:
        super().__init__()
        self.num_heads, self.causal = num_heads, causal
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.position = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.content_bias = nn.Parameter(torch.zeros(num_heads, width // num_heads))
        self.position_bias = nn.Parameter(torch.zeros(num_heads, width // num_heads))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: None = None, **_: object
    ) -> tuple[Tensor, None]:
        """Return (segment, batch, width) from the same `query`, `key` and `value`, and None for the weights.

        Raises
        ------
        ValueError
            If a padding mask is given, or keys that are not the queries.
        """
        if key_padding_mask is not None or key is not query or value is not query:
            message = "RelativeAttention: self-attention without a padding mask only"
            raise ValueError(message)
        length = len(query)
        heads = (3, self.num_heads, -1)
        q, k, v = self.query_key_value(query).unflatten(-1, heads).permute(2, 1, 3, 0, 4)
        # each of the three has the axes batch, head, segment, channel
        lowest = 0 if self.causal else 1 - length
        distances = torch.arange(length - 1, lowest - 1, -1, device=query.device)
        table = self.position(sinusoids(distances, query.shape[-1]).to(query.dtype))
        table = table.unflatten(-1, (self.num_heads, -1)).permute(1, 2, 0)  # (head, channel, distance)
        content = (q + self.content_bias[:, None]) @ k.transpose(-1, -2)
        position = _shift((q + self.position_bias[:, None]) @ table)[..., :length]
        scores = (content + position).float() / math.sqrt(q.shape[-1])
        mixed = self.dropout(torch.softmax(scores, dim=-1)).to(v.dtype) @ v
        return self.output(mixed.permute(2, 0, 1, 3).flatten(2)), None


def _shift(scores: Tensor) -> Tensor:
    """Return scores (..., query, key) from scores by distance, falling from query - 1.

    Row i moves left by (rows - 1 - i).

    What leaves a row on the left comes back at the end of the row before it, after one zero: with as many
    distances as keys, that is the causal rule; with 2 rows - 1 distances no such value is in the first
    `rows` columns.
    """
    rows, columns = scores.shape[-2:]
    padded = functional.pad(scores, (1, 0)).reshape(*scores.shape[:-2], columns + 1, rows)
    return padded[..., 1:, :].reshape(*scores.shape[:-2], rows, columns)


def sinusoids(positions: Tensor, width: int) -> Tensor:
    """Return (position, width) float32: sines, then cosines, of wavelengths from 2 pi to 20,000 pi."""
    rates = torch.exp(torch.arange(0, width, 2, device=positions.device) * (-math.log(10000.0) / width))
    angles = positions[:, None].float() * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
