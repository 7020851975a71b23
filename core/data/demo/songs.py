"""How a bird sings: phrases of notes, at a pitch and tempo of its own.

Songs differ in the order and timing of their notes and hardly in their mean spectrum, since the pitch of an
individual is drawn from a band that several species share: what the demo asks of a model is to see time.
"""

import zlib
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from core.data.demo.birds import Note, Voice

SAMPLE_RATE = 32000
EDGE_SHARE = 0.25  # of a note that it takes to swell, and again to fade
DIALECT_SHARE = 0.4  # of an individual's variance that it shares with its neighbours
TEMPO_OCTAVES, SPAN_OCTAVES, PAUSE_OCTAVES = 0.16, 0.3, 0.4  # standard deviations between individuals
BUZZ_OCTAVES = 2.0  # by which a buzz's pitch jitters from sample to sample
BUZZ_HZ = 24.0  # a buzz beats slowly enough for frames of 16 ms


def generator_of(seed: int, *words: str | int) -> np.random.Generator:
    """Return the random stream of one named thing, independent of every other and of their order."""
    return np.random.default_rng([seed, *(zlib.crc32(str(word).encode()) for word in words)])


class Individual(NamedTuple):
    """How one bird sings its species' song."""

    pitch_hz: float
    tempo: float
    span: float
    pause: float
    harmonics: tuple[float, float, float]
    vibrato_octaves: float
    vibrato_hz: float


def hatch(voice: Voice, dialect: np.random.Generator, own: np.random.Generator) -> Individual:
    """Return a bird; those of one place share the random stream `dialect`, `own` is its own."""
    shared, single = dialect.standard_normal(6), own.standard_normal(6)
    traits = np.sqrt(DIALECT_SHARE) * shared + np.sqrt(1 - DIALECT_SHARE) * single
    quantiles = ndtr(traits)
    low, high = voice.pitch_hz
    faint = 10 ** (-(12 + 25 * quantiles[3]) / 20)
    return Individual(
        pitch_hz=low * (high / low) ** quantiles[0],
        tempo=2 ** (TEMPO_OCTAVES * traits[1]),
        span=2 ** (SPAN_OCTAVES * traits[2]),
        pause=2 ** (PAUSE_OCTAVES * traits[5]),
        harmonics=(1.0, faint, 0.4 * faint),
        vibrato_octaves=0.012 * quantiles[4],
        vibrato_hz=own.uniform(12, 30),
    )


def sing(
    voice: Voice, bird: Individual, seconds: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return (sample,) float32, notes near amplitude 1, and (note, 2), begin and end of each in seconds.

    The first phrase begins within the first half second and is always sung as far as it fits; a later one
    that would not fit is not begun.
    """
    wave = np.zeros(round(seconds * SAMPLE_RATE), dtype=np.float32)
    sounding: list[tuple[float, float]] = []
    begin = generator.uniform(0.05, 0.5)
    while begin < seconds:
        notes = voice.notes * int(generator.integers(voice.repeats[0], voice.repeats[1] + 1))
        stretch = np.geomspace(voice.hastening**0.5, voice.hastening**-0.5, len(notes)) / bird.tempo
        stretch *= generator.normal(1, 0.03, len(notes))
        lengths = stretch * [note.seconds + note.gap_seconds for note in notes]
        offsets = np.cumsum([0.0, *lengths])
        if begin + offsets[-1] > seconds and sounding:
            break
        loudness = 10 ** (generator.normal(0, 1.5) / 20)
        for note, offset, factor in zip(notes, offsets[:-1], stretch, strict=True):
            start = round((begin + offset) * SAMPLE_RATE)
            piece = _render(note, bird, note.seconds * factor, generator)
            if start + len(piece) > len(wave):
                break
            wave[start : start + len(piece)] += loudness * piece
            sounding.append((begin + offset, begin + offset + note.seconds * factor))
        begin += offsets[-1] + bird.pause * generator.uniform(*voice.pause_seconds)
    return wave, np.array(sounding).reshape(-1, 2)


def _render(note: Note, bird: Individual, seconds: float, generator: np.random.Generator) -> np.ndarray:
    """Return the samples of one note, (sample,) float32."""
    moments = np.linspace(0, 1, max(round(seconds * SAMPLE_RATE), 16))
    octaves = bird.span * np.interp(moments, np.linspace(0, 1, len(note.contour)), note.contour)
    octaves += bird.vibrato_octaves * np.sin(2 * np.pi * bird.vibrato_hz * seconds * moments)
    loudness = np.full(len(moments), 10 ** (generator.normal(0, 1.0) / 20))
    if note.is_buzz:
        octaves += BUZZ_OCTAVES * generator.standard_normal(len(moments))
        loudness *= 0.55 + 0.45 * np.sin(2 * np.pi * BUZZ_HZ * seconds * moments)
    phase = 2 * np.pi * np.cumsum(bird.pitch_hz * np.exp2(octaves)) / SAMPLE_RATE
    wave = sum(strength * np.sin(k * phase) for k, strength in enumerate(bird.harmonics, start=1))
    edges = np.clip(np.minimum(moments, 1 - moments) / EDGE_SHARE, 0, 1)
    return np.asarray(loudness * wave * np.sin(0.5 * np.pi * edges) ** 2, dtype=np.float32)
