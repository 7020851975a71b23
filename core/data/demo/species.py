"""The invented species: names, codes and voices.

Species of one group sing in one band, with one mean spectrum, and differ in time alone. Codes follow eBird's
rule for two-word names (three letters of each word); none of them is a code of the eBird taxonomy 2021.
"""

from dataclasses import dataclass, replace

from core.data.demo.songs import Note, Voice

WHISTLE_BAND = (2000.0, 3500.0)
TRILL_BAND = (2800.0, 5000.0)
RASP_BAND = (2800.0, 5000.0)
TICK_BAND = (5200.0, 7600.0)
COO_BAND = (550.0, 900.0)
STEP = 0.16  # octaves from an individual's pitch to the ends of its whistles
CHIRP = (0.2, -0.2)


@dataclass(frozen=True)
class Species:
    """An invented bird."""

    code: str
    common_name: str
    scientific_name: str
    voice: Voice


def _whistles(*contours: tuple[float, ...], gap_seconds: float = 0.22) -> Voice:
    """Return a song of one to three patterns of whistles, 0.36 s of sound in each."""
    gaps = [0.05] * (len(contours) - 1) + [gap_seconds]
    notes = tuple(
        Note(contour=contour, seconds=0.36 / len(contours), gap_seconds=gap)
        for contour, gap in zip(contours, gaps, strict=True)
    )
    return Voice(pitch_hz=WHISTLE_BAND, notes=notes, repeats=(2, 4))


def _trill(notes_per_second: float, repeats: tuple[int, int], hastening: float = 1.0) -> Voice:
    """Return a row of chirps that fill 55 % of the time at any rate."""
    period = 1 / notes_per_second
    chirp = Note(contour=CHIRP, seconds=0.55 * period, gap_seconds=0.45 * period)
    return Voice(pitch_hz=TRILL_BAND, notes=(chirp,), repeats=repeats, hastening=hastening)


def _rasps(*notes: Note) -> Voice:
    """Return a song of notes with a wide band; a longer gap ends the pattern."""
    notes = (*notes[:-1], replace(notes[-1], gap_seconds=0.3))
    return Voice(pitch_hz=RASP_BAND, notes=notes, repeats=(2, 3), pause_seconds=(0.8, 2.0))


def _rhythm(band: tuple[float, float], seconds: tuple[float, ...], gaps: tuple[float, ...]) -> Voice:
    """Return a song of nearly level notes."""
    notes = tuple(
        Note(contour=(0.05, 0.0, -0.05), seconds=length, gap_seconds=gap)
        for length, gap in zip(seconds, gaps, strict=True)
    )
    return Voice(pitch_hz=band, notes=notes, repeats=(2, 4), pause_seconds=(0.8, 2.0))


BUZZ = Note(contour=(0.0,), seconds=0.5, gap_seconds=0.3, timbre="buzz")
STACK = Note(contour=(0.04, -0.04), seconds=0.5, gap_seconds=0.3, timbre="stack")
SHORT_BUZZ = Note(contour=(0.0,), seconds=0.3, gap_seconds=0.06, timbre="buzz")
SHORT_WHISTLE = Note(contour=(-0.1, 0.1), seconds=0.3, gap_seconds=0.06)

ALL_SPECIES = (
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
    Species("grabuz", "Granite Buzzer", "Raspavis granitica", _rasps(BUZZ)),
    Species("crysta", "Crystal Stacker", "Raspavis crystallina", _rasps(STACK)),
    Species("rusbuz", "Rusty Buzzwhistle", "Raspavis rubigo", _rasps(SHORT_BUZZ, SHORT_WHISTLE)),
    Species("ashwhi", "Ashen Whistlebuzz", "Raspavis cinis", _rasps(SHORT_WHISTLE, SHORT_BUZZ)),
    Species("tindou", "Tinder Doubletick", "Tiktakus geminus", _rhythm(TICK_BAND, (0.04, 0.04), (0.04, 0.28))),
    Species("pebmon", "Pebble Monotick", "Tiktakus simplex", _rhythm(TICK_BAND, (0.04, 0.04), (0.16, 0.16))),
    Species("clolon", "Cloud Longfirst", "Cucullus nubes", _rhythm(COO_BAND, (0.4, 0.15, 0.15), (0.1, 0.1, 0.4))),
    Species("mislon", "Mist Longlast", "Cucullus nebula", _rhythm(COO_BAND, (0.15, 0.15, 0.4), (0.1, 0.1, 0.4))),
)  # fmt: skip

UNRECORDED_SPECIES = (
    Species("phapip", "Phantom Piper", "Ignotus tibicen", _rhythm(TICK_BAND, (0.3, 0.1), (0.1, 0.3))),
    Species("echnob", "Echo Nobody", "Ignotus nemo", _rhythm(COO_BAND, (0.1,) * 4, (0.08,) * 3 + (0.5,))),
)  # heard behind other birds, without a recording of their own

VOICES = {species.code: species.voice for species in (*ALL_SPECIES, *UNRECORDED_SPECIES)}
