"""Log-mel spectrograms on the device, always in float32.

The torchaudio front end of the published solution (periodic Hann, centred with reflected edges, HTK mels,
10 log10 with a floor of 1e-10), computed from `torch.stft` with a product over each filter's own bins only:
1.58 times as fast on a CPU (experiments/README.md). float16 cannot hold it: a full-scale tone has power
262,144 at n_fft 2048 where float16 ends at 65,504, and the floor 1e-10 becomes 0, so silence becomes -inf.
Hence autocast is off in here and inputs are cast.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks

from core.config import FeatureConfig

POWER_FLOOR = 1e-10
FINE_BINS = 1 << 14
"""From 0 Hz to half the sample rate, to find the centre of a filter."""
INT16_SCALE = 32768.0
NUM_BANDS = 8
"""Groups of neighbouring mels, each multiplied with the bins that its filters reach: a fifth of the whole."""


def bands_of_hertz(config: FeatureConfig, hertz: Sequence[float]) -> list[float]:
    """Return at which band of a front end some frequencies lie, counted from 0 at the lowest band's centre.

    Examples
    --------
    >>> config = FeatureConfig(num_mels=128, f_min_hz=50.0, f_max_hz=14000.0)
    >>> [round(band) for band in bands_of_hertz(config, [60.0, 1000.0, 8000.0])]
    [0, 34, 105]
    """
    filters = melscale_fbanks(
        FINE_BINS,
        config.f_min_hz,
        config.highest_hz,
        config.num_mels,
        config.sample_rate,
        mel_scale=config.mel_scale,
    )
    centres = filters.argmax(dim=0) * config.sample_rate / 2 / (FINE_BINS - 1)
    return [float(one) for one in np.interp(hertz, centres, np.arange(config.num_mels))]


class LogMel(nn.Module):
    """Waves to log-mel spectrograms in dB."""

    window: Tensor
    filters: Tensor

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.config = config
        if config.window == "hann":
            window = torch.hann_window(config.n_fft)
        else:
            window = torch.hamming_window(config.n_fft, periodic=False)
        filters = melscale_fbanks(
            config.n_fft // 2 + 1,
            config.f_min_hz,
            config.highest_hz,
            config.num_mels,
            config.sample_rate,
            norm=config.mel_norm,
            mel_scale=config.mel_scale,
        )
        self.register_buffer("window", window, persistent=False)
        self.set_filters(filters.T)

    def set_filters(self, filters: Tensor) -> None:
        """Take the (mel, bin) weights of another filter bank in the place of the configuration's."""
        self.register_buffer("filters", filters.contiguous(), persistent=False)
        self.bands: list[tuple[slice, slice]] = []
        for mels in torch.arange(len(filters)).chunk(NUM_BANDS):
            reached = filters[mels].any(dim=0).nonzero()
            low, high = (int(reached.min()), int(reached.max()) + 1) if len(reached) else (0, 1)
            self.bands.append((slice(int(mels[0]), int(mels[-1]) + 1), slice(low, high)))

    def forward(self, wave: Tensor) -> Tensor:
        """Return (batch, 1, mel, frame) float32 in dB, from (batch, sample) int16 or any float in [-1, 1]."""
        config = self.config
        with torch.autocast(wave.device.type, enabled=False):
            spectrum = torch.stft(
                to_float(wave),
                config.n_fft,
                config.hop_length,
                window=self.window.float(),
                center=True,
                pad_mode="reflect",
                return_complex=True,
            )
            power = torch.addcmul(spectrum.real.square(), spectrum.imag, spectrum.imag)
            if config.power != 2:
                power = power.pow(config.power / 2)
            filters = self.filters.float()
            products = [torch.matmul(filters[mels, bins], power[:, bins]) for mels, bins in self.bands]
            mels = torch.cat(products, dim=1)  # (batch, mel, frame)
            # dB of an amplitude are 20 log10, of a power 10 log10; the floor is the same in dB
            floor = POWER_FLOOR ** (config.power / 2)
            decibel = (20.0 / config.power) * torch.log10(mels.clamp_min(floor))
            decibel = decibel.unsqueeze(1)
            if config.top_db is not None:
                loudest = decibel.amax(dim=(1, 2, 3), keepdim=True)
                decibel = torch.maximum(decibel, loudest - config.top_db)
        return decibel


class MelScaler(nn.Module):
    """Normalise dB values: batch norm per mel, (dB + 80) / 80, or instance norm per item."""

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.scale = config.scale
        self.norm: nn.Module | None = None
        if config.scale == "batch_norm":
            self.norm = nn.BatchNorm2d(config.num_mels)
        elif config.scale == "instance":
            self.norm = nn.InstanceNorm2d(1)

    def forward(self, mels: Tensor) -> Tensor:
        """Return (batch, 1, mel, frame) float32 of the same shape."""
        with torch.autocast(mels.device.type, enabled=False):
            mels = mels.float()
            if self.norm is None:
                return (mels + 80.0) / 80.0
            if self.scale == "instance":
                return self.norm(mels)
            return self.norm(mels.transpose(1, 2)).transpose(1, 2)  # statistics per mel over batch and time


def to_float(wave: Tensor) -> Tensor:
    """Return samples as float32 in [-1, 1]; int16 is divided by 32768."""
    return wave.float().div_(INT16_SCALE) if wave.dtype == torch.int16 else wave.float()


def cut_parts(wave: Tensor, num_parts: int) -> Tensor:
    """Return (batch * part, sample) from (batch, sample), contiguous and without overlap."""
    if wave.shape[-1] % num_parts:
        message = f"a clip of {wave.shape[-1]} samples cannot be cut into {num_parts} equal parts"
        raise ValueError(message)
    return wave.reshape(wave.shape[0] * num_parts, wave.shape[-1] // num_parts)


def join_parts(mels: Tensor, num_parts: int) -> Tensor:
    """Return (batch, mel, part * frame), part after part, from (batch * part, 1, mel, frame)."""
    return mels.squeeze(1).unflatten(0, (-1, num_parts)).transpose(1, 2).flatten(2)
