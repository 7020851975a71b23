"""What a demo data set holds: counts, lengths, and the sheet of every recording and soundscape.

All random decisions are functions of the seed and of the recording's or soundscape's name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from core.data.demo.scenes import Singer
from core.data.demo.songs import generator_of
from core.data.demo.species import ALL_SPECIES, UNRECORDED_SPECIES

WINDOW_SECONDS = 5
FORENAMES = "Alder Birch Cedar Dogwood Elder Fir Gorse Hazel Ivy Juniper Kapok Linden Maple Nettle"
AUTHORS = tuple(f"Recordist {name}" for name in FORENAMES.split())
RECORDING_SNR_DB = (-8.0, 14.0)
SITE_SNR_DB = (-9.0, 9.0)
SECONDARY_SHARE = 0.24  # of recordings with another species behind the first
UNKNOWN_SHARE = 0.03  # of recordings with a species that has no files of its own
FIRST_NUMBER = 100001

FULL_RECORDINGS = MappingProxyType(
    {
        "embups": 40, "dusdow": 24, "lanqui": 14, "melslo": 8, "velste": 3, "paphas": 2,
        "tindou": 14, "grabuz": 13, "copste": 12, "papdaw": 11, "mararc": 9, "crysta": 8, "rusbuz": 7,
        "holvee": 5, "ashwhi": 4, "pebmon": 3, "clolon": 2, "mislon": 1,
    }
)  # fmt: skip
FULL_SCORED = ("embups", "dusdow", "lanqui", "melslo", "velste", "paphas")


@dataclass(frozen=True, kw_only=True)
class DemoPlan:
    """Counts and lengths of a demo data set.

    Attributes
    ----------
    recordings
        Species -> number of recordings.
    scored
        The judged species.
    recording_seconds, background_seconds
        Shortest and longest.
    num_backgrounds, num_soundscapes
        Numbers of files.
    soundscape_seconds
        Length of a soundscape, a whole number of windows.
    """

    recordings: Mapping[str, int] = field(default_factory=lambda: FULL_RECORDINGS)
    scored: tuple[str, ...] = FULL_SCORED
    recording_seconds: tuple[float, float] = (5.0, 20.0)
    num_backgrounds: int = 48
    background_seconds: tuple[float, float] = (8.0, 16.0)
    num_soundscapes: int = 10
    soundscape_seconds: int = 60

    def __post_init__(self) -> None:
        """Check that every species is known and every length possible."""
        known = {species.code for species in ALL_SPECIES}
        unknown = sorted(set(self.recordings) - known)
        if unknown or min(self.recordings.values(), default=0) < 1:
            message = (
                f"plan.recordings={dict(self.recordings)}: expected counts of at least 1 for some of {known}"
            )
            raise ValueError(message)
        if not self.scored or set(self.scored) - set(self.recordings):
            message = f"plan.scored={self.scored}: expected one or more of {sorted(self.recordings)}"
            raise ValueError(message)
        if self.soundscape_seconds % WINDOW_SECONDS or self.soundscape_seconds < 2 * WINDOW_SECONDS:
            message = (
                f"plan.soundscape_seconds={self.soundscape_seconds}: expected a multiple of "
                f"{WINDOW_SECONDS}, at least {2 * WINDOW_SECONDS}"
            )
            raise ValueError(message)
        for name in ("recording_seconds", "background_seconds"):
            shortest, longest = getattr(self, name)
            if not 3.0 <= shortest <= longest:
                message = f"plan.{name}={(shortest, longest)}: expected (shortest, longest), at least 3 s"
                raise ValueError(message)


@dataclass(frozen=True, kw_only=True)
class RecordingSheet:
    """What is known about a recording before it is made.

    Attributes
    ----------
    name
        File name without its suffix, in the manner of a xeno-canto number.
    species
        Code of the bird it is of.
    author, seconds
        Who made it, and its length.
    singers
        The bird, and those behind it.
    """

    name: str
    species: str
    author: str
    seconds: float
    singers: tuple[Singer, ...]

    @property
    def secondary(self) -> list[str]:
        """Codes of the species behind the first."""
        return [singer.species for singer in self.singers[1:]]


@dataclass(frozen=True, kw_only=True)
class SoundscapeSheet:
    """What is known about a soundscape before it is made: its name, length and singers."""

    name: str
    seconds: float
    singers: tuple[Singer, ...]


def tiny_plan() -> DemoPlan:
    """Return a plan for tests: 6 species, 3 scored, 20 recordings, 1 soundscape; made in a second."""
    return DemoPlan(
        recordings={"embups": 6, "dusdow": 4, "copste": 3, "lanqui": 3, "papdaw": 3, "grabuz": 1},
        scored=("embups", "dusdow", "lanqui"),
        recording_seconds=(5.0, 6.0),
        num_backgrounds=2,
        background_seconds=(5.0, 6.0),
        num_soundscapes=1,
        soundscape_seconds=20,
    )


def plan_recordings(plan: DemoPlan, seed: int) -> list[RecordingSheet]:
    """Return the sheets of all recordings, species by species."""
    species = [code for code, count in plan.recordings.items() for _ in range(count)]
    generator = generator_of(seed, "recordings")
    order = generator.permutation(len(species))
    with_secondary = set(order[: round(SECONDARY_SHARE * len(species))].tolist())
    with_unknown = set(order[-max(round(UNKNOWN_SHARE * len(species)), 1) :].tolist())
    first = FIRST_NUMBER + 1000 * seed  # as xeno-canto's numbers, no two sets share one
    return [
        _plan_recording(plan, seed, f"XD{first + i}", code, i in with_secondary, i in with_unknown)
        for i, code in enumerate(species)
    ]


def _plan_recording(
    plan: DemoPlan, seed: int, name: str, species: str, has_secondary: bool, has_unknown: bool
) -> RecordingSheet:
    generator = generator_of(seed, "sheet", name)
    seconds = float(np.exp(generator.uniform(*np.log(plan.recording_seconds))))
    shares = 1.0 / np.arange(1, len(AUTHORS) + 1)
    author = str(generator.choice(AUTHORS, p=shares / shares.sum()))
    snr_db = generator.uniform(*RECORDING_SNR_DB)
    singers = [Singer(species=species, snr_db=snr_db, begin_seconds=0.0, seconds=seconds)]
    behind: list[str] = []
    if has_secondary:
        others = [code for code in plan.recordings if code != species]
        behind += generator.choice(others, size=1 + (generator.random() < 0.15), replace=False).tolist()
    if has_unknown:
        behind.append(str(generator.choice([unheard.code for unheard in UNRECORDED_SPECIES])))
    for code in behind:
        length = seconds * generator.uniform(0.6, 0.9)
        begin = generator.uniform(0, seconds - length)
        softer = snr_db - generator.uniform(3, 9)
        singers.append(Singer(species=code, snr_db=softer, begin_seconds=begin, seconds=length))
    return RecordingSheet(name=name, species=species, author=author, seconds=seconds, singers=tuple(singers))


def plan_soundscapes(plan: DemoPlan, seed: int) -> list[SoundscapeSheet]:
    """Return the sheets of all soundscapes; every scored species sings in some of them."""
    generator = generator_of(seed, "soundscapes")
    number = plan.num_soundscapes
    present: list[list[str]] = [[] for _ in range(number)]
    for code in plan.recordings:
        share = 0.4 if code in plan.scored else 0.2
        for i in generator.permutation(number)[: max(round(share * number), code in plan.scored)]:
            present[i].append(code)
    return [_plan_soundscape(plan, seed, 2022001 + 17 * i, codes) for i, codes in enumerate(present)]


def _plan_soundscape(plan: DemoPlan, seed: int, number: int, species: list[str]) -> SoundscapeSheet:
    name = f"soundscape_{number}"
    generator = generator_of(seed, "sheet", name)
    whole = float(plan.soundscape_seconds)
    singers = []
    for code in species:
        for _ in range(generator.integers(1, 3)):
            length = min(generator.uniform(5, 14), 0.45 * whole)
            singers.append(
                Singer(
                    species=code,
                    snr_db=generator.uniform(*SITE_SNR_DB),
                    begin_seconds=generator.uniform(0, whole - length),
                    seconds=length,
                )
            )
    # files of the competition are within a few milliseconds of one minute
    seconds = whole + generator.uniform(-0.01, 0.01)
    return SoundscapeSheet(name=name, seconds=seconds, singers=tuple(singers))
