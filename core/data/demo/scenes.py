"""What a microphone hears: birds over wind, rain or insects, from near or afar.

Levels are set in the band where the birds sing, so that a rumbling wind does not count as loud. Recordings
are made at many places, each author with a microphone and neighbours of one dialect. Soundscapes come from
sites that no recording is from: birds sit farther away, echoes are longer, several species sing at once and
the background is louder.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import fft

from core.data.demo.birds import BY_CODE
from core.data.demo.songs import SAMPLE_RATE, generator_of, hatch, sing

BIRD_BAND_HZ = (500.0, 9000.0)
AIR_DB_PER_METRE_AT_4_KHZ = 0.06
EQUALISER_HZ = (60.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16000.0)
EQUALISER_DB = 3.0  # standard deviation of an author's microphone, and again of each recording
AUDIBLE = 0.05  # of a note's full amplitude
SITE_ECHO_SECONDS = 0.7
_Generator = np.random.Generator
_Way = tuple[float, float, float]
"""From a bird to the microphone: metres, seconds in which echoes fall by 60 dB, their level in dB."""


class Singer(NamedTuple):
    """A bird in a scene: its code, its level over the background in the birds' band, when it sings."""

    species: str
    snr_db: float
    begin_seconds: float
    seconds: float


def make_background(kind: str, seconds: float, generator: _Generator) -> np.ndarray:
    """Return a call-free background of a kind of `BACKGROUNDS`, (sample,) float32."""
    wave = BACKGROUNDS[kind](round(seconds * SAMPLE_RATE), generator)
    return _at_peak(_equalise(wave, _microphone(generator)), -9.0)


def make_recording(
    author: str, seconds: float, singers: Sequence[Singer], seed: int, own: _Generator
) -> np.ndarray:
    """Return a recording of near birds by an author with a microphone and a neighbourhood, (sample,) float32.

    Parameters
    ----------
    author, seed
        What the microphone and the dialect are drawn from.
    seconds
        Length.
    singers
        Who sings, and when.
    own
        All else that is random.
    """
    num_samples = round(seconds * SAMPLE_RATE)
    wave = _noise(num_samples, own.uniform(-9, 0), own)
    if own.random() < 0.5:
        kind = str(own.choice(list(BACKGROUNDS)))
        wave += 10 ** (own.uniform(-8, 0) / 20) * BACKGROUNDS[kind](num_samples, own)
    gains_db = _microphone(generator_of(seed, "microphone", author)) + _microphone(own)
    way = (own.uniform(5, 60), own.uniform(0.1, 0.5), own.uniform(-20, -6))
    _perform(wave, singers, [way] * len(singers), (seed, author), own)
    return _at_peak(_equalise(wave, gains_db), own.uniform(-20, -1))


def make_soundscape(
    site: str, seconds: float, singers: Sequence[Singer], seed: int, own: _Generator
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return a soundscape of a site, and species -> (note, 2), begin and end of its notes in seconds.

    Parameters are those of `make_recording`, with a site for an author.
    """
    num_samples = round(seconds * SAMPLE_RATE)
    wave = _noise(num_samples, -5.0 + own.normal(0, 0.5), own)
    for kind in own.permutation(list(BACKGROUNDS))[:2]:
        wave += 10 ** (own.uniform(-10, -2) / 20) * BACKGROUNDS[str(kind)](num_samples, own)
    ways = [
        (own.uniform(40, 120), SITE_ECHO_SECONDS * own.uniform(0.8, 1.2), own.uniform(-12, -4))
        for _ in singers
    ]
    sounding = _perform(wave, singers, ways, (seed, site), own)
    wave = _equalise(wave, _microphone(generator_of(seed, "microphone", site)))
    return _at_peak(wave, own.uniform(-12, -3)), sounding


def _perform(
    wave: np.ndarray, singers: Sequence[Singer], ways: Sequence[_Way], place: tuple[int, str], own: _Generator
) -> dict[str, np.ndarray]:
    """Add birds to a background of level 1, in place; return when each species sounds, see `make_soundscape`.

    Birds of one place, a seed and a name, sing in one dialect.
    """
    seed, name = place
    sounding: dict[str, list[np.ndarray]] = {}
    for singer, way in zip(singers, ways, strict=True):
        voice = BY_CODE[singer.species].voice
        bird = hatch(voice, generator_of(seed, "dialect", singer.species, name), own)
        song, notes = sing(voice, bird, singer.seconds, own)
        heard = _travel(song, way, own)
        level = np.sqrt(np.square(heard[np.abs(song) > AUDIBLE], dtype=np.float64).mean() + 1e-12)
        start = round(singer.begin_seconds * SAMPLE_RATE)
        room = wave[start : start + len(heard)]
        room += (10 ** (singer.snr_db / 20) / float(level)) * heard[: len(room)]
        sounding.setdefault(singer.species, []).append(notes + singer.begin_seconds)
    return {species: np.concatenate(notes) for species, notes in sounding.items()}


def _travel(wave: np.ndarray, way: _Way, generator: _Generator) -> np.ndarray:
    """Return a song as it arrives: dulled by the air, high frequencies first, and followed by echoes."""
    metres, echo_seconds, echo_db = way
    moments = np.arange(round(1.2 * echo_seconds * SAMPLE_RATE)) / SAMPLE_RATE
    echoes = generator.standard_normal(len(moments)) * np.exp(-6.9 * moments / echo_seconds)
    echoes *= 10 ** (echo_db / 20) / np.sqrt(np.square(echoes).sum())
    echoes[0] = 1.0
    size = fft.next_fast_len(len(wave) + len(echoes), real=True)
    lost_db = AIR_DB_PER_METRE_AT_4_KHZ * metres * _frequencies(size) / 4000.0
    response = fft.rfft(echoes.astype(np.float32), size) * 10 ** (-lost_db / 20)
    return np.asarray(fft.irfft(fft.rfft(wave, size) * response, size)[: len(wave)])


def _microphone(generator: _Generator) -> np.ndarray:
    """Draw the gains of a microphone at `EQUALISER_HZ`, in dB."""
    return generator.normal(0, EQUALISER_DB, len(EQUALISER_HZ))


def _equalise(wave: np.ndarray, gains_db: np.ndarray) -> np.ndarray:
    """Return a wave through a microphone with given gains at `EQUALISER_HZ`."""
    size = fft.next_fast_len(len(wave), real=True)
    octaves = np.log2(np.maximum(_frequencies(size), EQUALISER_HZ[0]))
    gain = 10 ** (np.interp(octaves, np.log2(EQUALISER_HZ), gains_db) / 20)
    return np.asarray(fft.irfft(fft.rfft(wave, size) * gain.astype(np.float32), size)[: len(wave)])


def _at_peak(wave: np.ndarray, peak_db: float) -> np.ndarray:
    """Return a wave scaled to a peak in dB below full scale, (sample,) float32."""
    return (wave * (10 ** (peak_db / 20) / (np.abs(wave).max() + 1e-9))).astype(np.float32)


def _frequencies(size: int) -> np.ndarray:
    """Return the frequencies of a real Fourier transform over `size` samples, in Hz."""
    return np.arange(size // 2 + 1, dtype=np.float32) * (SAMPLE_RATE / size)


def _noise(num_samples: int, tilt_db: float, generator: _Generator) -> np.ndarray:
    """Return noise whose level changes by `tilt_db` per octave, RMS 1 in the band of the birds, float32."""
    size = fft.next_fast_len(num_samples, real=True)
    hertz = _frequencies(size)
    gain = np.where(hertz < 60, 0, (np.maximum(hertz, 60) / 1000) ** (tilt_db / 6.02))
    band = gain[(hertz > BIRD_BAND_HZ[0]) & (hertz < BIRD_BAND_HZ[1])]
    gain /= np.sqrt(2 * np.square(band).sum() / size)
    spectrum = fft.rfft(generator.standard_normal(size, dtype=np.float32)) * gain.astype(np.float32)
    return np.asarray(fft.irfft(spectrum, size)[:num_samples])


def _wind(num_samples: int, generator: _Generator) -> np.ndarray:
    """Return gusts: low rumble that swells within seconds."""
    rumble = _noise(num_samples, generator.uniform(-12, -8), generator)
    decibels = generator.normal(0, 4.0, max(round(num_samples / SAMPLE_RATE / 1.5), 1) + 2)
    swell = np.interp(np.linspace(0, len(decibels) - 1, num_samples), np.arange(len(decibels)), decibels)
    return (rumble * 10 ** (swell / 20)).astype(np.float32)


def _rain(num_samples: int, generator: _Generator) -> np.ndarray:
    """Return hiss with drops, clicks of a few milliseconds."""
    wave = 0.7 * _noise(num_samples, generator.uniform(-1, 2), generator)
    moments = np.arange(400) / SAMPLE_RATE
    number = generator.poisson(generator.uniform(8, 25) * num_samples / SAMPLE_RATE)
    for start in generator.integers(0, num_samples - len(moments), number):
        tone = np.sin(2 * np.pi * generator.uniform(1500, 6000) * moments)
        fading = np.exp(-generator.uniform(600, 1500) * moments)
        wave[start : start + len(moments)] += generator.lognormal(1.0, 0.6) * tone * fading
    return wave


def _insects(num_samples: int, generator: _Generator) -> np.ndarray:
    """Return crickets: chirps of three pulses at one pitch."""
    moments = np.arange(num_samples) / SAMPLE_RATE
    chirp = (moments * generator.uniform(1.2, 2.5)) % 1.0
    pulses = np.sin(np.pi * np.clip(chirp / 0.35, 0, 1) * 3) ** 2 * (chirp < 0.35)
    tone = np.sin(2 * np.pi * generator.uniform(3800, 5600) * moments)
    floor = _noise(num_samples, -4.0, generator)
    return (1.6 * tone * pulses + 0.5 * floor).astype(np.float32)


BACKGROUNDS: dict[str, Callable[[int, _Generator], np.ndarray]] = {
    "wind": _wind, "rain": _rain, "insects": _insects,
}  # fmt: skip
