"""Binary losses over species, always float32; `core.training.optim` weighs the clips of a step.

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
        Kind of loss; "soft_auc", which a recording alone does not have, counts as plain cross-entropy.
    """
    if config.kind == "focal":
        terms = focal_terms(logit, target, config.focal_alpha, config.focal_gamma)
    else:
        terms = functional.binary_cross_entropy_with_logits(logit.float(), target.float(), reduction="none")
    return (terms * mask).sum(dim=1) / mask.sum(dim=1).clamp_min(1.0)


def soft_auc_loss(logit: Tensor, target: Tensor, mask: Tensor, weight: Tensor, margin: float = 1.0) -> Tensor:
    """Return softplus(-margin (positive - negative)) over pairs of clips, a float32 scalar.

    A smooth bound of 1 - ROC-AUC: the mean over the pairs of each species, then over the species that have
    one. A pair weighs y (1 - y') times the weights of its clips, so that targets may be soft.

    Parameters
    ----------
    logit, target, mask
        (batch, species).
    weight
        (batch,).
    margin
        Factor of the difference.
    """
    logit, target = logit.float(), target.float()
    counted = mask.float() * weight.float()[:, None]
    positive, negative = target * counted, (1.0 - target) * counted
    pair = positive[:, None] * negative[None]  # (batch, batch, species)
    terms = functional.softplus(-margin * (logit[:, None] - logit[None])) * pair
    total = pair.sum(dim=(0, 1))
    mean = terms.sum(dim=(0, 1)) / total.clamp_min(1e-6)
    return mean.sum() / (total > 0).sum().clamp_min(1)


def species_loss(output: Output, target: Tensor, mask: Tensor, weight: Tensor, config: LossConfig) -> Tensor:
    """Return the loss of each clip, (clip,) float32; what it has for pairs of the batch is the same in all.

    Parameters
    ----------
    output
        Logits of clips and segments.
    target, mask
        (clip, species).
    weight
        (clip,) from the ratings, at least 0.1 each: of pairs; the caller weighs the clips.
    config
        Kind of loss and weight of the frame term.
    """
    with torch.autocast(target.device.type, enabled=False):
        losses = _clip_losses(output.clip_logit, target, mask, weight, config)
        if config.frame_term_weight > 0:
            loudest = output.frame_logit.amax(dim=1)
            losses = losses + config.frame_term_weight * _clip_losses(loudest, target, mask, weight, config)
        return losses


def _clip_losses(logit: Tensor, target: Tensor, mask: Tensor, weight: Tensor, config: LossConfig) -> Tensor:
    """Return the losses of the logits (clip, species) of a batch; see `species_loss`."""
    losses = recording_loss(logit, target, mask, config)
    if config.kind != "soft_auc":
        return losses
    return soft_auc_loss(logit, target, mask, weight, config.auc_margin) + config.auc_bce_weight * losses


def smooth_labels(target: Tensor, amount: float) -> Tensor:
    """Return targets raised by `amount` and clipped at 1, the original's smoothing, of the same shape."""
    return (target + amount).clamp_max(1.0)
