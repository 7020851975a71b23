"""What a microphone hears: recordings near one bird, and soundscapes of a distant site.

Recordings are made at many places, each author with a microphone and neighbours of one dialect. Soundscapes
all come from one site that no recording is from: birds sit farther away, echoes are longer, several
species sing at once and the background is louder.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft

from core.data.demo.backgrounds import BACKGROUNDS, coloured_noise, frequencies_of, rms
from core.data.demo.songs import SAMPLE_RATE, generator_of, hatch, sing
from core.data.demo.species import VOICES

AIR_DB_PER_METRE_AT_4_KHZ = 0.06
EQUALISER_HZ = (60.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16000.0)
EQUALISER_DB = 3.0  # standard deviation of an author's microphone, and again of each recording
AUDIBLE = 0.05  # of a note's full amplitude
SITE = "site"
SITE_ECHO_SECONDS = 0.7


@dataclass(frozen=True, kw_only=True)
class Singer:
    """A bird in a scene.

    Attributes
    ----------
    species
        Its code.
    snr_db
        Level of its song over the background, both in the band of the birds.
    begin_seconds, seconds
        When it sings, pauses included.
    """

    species: str
    snr_db: float
    begin_seconds: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Way:
    """The way from a bird to the microphone.

    Attributes
    ----------
    metres
        Distance; the air takes high frequencies first.
    echo_seconds
        Time in which the echoes fall by 60 dB.
    echo_db
        Level of the echoes relative to the direct sound.
    """

    metres: float
    echo_seconds: float
    echo_db: float


@dataclass(frozen=True)
class Scene:
    """Audio with its truth.

    Attributes
    ----------
    wave
        (sample,) float32 in [-1, 1].
    sounding
        Species -> (note, 2) float64, begin and end of every note in seconds.
    """

    wave: np.ndarray
    sounding: dict[str, np.ndarray]


def make_background(kind: str, seconds: float, seed: int, index: int) -> np.ndarray:
    """Return a call-free background of a kind of `BACKGROUNDS`, (sample,) float32."""
    generator = generator_of(seed, "background", kind, index)
    wave = BACKGROUNDS[kind](round(seconds * SAMPLE_RATE), generator)
    return at_peak(equalise(wave, generator.normal(0, EQUALISER_DB, len(EQUALISER_HZ))), -9.0)


def make_recording(name: str, author: str, seconds: float, singers: Sequence[Singer], seed: int) -> Scene:
    """Return a recording of near birds.

    Parameters
    ----------
    name
        Name of the recording, from which its random stream is named.
    author
        Its author, who owns a microphone and hears the dialect of one neighbourhood.
    seconds
        Length.
    singers
        The birds.
    seed
        Of the data set.
    """
    generator = generator_of(seed, "recording", name)
    num_samples = round(seconds * SAMPLE_RATE)
    wave = coloured_noise(num_samples, generator.uniform(-9, 0), generator)
    if generator.random() < 0.5:
        kind = str(generator.choice(list(BACKGROUNDS)))
        wave += 10 ** (generator.uniform(-8, 0) / 20) * BACKGROUNDS[kind](num_samples, generator)
    microphone = generator_of(seed, "microphone", author).normal(0, EQUALISER_DB, len(EQUALISER_HZ))
    gains_db = microphone + generator.normal(0, EQUALISER_DB, len(EQUALISER_HZ))
    way = Way(
        metres=generator.uniform(5, 60),
        echo_seconds=generator.uniform(0.1, 0.5),
        echo_db=generator.uniform(-20, -6),
    )
    sounding = perform(wave, singers, [way] * len(singers), author, seed, generator)
    return Scene(at_peak(equalise(wave, gains_db), generator.uniform(-20, -1)), sounding)


def make_soundscape(name: str, seconds: float, singers: Sequence[Singer], seed: int) -> Scene:
    """Return a soundscape of the site; see `make_recording`."""
    generator = generator_of(seed, "soundscape", name)
    num_samples = round(seconds * SAMPLE_RATE)
    site = generator_of(seed, SITE)
    gains_db = site.normal(0, EQUALISER_DB, len(EQUALISER_HZ))
    wave = coloured_noise(num_samples, -5.0 + generator.normal(0, 0.5), generator)
    for kind in generator.permutation(list(BACKGROUNDS))[:2]:
        wave += 10 ** (generator.uniform(-10, -2) / 20) * BACKGROUNDS[str(kind)](num_samples, generator)
    ways = [
        Way(
            metres=generator.uniform(40, 120),
            echo_seconds=SITE_ECHO_SECONDS * generator.uniform(0.8, 1.2),
            echo_db=generator.uniform(-12, -4),
        )
        for _ in singers
    ]
    sounding = perform(wave, singers, ways, SITE, seed, generator)
    return Scene(at_peak(equalise(wave, gains_db), generator.uniform(-12, -3)), sounding)


def perform(
    wave: np.ndarray,
    singers: Sequence[Singer],
    ways: Sequence[Way],
    dialect: str,
    seed: int,
    generator: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Add birds to a background of level 1, in place.

    Parameters
    ----------
    wave
        (sample,) float32, the background.
    singers, ways
        The birds and where they sit.
    dialect
        Name of the neighbourhood.
    seed
        Of the data set.
    generator
        Random stream of the scene.

    Returns
    -------
    dict
        As `Scene.sounding`.
    """
    sounding: dict[str, list[np.ndarray]] = {}
    for singer, way in zip(singers, ways, strict=True):
        voice = VOICES[singer.species]
        neighbours = generator_of(seed, "dialect", singer.species, dialect)
        song = sing(voice, hatch(voice, neighbours, generator), singer.seconds, generator)
        heard = travel(song.wave, way, generator)
        loud = heard[np.abs(song.wave) > AUDIBLE]
        start = round(singer.begin_seconds * SAMPLE_RATE)
        room = wave[start : start + len(heard)]
        room += (10 ** (singer.snr_db / 20) / rms(loud)) * heard[: len(room)]
        sounding.setdefault(singer.species, []).append(song.sounding + singer.begin_seconds)
    return {species: np.concatenate(notes) for species, notes in sounding.items()}


def travel(wave: np.ndarray, way: Way, generator: np.random.Generator) -> np.ndarray:
    """Return a song as it arrives: dulled by the air and followed by echoes, (sample,) float32."""
    num_echo = max(round(1.2 * way.echo_seconds * SAMPLE_RATE), 1)
    moments = np.arange(num_echo) / SAMPLE_RATE
    echoes = generator.standard_normal(num_echo) * np.exp(-6.9 * moments / way.echo_seconds)
    echoes *= 10 ** (way.echo_db / 20) / np.sqrt(np.square(echoes).sum())
    echoes[0] = 1.0
    size = fft.next_fast_len(len(wave) + num_echo, real=True)
    lost_db = AIR_DB_PER_METRE_AT_4_KHZ * way.metres * frequencies_of(size) / 4000.0
    response = fft.rfft(echoes.astype(np.float32), size) * 10 ** (-lost_db / 20)
    return fft.irfft(fft.rfft(wave, size) * response, size)[: len(wave)]


def equalise(wave: np.ndarray, gains_db: np.ndarray) -> np.ndarray:
    """Return a wave through a microphone with given gains at `EQUALISER_HZ`."""
    size = fft.next_fast_len(len(wave), real=True)
    octaves = np.log2(np.maximum(frequencies_of(size), EQUALISER_HZ[0]))
    gain = 10 ** (np.interp(octaves, np.log2(EQUALISER_HZ), gains_db) / 20)
    return fft.irfft(fft.rfft(wave, size) * gain.astype(np.float32), size)[: len(wave)]


def at_peak(wave: np.ndarray, peak_db: float) -> np.ndarray:
    """Return a wave scaled to a peak in dB below full scale, (sample,) float32."""
    return (wave * (10 ** (peak_db / 20) / (np.abs(wave).max() + 1e-9))).astype(np.float32)
