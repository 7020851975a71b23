"""Sound in a page: a spectrogram in a small picture, and audio in a small file."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile
import torch
from matplotlib import colormaps
from PIL import Image

from core.config import FeatureConfig
from core.data.audio import stream_rates
from core.models.log_mel import LogMel, bands_of_hertz

AUDIO_RATE = 24000
"""Of the embedded audio; Opus knows 8, 12, 16, 24 and 48 kHz."""
COMPRESSION = {"OPUS": 0.88, "VORBIS": 0.8}
"""In libsndfile, 0 to 1: about 36 and 41 kbit a second for mono; Vorbis is written 13 times as fast."""
PICTURE = FeatureConfig(
    sample_rate=32000, n_fft=2048, hop_length=1600, num_mels=160, f_min_hz=50.0, f_max_hz=14000.0
)
PICTURE_QUALITY = 62
FINE_HOP, PALETTE = 480, 64
FLOOR_DB = -2.0
"""What is darkest, relative to the median of its band: nearly all steady noise."""
TICKS_KHZ = (0.5, 1, 2, 4, 8)


def read_stretch(path: Path, sample_rates: Sequence[int], start: float, end: float) -> list[np.ndarray]:
    """Return the samples between two times, (sample,) float32 for each rate; no more than that is held.

    Parameters
    ----------
    path, sample_rates
        File, and samples per second that are wanted.
    start, end
        In seconds.
    """
    kept, positions = [[np.zeros(0, np.float32)] for _ in sample_rates], [0 for _ in sample_rates]
    for blocks in stream_rates(path, sample_rates, start=start):
        for i, (block, rate) in enumerate(zip(blocks, sample_rates, strict=True)):
            first, last = (max(round(time * rate) - positions[i], 0) for time in (start, end))
            kept[i].append(block[first:last])
            positions[i] += len(block)
        if all(n >= end * rate for n, rate in zip(positions, sample_rates, strict=True)):
            break
    return [np.concatenate(one) for one in kept]


def picture(wave: np.ndarray, kind: Literal["WEBP", "PNG"] = "WEBP") -> bytes:
    """Return the log-mel spectrogram of a wave, low frequencies below; as PNG with fine steps in time.

    Each band is drawn relative to its median over time, so that wind does not outshine birds.
    """
    features = PICTURE if kind == "WEBP" else replace(PICTURE, hop_length=FINE_HOP)
    with torch.inference_mode():
        mels = LogMel(features)(torch.from_numpy(wave)[None])[0, 0].numpy()
    above = mels - np.median(mels, axis=1, keepdims=True)
    high = max(float(np.quantile(above, 0.9995)), FLOOR_DB + 10)
    share = np.clip((above - FLOOR_DB) / (high - FLOOR_DB), 0, 1)[::-1]
    colours = (colormaps["magma"](share)[..., :3] * 255).round().astype(np.uint8)
    image, buffer = Image.fromarray(colours), io.BytesIO()
    if kind == "PNG":
        image.quantize(PALETTE).save(buffer, "PNG", optimize=True)
    else:
        image.save(buffer, "WEBP", quality=PICTURE_QUALITY, method=5)
    return buffer.getvalue()


def ogg(wave: np.ndarray, subtype: Literal["OPUS", "VORBIS"] = "OPUS") -> bytes:
    """Return a wave of `AUDIO_RATE` as an Ogg file."""
    buffer = io.BytesIO()
    kind: dict[str, Any] = {"format": "OGG", "subtype": subtype, "compression_level": COMPRESSION[subtype]}
    with soundfile.SoundFile(buffer, "w", samplerate=AUDIO_RATE, channels=1, **kind) as file:
        for second in range(0, len(wave), AUDIO_RATE):  # its encoder overflows the stack on long writes
            file.write(wave[second : second + AUDIO_RATE])
    return buffer.getvalue()


def frequency_ticks() -> list[tuple[str, float]]:
    """Return labels in kHz and their height from the top of the picture, 0 to 1."""
    bands = bands_of_hertz(PICTURE, [1000 * khz for khz in TICKS_KHZ])
    heights = [1 - (band + 0.5) / PICTURE.num_mels for band in bands]
    return [(f"{khz:g}", round(height, 4)) for khz, height in zip(TICKS_KHZ, heights, strict=True)]
