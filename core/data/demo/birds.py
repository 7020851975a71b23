"""The invented birds: names, codes and songs.

Species of one group sing in one band, with one mean spectrum, and differ in time alone. Codes follow eBird's
rule for two-word names (three letters of each word); none of them is a code of the eBird taxonomy 2021.
"""

from typing import NamedTuple

WHISTLE_BAND = (2000.0, 3500.0)
CHIRP_BAND = (2800.0, 5000.0)
TICK_BAND = (5200.0, 7600.0)
COO_BAND = (550.0, 900.0)
STEP = 0.16  # octaves from an individual's pitch to the ends of its whistles


class Note(NamedTuple):
    """One syllable, relative to the individual that sings it."""

    contour: tuple[float, ...]  # octaves from the individual's pitch at evenly spaced moments
    seconds: float
    gap_seconds: float  # silence before the next note
    is_buzz: bool = False  # noise around the pitch, beating, instead of a whistle


class Voice(NamedTuple):
    """The song of a species."""

    pitch_hz: tuple[float, float]  # lowest and highest of individuals
    notes: tuple[Note, ...]  # the pattern that a phrase repeats
    repeats: tuple[int, int]  # fewest and most patterns in a phrase
    pause_seconds: tuple[float, float] = (0.8, 2.0)  # shortest and longest silence between phrases
    hastening: float = 1.0  # length of a phrase's first note and gap over its last; above 1 accelerates


class Species(NamedTuple):
    """An invented bird."""

    code: str
    common_name: str
    scientific_name: str
    voice: Voice


def _whistles(*contours: tuple[float, ...]) -> Voice:
    """Return a song of one to three patterns of whistles, 0.36 s of sound in each."""
    notes = [Note(contour, 0.36 / len(contours), 0.05) for contour in contours]
    notes[-1] = notes[-1]._replace(gap_seconds=0.22)
    return Voice(WHISTLE_BAND, tuple(notes), (2, 4), (0.6, 1.8))


def _trill(notes_per_second: float, repeats: tuple[int, int], hastening: float = 1.0) -> Voice:
    """Return a row of chirps that fill 55 % of the time at any rate."""
    chirp = Note((0.2, -0.2), 0.55 / notes_per_second, 0.45 / notes_per_second)
    return Voice(CHIRP_BAND, (chirp,), repeats, (0.6, 1.8), hastening)


def _rhythm(band: tuple[float, float], seconds: tuple[float, ...], gaps: tuple[float, ...]) -> Voice:
    """Return a song of nearly level notes."""
    notes = tuple(Note((0.05, 0.0, -0.05), *times) for times in zip(seconds, gaps, strict=True))
    return Voice(band, notes, (2, 4))


def _rasps(*is_buzz: bool) -> Voice:
    """Return a song of whistles and buzzes, 0.6 s of sound in each pattern; a longer gap ends it."""
    notes = [Note((-0.1, 0.1), 0.6 / len(is_buzz), 0.06, buzz) for buzz in is_buzz]
    notes[-1] = notes[-1]._replace(gap_seconds=0.3)
    return Voice(CHIRP_BAND, tuple(notes), (2, 3))


TICKS, COOS = (0.04, 0.04), (0.1, 0.1, 0.4)  # seconds of notes, of gaps

RECORDED = (
    Species("embups", "Ember Upsweeper", "Fictornis ascendens", _whistles((-STEP, STEP))),
    Species("dusdow", "Dusk Downsweeper", "Fictornis descendens", _whistles((STEP, -STEP))),
    Species("velste", "Velvet Stepdown", "Gradavis cadens", _whistles((STEP,), (-STEP,))),
    Species("copste", "Copper Stepup", "Gradavis surgens", _whistles((-STEP,), (STEP,))),
    Species("mararc", "Marble Archsinger", "Arcuavis fornix", _whistles((-STEP, STEP, -STEP))),
    Species("holvee", "Hollow Veesinger", "Arcuavis vallis", _whistles((STEP, -STEP, STEP))),
    Species("lanqui", "Lantern Quicktrill", "Trillornis celer", _trill(15.0, (14, 24))),
    Species("melslo", "Mellow Slowtrill", "Trillornis lentus", _trill(7.0, (7, 12))),
    Species("paphas", "Paper Hastener", "Trillornis festinans", _trill(10.0, (10, 17), 3.0)),
    Species("papdaw", "Paper Dawdler", "Trillornis cunctator", _trill(10.0, (10, 17), 1 / 3.0)),
    Species("grabuz", "Granite Buzzer", "Raspavis granitica", _rasps(True)),
    Species("crygli", "Crystal Glider", "Raspavis crystallina", _rasps(False)),
    Species("rusbuz", "Rusty Buzzwhistle", "Raspavis rubigo", _rasps(True, False)),
    Species("ashwhi", "Ashen Whistlebuzz", "Raspavis cinis", _rasps(False, True)),
    Species("tindou", "Tinder Doubletick", "Tiktakus geminus", _rhythm(TICK_BAND, TICKS, (0.04, 0.28))),
    Species("pebmon", "Pebble Monotick", "Tiktakus simplex", _rhythm(TICK_BAND, TICKS, (0.16, 0.16))),
    Species("clolon", "Cloud Longfirst", "Cucullus nubes", _rhythm(COO_BAND, (0.4, 0.15, 0.15), COOS)),
    Species("mislon", "Mist Longlast", "Cucullus nebula", _rhythm(COO_BAND, (0.15, 0.15, 0.4), COOS)),
)  # fmt: skip
UNRECORDED = (
    Species("phapip", "Phantom Piper", "Ignotus tibicen", _rhythm(TICK_BAND, (0.3, 0.1), (0.1, 0.3))),
    Species("echnob", "Echo Nobody", "Ignotus nemo", _rhythm(COO_BAND, (0.1,) * 4, (0.08,) * 3 + (0.5,))),
)  # heard behind other birds, without a recording of their own
BY_CODE = {species.code: species for species in (*RECORDED, *UNRECORDED)}
