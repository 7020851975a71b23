"""Mixup, selective mixup and SpecAugment on normalised log-mels, drawn from a given generator.

Selective mixup is the idea of Choiuijin1125/bclef2022: every clip of a batch is mixed with one that holds a
scored bird, so that rare scored species are heard in most steps. Labels, masks and weights are interpolated
with the same coefficient; nothing is renormalised.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from core.config import MixupConfig, SpecAugmentConfig
from core.data.noise import NoiseOfSet
from core.models.log_mel import to_float

SILENCE_RMS = 1e-9


@dataclass(frozen=True)
class Labelled:
    """What is mixed together: the labels of a batch.

    Attributes
    ----------
    target, mask
        (batch, species).
    weight
        (batch,).
    """

    target: Tensor
    mask: Tensor
    weight: Tensor

    def __getitem__(self, rows: slice | Tensor) -> "Labelled":
        """Return some rows."""
        return Labelled(self.target[rows], self.mask[rows], self.weight[rows])


@dataclass(frozen=True)
class Mixing:
    """One draw of mixup: partner and coefficient of each item.

    Attributes
    ----------
    partner
        (batch,) int64, which item of the second operand each item is mixed with.
    share
        (batch,) float32, the coefficient of the first operand.
    """

    partner: Tensor
    share: Tensor

    def mix(self, first: Tensor, second: Tensor) -> Tensor:
        """Return share * first + (1 - share) * second[partner], of the shape of `first`, (batch, ...)."""
        share = on_device(self.share, first.device).to(first.dtype).reshape(-1, *[1] * (first.ndim - 1))
        return share * first + (1.0 - share) * second[on_device(self.partner, second.device)]

    def mix_labels(self, first: Labelled, second: Labelled) -> Labelled:
        """Return the labels mixed as `mix` does with their tensors."""
        return Labelled(
            self.mix(first.target, second.target),
            self.mix(first.mask, second.mask),
            self.mix(first.weight, second.weight),
        )


class Joining(Mixing):
    """Halves of both operands, and all that either of them holds."""

    @classmethod
    def of(cls, partner: Tensor) -> "Joining":
        """Return the mixing with these partners, (batch,) int64."""
        return cls(partner, torch.full((len(partner),), 0.5))

    def mix_labels(self, first: Labelled, second: Labelled) -> Labelled:
        """Return the larger target of both; what is unknown of either is left out of the loss."""
        other = second[on_device(self.partner, second.target.device)]
        return Labelled(
            torch.maximum(first.target, other.target),
            torch.minimum(first.mask, other.mask),
            self.mix(first.weight, second.weight),
        )


def on_device(drawn: Tensor, device: torch.device) -> Tensor:
    """Return what was drawn on the CPU on a device; the host goes on meanwhile."""
    return (drawn.pin_memory() if device.type == "cuda" else drawn).to(device, non_blocking=True)


def draw_mixing(size: int, alpha: float, generator: torch.Generator, strength: float = 1.0) -> Mixing:
    """Draw partners and coefficients from Beta(alpha, alpha).

    Parameters
    ----------
    size
        Items in the batch.
    alpha
        Parameter of the Beta distribution; 1 is uniform.
    generator
        CPU generator.
    strength
        Scales the partner's share: 1 as drawn, 0 leaves the first operand as it is.
    """
    partner = torch.randperm(size, generator=generator)
    # Beta from two Gammas: torch.distributions takes no generator
    gammas = torch._standard_gamma(torch.full((2, size), alpha, dtype=torch.float64), generator=generator)
    total = gammas.sum(dim=0)
    share = torch.where(total > 0, gammas[0] / total, torch.rand(size, generator=generator).round().double())
    return Mixing(partner, (1.0 - strength * (1.0 - share)).float())


def keep_mask(
    shape: torch.Size, device: torch.device, config: SpecAugmentConfig, generator: torch.Generator
) -> Tensor:
    """Draw the stripes of SpecAugment, which become 0, the mean of a normalised mel.

    Parameters
    ----------
    shape
        (batch, part, 1, mel, frame); each part gets stripes of its own.
    device
        Of the mask.
    config
        Number and width of stripes.
    generator
        CPU generator.

    Returns
    -------
    Tensor
        Of that shape, bool, False on the stripes.
    """
    batch, num_parts, _, num_mels, num_frames = shape
    number = batch * num_parts
    time = _stripe_mask(number, num_frames, config.num_time_stripes, config.max_time_width, generator)
    mel = _stripe_mask(number, num_mels, config.num_mel_stripes, config.max_mel_width, generator)
    time, mel = on_device(time, device), on_device(mel, device)
    return ~(time[:, None, :] | mel[:, :, None]).reshape(shape)


def _stripe_mask(
    number: int, length: int, stripes: int, max_width: int, generator: torch.Generator
) -> Tensor:
    """Return (number, length) bool, True inside stripes narrower than `max_width` at random places."""
    max_width = min(max_width, length)
    width = torch.randint(0, max_width, (number, stripes, 1), generator=generator)
    place = torch.rand((number, stripes, 1), generator=generator)
    start = (place * (length - width)).long()
    position = torch.arange(length)
    return ((position >= start) & (position < start + width)).any(dim=1)


@dataclass(frozen=True)
class Augmentation:
    """What happens to a batch, drawn: give it recorded draws to repeat a step of the original.

    Attributes
    ----------
    num_main
        Clips that come out: the first ones of the batch; the rest is the scored half.
    selective
        Mixing of the main half with the scored one; None: the scored half is dropped.
    ordinary
        Mixings of the main half with itself, one after another.
    keep
        (num_main, part, 1, mel, frame) bool, False on the stripes of SpecAugment, from the shape and the
        device of the parts; None: no stripes.
    """

    num_main: int
    selective: Mixing | None = None
    ordinary: Sequence[Mixing] = ()
    keep: Callable[[torch.Size, torch.device], Tensor] | None = None

    def __call__(self, parts: Tensor) -> Tensor:
        """Return the augmented log-mels (num_main, part, 1, mel, frame) of a batch, for `SpeciesModel`."""
        mixed = parts[: self.num_main]
        if self.selective is not None:
            mixed = self.selective.mix(mixed, parts[self.num_main :])
        for mixing in self.ordinary:
            mixed = mixing.mix(mixed, mixed)
        return mixed if self.keep is None else mixed * self.keep(mixed.shape, mixed.device)

    def mix_labels(self, labels: Labelled) -> Labelled:
        """Return the labels that belong to the augmented batch, from those of the whole batch."""
        main, scored = labels[: self.num_main], labels[self.num_main :]
        if self.selective is not None:
            main = self.selective.mix_labels(main, scored)
        for mixing in self.ordinary:
            main = mixing.mix_labels(main, main)
        return main


def mix_noise(wave: Tensor, noise: Sequence[NoiseOfSet]) -> Tensor:
    """Return clips with noise, (clip, sample) float32; a clip is as it was where it or its noise is silent.

    Parameters
    ----------
    wave
        (clip, sample) int16, or float in [-1, 1].
    noise
        On the same device. Sets are added one after another, each scaled to the clip as it is by then.
    """
    mixed = to_float(wave)
    if wave.dtype == mixed.dtype:
        mixed = mixed.clone()  # the caller's own
    for one in noise:
        added = to_float(one.wave)
        wave_rms, noise_rms = root_mean_square(mixed)[one.clip], root_mean_square(added)
        scale = wave_rms / noise_rms.clamp_min(SILENCE_RMS) / 10 ** (one.snr_db / 20)
        scale = torch.where((wave_rms < SILENCE_RMS) | (noise_rms < SILENCE_RMS), 0.0, scale)
        mixed.index_add_(0, one.clip, added.mul_(scale[:, None]))
    return mixed


def root_mean_square(wave: Tensor) -> Tensor:
    """Return the root mean square of (..., sample) float32."""
    return torch.linalg.vector_norm(wave, dim=-1) / math.sqrt(wave.shape[-1])


def draw_augmentation(
    num_main: int,
    num_scored: int,
    mixup: MixupConfig,
    spec_augment: SpecAugmentConfig,
    gates: Sequence[float],
    generator: torch.Generator,
) -> Augmentation:
    """Draw what happens to a batch, in the original's order: selective mixup, mixup twice, SpecAugment.

    Parameters
    ----------
    num_main, num_scored
        Clips of all recordings, and of those with a scored bird: as many, or none.
    mixup, spec_augment
        Probabilities and strengths.
    gates
        Four uniform numbers of the batch; a gate is open where its number is below its probability.
    generator
        CPU generator of partners, coefficients and stripes.
    """
    selective: Mixing | None = None
    if num_scored and gates[0] < mixup.selective_probability:
        alpha = mixup.alpha if mixup.selective_alpha is None else mixup.selective_alpha
        selective = draw_mixing(num_main, alpha, generator, mixup.selective_strength)
    ordinary = [
        draw_mixing(num_main, mixup.alpha, generator)
        for gate, probability in ((gates[1], mixup.probability), (gates[2], mixup.second_probability))
        if gate < probability
    ]
    keep = partial(keep_mask, config=spec_augment, generator=generator)
    return Augmentation(num_main, selective, ordinary, keep if gates[3] < spec_augment.probability else None)
