"""Synthesis of the demo species' songs: whistles, trills, harmonic stacks and buzzes.

A `Voice` is what a species shares, an `Individual` how one bird of it sings. Voices differ in the order and
rhythm of their notes and hardly in their mean spectrum, since the pitch of an individual is drawn from a
band that several species share: what the demo asks of a model is to see time.
"""

import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import fft
from scipy.special import ndtr

SAMPLE_RATE = 32000
HIGHEST_HZ = 0.45 * SAMPLE_RATE
EDGE_SHARE = 0.25  # of a note that it takes to swell, and again to fade
DIALECT_SHARE = 0.4  # of an individual's variance that it shares with its neighbours
TEMPO_OCTAVES = 0.16  # standard deviations between individuals
SPAN_OCTAVES = 0.3
FORMANT_OCTAVES = 0.3  # width of the band that stacks and buzzes fill
STACK_SPACING = 5.0  # how often a stack's fundamental goes into the individual's pitch
RATTLE_HZ = 24.0  # a buzz beats slowly enough for frames of 16 ms

Timbre = Literal["whistle", "stack", "buzz"]


def generator_of(seed: int, *words: str | int) -> np.random.Generator:
    """Return the random stream of one named thing, independent of every other and of their order."""
    return np.random.default_rng([seed, *(zlib.crc32(str(word).encode()) for word in words)])


@dataclass(frozen=True, kw_only=True)
class Note:
    """One syllable, relative to the individual that sings it.

    Attributes
    ----------
    contour
        Octaves from the individual's pitch at evenly spaced moments of the note.
    seconds
        Length.
    gap_seconds
        Silence before the next note.
    timbre
        A sine with faint harmonics, a harmonic stack in a band, or rattling noise in that band.
    """

    contour: tuple[float, ...]
    seconds: float
    gap_seconds: float
    timbre: Timbre = "whistle"


@dataclass(frozen=True, kw_only=True)
class Voice:
    """The song of a species.

    Attributes
    ----------
    pitch_hz
        Lowest and highest pitch of individuals.
    notes
        The pattern that a phrase repeats.
    repeats
        Fewest and most patterns in a phrase.
    hastening
        Length of a phrase's first note and gap over its last: 1 is steady, above 1 accelerates.
    pause_seconds
        Shortest and longest silence between phrases.
    """

    pitch_hz: tuple[float, float]
    notes: tuple[Note, ...]
    repeats: tuple[int, int]
    hastening: float = 1.0
    pause_seconds: tuple[float, float] = (0.6, 1.8)


@dataclass(frozen=True)
class Individual:
    """How one bird sings its species' song."""

    pitch_hz: float
    tempo: float
    span: float
    harmonics: np.ndarray
    vibrato_octaves: float
    vibrato_hz: float
    pause: float


@dataclass(frozen=True)
class Song:
    """What was sung.

    Attributes
    ----------
    wave
        (sample,) float32, notes near amplitude 1.
    sounding
        (note, 2) float64, begin and end of every note in seconds.
    """

    wave: np.ndarray
    sounding: np.ndarray


def hatch(voice: Voice, dialect: np.random.Generator, own: np.random.Generator) -> Individual:
    """Return a bird of a species.

    Parameters
    ----------
    voice
        The species' song.
    dialect
        Random stream that the birds of one place share.
    own
        Random stream of this bird.
    """
    shared, single = dialect.standard_normal(6), own.standard_normal(6)
    traits = np.sqrt(DIALECT_SHARE) * shared + np.sqrt(1 - DIALECT_SHARE) * single
    quantiles = ndtr(traits)
    low, high = voice.pitch_hz
    faint = 10 ** (-(12 + 25 * quantiles[3]) / 20)
    return Individual(
        pitch_hz=low * (high / low) ** quantiles[0],
        tempo=2 ** (TEMPO_OCTAVES * traits[1]),
        span=2 ** (SPAN_OCTAVES * traits[2]),
        harmonics=np.array([1.0, faint, 0.4 * faint]),
        vibrato_octaves=0.012 * quantiles[4],
        vibrato_hz=own.uniform(12, 30),
        pause=2 ** (0.4 * traits[5]),
    )


def sing(voice: Voice, individual: Individual, seconds: float, generator: np.random.Generator) -> Song:
    """Sing phrase after phrase for a given time; a phrase that would not fit is not begun.

    The first phrase begins within the first half second and is always sung; a note of it that would not
    fit is left out.

    Parameters
    ----------
    voice, individual
        Species and bird.
    seconds
        Length of the song with its pauses.
    generator
        Draws the lengths of phrases and pauses, and the loudness of notes.
    """
    num_samples = round(seconds * SAMPLE_RATE)
    wave = np.zeros(num_samples, dtype=np.float32)
    sounding: list[tuple[float, float]] = []
    begin = generator.uniform(0.05, 0.5)
    while begin < seconds:
        phrase = _plan_phrase(voice, individual, generator)
        end = begin + phrase[-1][1] + phrase[-1][2]
        if end > seconds and sounding:
            break
        loudness = 10 ** (generator.normal(0, 1.5) / 20)
        for note, offset, length in phrase:
            start = round((begin + offset) * SAMPLE_RATE)
            piece = _render(note, individual, length, generator)
            if start + len(piece) > num_samples:
                break
            wave[start : start + len(piece)] += loudness * piece
            sounding.append((begin + offset, begin + offset + length))
        begin = end + individual.pause * generator.uniform(*voice.pause_seconds)
    return Song(wave, np.array(sounding).reshape(-1, 2))


def sounding_seconds(sounding: np.ndarray, begin: float, end: float) -> float:
    """Return how long notes sound between two moments, pauses between the notes left out."""
    overlap = np.minimum(sounding[:, 1], end) - np.maximum(sounding[:, 0], begin)
    return float(overlap.clip(min=0).sum())


def _plan_phrase(
    voice: Voice, individual: Individual, generator: np.random.Generator
) -> list[tuple[Note, float, float]]:
    """Return every note of a phrase with its offset and length in seconds."""
    repeats = int(generator.integers(voice.repeats[0], voice.repeats[1] + 1))
    notes = voice.notes * repeats
    stretch = np.geomspace(voice.hastening**0.5, voice.hastening**-0.5, len(notes)) / individual.tempo
    planned, offset = [], 0.0
    for note, factor in zip(notes, stretch * generator.normal(1, 0.03, len(notes)), strict=True):
        planned.append((note, offset, note.seconds * factor))
        offset += (note.seconds + note.gap_seconds) * factor
    return planned


def _render(note: Note, individual: Individual, seconds: float, generator: np.random.Generator) -> np.ndarray:
    """Return the samples of one note, (sample,) float32."""
    num_samples = max(round(seconds * SAMPLE_RATE), 16)
    moments = np.linspace(0, 1, num_samples, dtype=np.float32)
    knots = np.linspace(0, 1, len(note.contour))
    octaves = individual.span * np.interp(moments, knots, note.contour)
    vibrato = np.sin(2 * np.pi * individual.vibrato_hz * seconds * moments)
    hertz = individual.pitch_hz * np.exp2(octaves + individual.vibrato_octaves * vibrato)
    if note.timbre == "whistle":
        wave = _tone(hertz, individual.harmonics)
    elif note.timbre == "stack":
        multiples = np.arange(1, 3 * int(STACK_SPACING) + 1)
        strengths = _formant(multiples / STACK_SPACING)
        wave = _tone(hertz / STACK_SPACING, strengths / np.sqrt(np.square(strengths).sum()))
    else:
        wave = _rattle(hertz, seconds, generator)
    edges = np.clip(np.minimum(moments, 1 - moments) / EDGE_SHARE, 0, 1)
    loudness = 10 ** (generator.normal(0, 1.0) / 20)
    return (loudness * wave * np.sin(0.5 * np.pi * edges) ** 2).astype(np.float32)


def _tone(hertz: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """Return a gliding tone whose k-th harmonic has the k-th strength."""
    phase = 2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE
    highest = hertz.max()
    wave = np.zeros(len(hertz))
    for multiple, strength in enumerate(strengths, start=1):
        if multiple * highest < HIGHEST_HZ and strength > 1e-3:
            wave += strength * np.sin(multiple * phase)
    return wave


def _formant(ratio: np.ndarray) -> np.ndarray:
    """Return the strength of a band around a pitch, at given ratios to that pitch."""
    return np.exp(-0.5 * (np.log2(ratio) / FORMANT_OCTAVES) ** 2)


def _rattle(hertz: np.ndarray, seconds: float, generator: np.random.Generator) -> np.ndarray:
    """Return noise in the band that a harmonic stack of this pitch fills, beating."""
    size = fft.next_fast_len(len(hertz), real=True)
    frequencies = np.arange(1, size // 2 + 1) * SAMPLE_RATE / size
    spectrum = np.zeros(size // 2 + 1, dtype=np.complex128)
    noise = generator.standard_normal((2, size // 2))
    spectrum[1:] = (noise[0] + 1j * noise[1]) * _formant(frequencies / hertz.mean())
    wave = fft.irfft(spectrum, size)[: len(hertz)]
    moments = np.linspace(0, seconds, len(hertz))
    beats = 0.55 + 0.45 * np.sin(2 * np.pi * RATTLE_HZ * moments)
    return wave * beats / (np.sqrt(2 * np.square(wave).mean()) + 1e-9)
