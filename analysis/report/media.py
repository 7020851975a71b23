"""Sound in a page: a spectrogram in a small picture, and audio in a small file."""

import io
from pathlib import Path

import numpy as np
import soundfile
import torch
from matplotlib import colormaps
from PIL import Image

from core.config import FeatureConfig
from core.data.audio import stream_mono
from core.models.log_mel import LogMel

AUDIO_RATE = 24000
"""Of the embedded audio; Opus knows 8, 12, 16, 24 and 48 kHz."""
COMPRESSION = 0.88
"""Of Opus in libsndfile, 0 to 1: about 36 kbit a second for mono."""
PICTURE = FeatureConfig(
    sample_rate=32000, n_fft=2048, hop_length=1600, num_mels=160, f_min_hz=50.0, f_max_hz=14000.0
)
PICTURE_QUALITY = 62
FLOOR_DB = -2.0
"""What is darkest, relative to the median of its band: nearly all steady noise."""
TICKS_KHZ = (0.5, 1, 2, 4, 8)


def read_stretch(path: Path, sample_rate: int, start: float, end: float) -> np.ndarray:
    """Return samples between two times, (sample,) float32; no more than that is held."""
    first, last, position = round(start * sample_rate), round(end * sample_rate), 0
    kept = [np.zeros(0, np.float32)]
    for block in stream_mono(path, sample_rate):
        kept.append(block[max(first - position, 0) : max(last - position, 0)])
        position += len(block)
        if position >= last:
            break
    return np.concatenate(kept)


def picture(wave: np.ndarray) -> bytes:
    """Return the log-mel spectrogram of a wave as WebP, low frequencies below.

    Each band is drawn relative to its median over time, so that wind does not outshine birds.
    """
    with torch.inference_mode():
        mels = LogMel(PICTURE)(torch.from_numpy(wave)[None])[0, 0].numpy()
    above = mels - np.median(mels, axis=1, keepdims=True)
    high = max(float(np.quantile(above, 0.9995)), FLOOR_DB + 10)
    share = np.clip((above - FLOOR_DB) / (high - FLOOR_DB), 0, 1)[::-1]
    colours = (colormaps["magma"](share)[..., :3] * 255).round().astype(np.uint8)
    return as_webp(Image.fromarray(colours))


def as_webp(image: Image.Image) -> bytes:
    """Return an image in a small file."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=PICTURE_QUALITY, method=5)
    return buffer.getvalue()


def opus(wave: np.ndarray) -> bytes:
    """Return a wave of `AUDIO_RATE` as Ogg Opus."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer,
        "w",
        samplerate=AUDIO_RATE,
        channels=1,
        format="OGG",
        subtype="OPUS",
        compression_level=COMPRESSION,
    ) as file:
        for start in range(
            0, len(wave), AUDIO_RATE
        ):  # libsndfile's encoder overflows its stack on long writes
            file.write(wave[start : start + AUDIO_RATE])
    return buffer.getvalue()


def frequency_ticks() -> list[tuple[str, float]]:
    """Return labels in kHz and their height from the top of the picture, 0 to 1 (HTK mels)."""

    def mel(hertz: float) -> float:
        return float(2595 * np.log10(1 + hertz / 700))

    low, high = mel(PICTURE.f_min_hz), mel(float(PICTURE.f_max_hz or PICTURE.sample_rate / 2))
    return [(f"{khz:g}", round(1 - (mel(1000 * khz) - low) / (high - low), 4)) for khz in TICKS_KHZ]
