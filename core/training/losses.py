"""Binary losses over species, rating-weighted, always float32.

The focal form is that of Choiuijin1125/bclef2022: focal factors times the whole cross-entropy, weight 1 (not
1 - alpha) on negatives. Its 2-way variant adds the loss of the loudest frame; in the original that term was
commented out, here `frame_term_weight` brings it back.
"""

import torch
from torch import Tensor
from torch.nn import functional

from core.config import LossConfig
from core.models.base import Output


def focal_terms(logit: Tensor, target: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Return the focal loss of every logit, of the same shape as `logit`, float32.

    (alpha y (1 - p)^gamma + (1 - y) p^gamma) * cross-entropy(logit, y), for soft targets y too.

    Parameters
    ----------
    logit, target
        Of one shape; targets lie in [0, 1].
    alpha
        Weight of the positive term.
    gamma
        Exponent of the focal factors; 0 is plain cross-entropy with positives weighted by `alpha`.
    """
    logit, target = logit.float(), target.float()
    probability = torch.sigmoid(logit)
    entropy = functional.binary_cross_entropy_with_logits(logit, target, reduction="none")
    positive = alpha * target * (1.0 - probability) ** gamma
    negative = (1.0 - target) * probability**gamma
    return (positive + negative) * entropy


def recording_loss(logit: Tensor, target: Tensor, mask: Tensor, config: LossConfig) -> Tensor:
    """Return the mean loss of each recording over the species that its mask keeps, (batch,) float32.

    Parameters
    ----------
    logit, target, mask
        (batch, species).
    config
        Kind of loss.
    """
    if config.kind == "focal":
        terms = focal_terms(logit, target, config.focal_alpha, config.focal_gamma)
    else:
        terms = functional.binary_cross_entropy_with_logits(logit.float(), target.float(), reduction="none")
    return (terms * mask).sum(dim=1) / mask.sum(dim=1).clamp_min(1.0)


def species_loss(output: Output, target: Tensor, mask: Tensor, weight: Tensor, config: LossConfig) -> Tensor:
    """Return the loss of a batch: the weighted mean over recordings, a float32 scalar.

    Parameters
    ----------
    output
        Logits of clips and segments.
    target, mask
        (batch, species).
    weight
        (batch,) from the ratings, at least 0.1 each.
    config
        Kind of loss and weight of the frame term.
    """
    with torch.autocast(target.device.type, enabled=False):
        losses = recording_loss(output.clip_logit, target, mask, config)
        if config.frame_term_weight > 0:
            loudest = output.frame_logit.amax(dim=1)
            losses = losses + config.frame_term_weight * recording_loss(loudest, target, mask, config)
        weight = weight.float()
        return (losses * weight).sum() / weight.sum()


def smooth_labels(target: Tensor, amount: float) -> Tensor:
    """Return targets raised by `amount` and clipped at 1, the original's smoothing, of the same shape."""
    return (target + amount).clamp_max(1.0)
