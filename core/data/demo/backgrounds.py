"""Call-free backgrounds: wind, rain, insects, running water, and noise of any tilt.

Levels are set in the band where the birds sing, so that a rumbling wind does not count as loud.
"""

from collections.abc import Callable

import numpy as np
from scipy import fft

from core.data.demo.songs import SAMPLE_RATE

BIRD_BAND_HZ = (500.0, 9000.0)


def rms(wave: np.ndarray) -> float:
    """Return the root mean square of samples, a little above 0 for silence."""
    return float(np.sqrt(np.square(wave, dtype=np.float64).mean() + 1e-12))


def frequencies_of(size: int) -> np.ndarray:
    """Return the frequencies of a real Fourier transform over `size` samples, in Hz."""
    return np.arange(size // 2 + 1, dtype=np.float32) * (SAMPLE_RATE / size)


def coloured_noise(num_samples: int, tilt_db: float, generator: np.random.Generator) -> np.ndarray:
    """Return noise whose level changes by `tilt_db` per octave, RMS 1 in the band of the birds."""
    size = fft.next_fast_len(num_samples, real=True)
    frequencies = frequencies_of(size)
    gain = (np.maximum(frequencies, 60.0) / 1000.0) ** (tilt_db / 6.02)
    gain[frequencies < 60.0] = 0.0
    band = (frequencies > BIRD_BAND_HZ[0]) & (frequencies < BIRD_BAND_HZ[1])
    gain /= np.sqrt(2 * np.square(gain[band]).sum() / size)
    spectrum = fft.rfft(generator.standard_normal(size, dtype=np.float32))
    return fft.irfft(spectrum * gain.astype(np.float32), size)[:num_samples]


def slow_swell(
    num_samples: int, seconds: float, depth_db: float, generator: np.random.Generator
) -> np.ndarray:
    """Return a gain that wanders by about `depth_db` over `seconds`, (sample,) float32."""
    num_knots = max(round(num_samples / SAMPLE_RATE / seconds), 1) + 2
    decibels = generator.normal(0, depth_db, num_knots)
    moments = np.linspace(0, num_knots - 1, num_samples)
    return (10 ** (np.interp(moments, np.arange(num_knots), decibels) / 20)).astype(np.float32)


def wind(num_samples: int, generator: np.random.Generator) -> np.ndarray:
    """Return gusts: low rumble that swells within seconds."""
    rumble = coloured_noise(num_samples, generator.uniform(-12, -8), generator)
    return rumble * slow_swell(num_samples, 1.5, 4.0, generator)


def rain(num_samples: int, generator: np.random.Generator) -> np.ndarray:
    """Return hiss with drops, clicks of a few milliseconds."""
    hiss = coloured_noise(num_samples, generator.uniform(-1, 2), generator)
    drops = np.zeros(num_samples, dtype=np.float32)
    num_drops = generator.poisson(generator.uniform(8, 25) * num_samples / SAMPLE_RATE)
    length = 400
    moments = np.arange(length) / SAMPLE_RATE
    for start in generator.integers(0, max(num_samples - length, 1), num_drops):
        pitch, decay = generator.uniform(1500, 6000), generator.uniform(600, 1500)
        drop = generator.lognormal(1.0, 0.6) * np.sin(2 * np.pi * pitch * moments) * np.exp(-decay * moments)
        drops[start : start + length] += drop[: num_samples - start]
    return 0.7 * hiss + drops


def insects(num_samples: int, generator: np.random.Generator) -> np.ndarray:
    """Return crickets, chirps of three pulses at one pitch, or a cicada, an endless beating band."""
    moments = np.arange(num_samples) / SAMPLE_RATE
    floor = coloured_noise(num_samples, -4.0, generator)
    if generator.random() < 0.5:
        pitch, rate = generator.uniform(3800, 5600), generator.uniform(1.2, 2.5)
        chirp = (moments * rate) % 1.0
        pulses = np.sin(np.pi * np.clip(chirp / 0.35, 0, 1) * 3) ** 2 * (chirp < 0.35)
        return (1.6 * np.sin(2 * np.pi * pitch * moments) * pulses + 0.5 * floor).astype(np.float32)
    centre, width = generator.uniform(4500, 7500), generator.uniform(300, 900)
    size = fft.next_fast_len(num_samples, real=True)
    band = np.exp(-0.5 * ((frequencies_of(size) - centre) / width) ** 2)
    spectrum = fft.rfft(generator.standard_normal(size, dtype=np.float32)) * band
    buzz = fft.irfft(spectrum, size)[:num_samples]
    beats = 0.7 + 0.3 * np.sin(2 * np.pi * generator.uniform(5, 12) * moments)
    swell = slow_swell(num_samples, 3.0, 2.0, generator)
    return (buzz / rms(buzz) * beats * swell + 0.5 * floor).astype(np.float32)


def stream(num_samples: int, generator: np.random.Generator) -> np.ndarray:
    """Return running water: noise with bubbles, short tones of rising pitch."""
    water = coloured_noise(num_samples, generator.uniform(-6, -3), generator)
    length = 1600
    moments = np.arange(length) / SAMPLE_RATE
    num_bubbles = generator.poisson(20 * num_samples / SAMPLE_RATE)
    for start in generator.integers(0, max(num_samples - length, 1), num_bubbles):
        pitch = generator.uniform(400, 1500) * (1 + 4 * moments)
        bubble = generator.lognormal(0.3, 0.5) * np.sin(2 * np.pi * pitch * moments) * np.exp(-90 * moments)
        water[start : start + length] += bubble[: num_samples - start].astype(np.float32)
    return water


BACKGROUNDS: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "wind": wind,
    "rain": rain,
    "insects": insects,
    "stream": stream,
}
