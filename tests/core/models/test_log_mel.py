"""Log-mels against recordings of five front ends, and why they stay in float32."""

import numpy as np
import pytest
import torch

from core.config import FeatureConfig
from core.models.log_mel import LogMel, MelScaler, cut_parts, join_parts, to_float
from tests.conftest import Reference

FRONT_ENDS = {
    "out_timm_001": FeatureConfig(n_fft=1024, hop_length=320, num_mels=64),
    "out_timm_007": FeatureConfig(),
    "out_henkel_v21": FeatureConfig(n_fft=1024, hop_length=320, scale="affine"),
    "out_htsat": FeatureConfig(
        n_fft=1024, hop_length=320, num_mels=64, mel_scale="slaney", mel_norm="slaney"
    ),
}


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_parity_of_the_log_mel(reference: Reference, name: str) -> None:
    arrays, config = reference("logmel"), FRONT_ENDS[name]
    mels = LogMel(config)(arrays["wave"])
    if config.scale == "affine":
        mels = MelScaler(config)(mels)
    expected = arrays[name].squeeze()
    if name == "out_htsat":  # recorded with time first
        expected = expected.transpose(1, 2)
    torch.testing.assert_close(mels.squeeze(1), expected, atol=1e-3, rtol=0)


def test_parity_of_the_amplitude_front_end(reference: Reference) -> None:
    arrays = reference("logmel")
    config = FeatureConfig(
        sample_rate=16000, hop_length=256, f_min_hz=0, f_max_hz=8000, window="hamming", power=1.0
    )
    mels = LogMel(config)(arrays["wave_fdy_16k"]).squeeze(1).clamp(-50, 80)
    torch.testing.assert_close(mels, arrays["out_fdy_logmel"], atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    "config",
    [
        FeatureConfig(),
        FeatureConfig(num_mels=5),
        FeatureConfig(f_min_hz=14000, f_max_hz=15000),
        FeatureConfig(n_fft=512, f_max_hz=600),
    ],
    ids=["usual", "few mels", "high", "filters without a bin"],
)
def test_bands_leave_nothing_out(config: FeatureConfig) -> None:
    log_mel = LogMel(config)
    wave = torch.randn(3, 16000, generator=torch.Generator().manual_seed(0))
    spectrum = torch.stft(wave, config.n_fft, config.hop_length, window=log_mel.window, return_complex=True)
    power = torch.matmul(log_mel.filters, spectrum.real.square() + spectrum.imag.square())
    expected = 10 * torch.log10(power.clamp_min(1e-10))
    torch.testing.assert_close(log_mel(wave)[:, 0], expected, atol=1e-4, rtol=0)


def test_int16_and_float_waves_give_the_same_mels() -> None:
    wave = torch.randint(-20000, 20000, (2, 8000), dtype=torch.int16)
    log_mel = LogMel(FeatureConfig())
    torch.testing.assert_close(log_mel(wave), log_mel(to_float(wave)))


def test_top_db_is_per_item_not_per_batch() -> None:
    log_mel = LogMel(FeatureConfig(top_db=80))
    quiet, loud = 1e-6 * torch.randn(1, 16000), torch.randn(1, 16000)
    together = log_mel(torch.cat([quiet, loud]))
    torch.testing.assert_close(together[:1], log_mel(quiet))
    assert together[0].std() > 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_log_mel_ignores_autocast(dtype: torch.dtype) -> None:
    wave = torch.sin(2 * np.pi * 1000 * torch.arange(16000) / 32000)[None]
    log_mel = LogMel(FeatureConfig())
    expected = log_mel(wave)
    with torch.autocast("cpu", dtype=dtype):
        mels = log_mel(wave)
    assert mels.dtype == torch.float32
    torch.testing.assert_close(mels, expected, atol=0, rtol=0)


def test_why_the_original_exploded_in_half_precision() -> None:
    """A full-scale tone overflows float16's power, and its dB floor is zero: silence becomes -inf."""
    tone = torch.sin(2 * np.pi * 1000 * torch.arange(16000) / 32000)
    spectrum = torch.stft(tone, 2048, 512, window=torch.hann_window(2048), return_complex=True)
    power = spectrum.abs().square()
    assert power.max() > torch.finfo(torch.float16).max
    assert torch.isinf(power.half()).any()
    assert torch.tensor(1e-10).half() == 0
    silence = torch.zeros(4).half()
    assert torch.isinf(10 * torch.log10(silence.clamp(min=1e-10))).all()
    assert torch.isfinite(LogMel(FeatureConfig())(torch.zeros(1, 16000))).all()


def test_batch_norm_is_per_mel_over_batch_and_time() -> None:
    scaler = MelScaler(FeatureConfig(num_mels=4))
    mels = torch.randn(6, 1, 4, 50) * torch.tensor([1.0, 5.0, 10.0, 20.0])[:, None] - 40
    scaled = scaler(mels)
    torch.testing.assert_close(scaled.mean(dim=(0, 1, 3)), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(scaled.std(dim=(0, 1, 3)), torch.ones(4), atol=1e-2, rtol=0)


def test_parts_are_cut_in_order_and_joined_again() -> None:
    parts = cut_parts(torch.arange(12.0).reshape(2, 6), 3)
    assert parts.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10, 11]]
    mels = torch.arange(2 * 3 * 4 * 5.0).reshape(6, 1, 4, 5)
    assert torch.equal(join_parts(mels, 3)[1, :, 5:10], mels[4, 0])
