"""Soundscapes in the page: a picture of each, its sound, what was detected, and what is truly there."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from analysis.report.media import AUDIO_RATE, PICTURE, frequency_ticks, opus, picture, read_stretch
from analysis.soundscapes import read_soundscapes
from core.config import require
from core.data.audio import duration_seconds
from core.data.decoding import AudioError
from core.data.soundscapes import WINDOW_SECONDS, find_soundscapes, read_targets
from core.scoring.intervals import QUANTILE
from core.scoring.predictions import Predictions

EN_DASH = "\N{EN DASH}"


@dataclass(frozen=True)
class Decided:
    """The windows of soundscapes with their decisions.

    Attributes
    ----------
    predictions
        Of the windows, sorted by file and time.
    detected
        (window, species) bool.
    rule
        How it was decided, in words.
    """

    predictions: Predictions
    detected: np.ndarray
    rule: str

    @cached_property
    def names(self) -> list[str]:
        """File ids."""
        return list(np.unique(self.predictions.recording))

    @cached_property
    def marks(self) -> np.ndarray:
        """How much there is to see in each window, (window,): detections and species that are there."""
        return (self.detected.astype(int) + self.predictions.truth).sum(axis=1)

    def windows_of(self, name: str) -> np.ndarray:
        """Return the positions of a file's windows, (window,)."""
        return np.flatnonzero(self.predictions.recording == name)


def read_decided(probabilities: Path, submission: Path | None, truth: Path | None) -> Decided:
    """Return the predictions that `core.inference --probabilities` wrote, with decisions and truth.

    Parameters
    ----------
    probabilities
        Table of the windows.
    submission
        Table of `row_id,target`; None: a quantile of all probabilities decides.
    truth
        Table of `row_id,target`; None: nothing is known.

    Raises
    ------
    ValueError
        If a file is missing, has other columns, or no row about these windows.
    """
    found = read_soundscapes(probabilities, truth)
    if submission is None:
        limit = float(np.quantile(found.probability, QUANTILE))
        rule = f"A species counts as detected where it reaches {limit:.3g}, the {QUANTILE:g} quantile of all"
        return Decided(found, found.probability >= limit, rule)
    ends = found.start_seconds + WINDOW_SECONDS
    detected, _ = read_targets("submission", submission, found.recording, ends, found.species)
    return Decided(found, detected, f"Detections are those of {submission.name}")


@dataclass(frozen=True)
class Window:
    """A window of one species, placed on an excerpt.

    Attributes
    ----------
    start
        Seconds from the start of the excerpt.
    times
        From when to when in the soundscape, such as 0:05-0:10.
    left, width
        In percent of the excerpt.
    probability
        That was predicted.
    detected
        Whether the species was.
    is_true
        Whether it is there; None: nobody said.
    """

    start: float
    times: tuple[str, str]
    left: float
    width: float
    probability: float
    detected: bool
    is_true: bool | None

    @property
    def kind(self) -> str:
        """What a decision about it is."""
        if self.is_true is None:
            return "detected" if self.detected else "quiet"
        if self.is_true:
            return "hit" if self.detected else "miss"
        return "false alarm" if self.detected else "quiet"


@dataclass(frozen=True)
class Excerpt:
    """A stretch of a soundscape as the page shows it.

    Attributes
    ----------
    name
        File id.
    start, seconds, total_seconds
        Where it begins, how long it is, how long the file is.
    image, audio
        WebP and Ogg Opus.
    windows
        (window,) positions in the predictions.
    """

    name: str
    start: float
    seconds: float
    total_seconds: float
    image: bytes
    audio: bytes
    windows: np.ndarray

    @property
    def num_bytes(self) -> int:
        """Size within the page, where three bytes are four characters."""
        return (len(self.image) + len(self.audio)) * 4 // 3


def shown_stretch(decided: Decided, name: str, total_seconds: float, longest: float) -> tuple[float, float]:
    """Return start and end of the part that is shown: all, or the windows with most to see."""
    if total_seconds <= longest:
        return 0.0, total_seconds
    windows = decided.windows_of(name)
    number = min(max(int(longest // WINDOW_SECONDS), 1), len(windows))
    highest = decided.predictions.probability[windows].max(axis=1)
    sums = np.convolve(decided.marks[windows] + 1e-6 * highest, np.ones(number), "valid")
    start = float(decided.predictions.start_seconds[windows[sums.argmax()]])
    return start, min(start + number * WINDOW_SECONDS, total_seconds)


def read_excerpt(decided: Decided, name: str, path: Path, longest: float) -> Excerpt:
    """Return a soundscape, or the stretch of at most `longest` seconds that shows most, as picture and sound.

    Raises
    ------
    AudioError
        If the file cannot be decoded.
    """
    total = duration_seconds(path)
    start, end = shown_stretch(decided, name, total, longest)
    windows = decided.windows_of(name)
    starts = decided.predictions.start_seconds[windows]
    wave = read_stretch(path, PICTURE.sample_rate, start, end)
    if len(wave) == 0:
        raise AudioError(f"it ends before {start:.0f} s")
    if (seconds := len(wave) / PICTURE.sample_rate) < end - start - 0.1:  # its header says more
        end = total = start + seconds
    inside = windows[(starts >= start - 0.01) & (starts < end - 0.01)]
    return Excerpt(
        name, start, end - start, total, picture(wave),
        opus(read_stretch(path, AUDIO_RATE, start, end)), inside,
    )  # fmt: skip


def choose_excerpts(
    folder: Path, decided: Decided, *, number: int, longest: float, num_bytes: int
) -> tuple[list[Excerpt], list[str]]:
    """Return the soundscapes that fit, in the order of their names, and what is said of the rest.

    Those with most detections and true windows are preferred.

    Parameters
    ----------
    folder
        Of the audio.
    decided
        Predictions and decisions about it.
    number
        Soundscapes at most.
    longest
        Seconds of each at most.
    num_bytes
        Of all pictures and sounds in the page at most.

    Raises
    ------
    ValueError
        If no soundscape of the predictions is in the folder.
    """
    files = find_soundscapes((str(folder),))
    names = sorted(name for name in decided.names if name in files)
    waiting = sorted(names, key=lambda name: -decided.marks[decided.windows_of(name)].sum())
    require(
        len(names) > 0,
        f"soundscapes={folder}: none of the {len(decided.names)} files of the probabilities, such as "
        f"{decided.names[0]}, is there",
    )
    unplayed: list[str] = []
    shown: list[Excerpt] = []
    while waiting and len(shown) < number:
        file = files[waiting[0]]
        try:
            one = read_excerpt(decided, waiting[0], file, longest)
        except AudioError as error:
            unplayed.append(f"{file.name} cannot be played: {error}")
        else:
            num_bytes -= one.num_bytes
            if num_bytes < 0:
                break
            shown.append(one)
        waiting.pop(0)
    notes = [
        f"{len(waiting)} of {len(names)} are left out to keep the page small; those with most detections "
        "and true windows are shown"
    ] if waiting else []  # fmt: skip
    if absent := len(decided.names) - len(names):
        unplayed.append(f"{absent} files of the probabilities are not in {folder}")
    return sorted(shown, key=lambda one: one.name), notes + unplayed


def lanes_of(one: Excerpt, decided: Decided) -> dict[str, Any]:
    """Return a soundscape's species over time, those with a detection or a true window, and their sum."""
    rows, detected = decided.predictions.rows(one.windows), decided.detected[one.windows]
    has_marks = (detected | rows.truth).any(axis=0)
    lanes = {
        rows.species[column]: [
            place_window(
                one, float(start), float(rows.probability[i, column]), detected=bool(detected[i, column]),
                is_true=bool(rows.truth[i, column]) if rows.known[i, column] else None,
            )
            for i, start in enumerate(rows.start_seconds)
        ]
        for column in np.flatnonzero(has_marks)
    }  # fmt: skip
    kinds = Counter(window.kind for windows in lanes.values() for window in windows)
    found = [found for species, windows in lanes.items() for found in detections(species, windows)]
    return {
        "lanes": lanes,
        "detections": sorted(found, key=lambda one: (one["start"], one["species"])),
        "num_detected": int(detected.sum()),
        "has_truth": bool(rows.known.any()),
        "hits": kinds["hit"],
        "misses": kinds["miss"],
        "alarms": kinds["false alarm"],
        "silent": [rows.species[column] for column in np.flatnonzero(~has_marks)],
    }


def place_window(
    one: Excerpt, start: float, probability: float, *, detected: bool, is_true: bool | None
) -> Window:
    """Return a window that begins at `start` seconds of the soundscape; the rest as in `Window`."""
    seconds = min(WINDOW_SECONDS, one.start + one.seconds - start)
    return Window(
        start - one.start, (clock_time(start), clock_time(start + seconds)),
        round(100 * (start - one.start) / one.seconds, 3), round(100 * seconds / one.seconds, 3),
        round(probability, 3), detected, is_true,
    )  # fmt: skip


def detections(species: str, windows: Sequence[Window]) -> Iterator[dict[str, Any]]:
    """Yield a species' detections; windows of one kind that follow one another are one."""
    for kind, group in groupby(windows, key=lambda window: window.kind if window.detected else ""):
        together = list(group)
        if kind:
            yield {
                "species": species,
                "kind": kind,
                "start": together[0].start,
                "times": f"{together[0].times[0]}{EN_DASH}{together[-1].times[1]}",
                "probability": max(window.probability for window in together),
            }


def clock_time(seconds: float) -> str:
    """Return such as 1:05."""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


def time_ticks(one: Excerpt) -> list[tuple[str, float]]:
    """Return labels and places in percent of round times within the excerpt."""
    step = next((s for s in (5, 10, 15, 30, 60, 120, 300) if one.seconds / s <= 7), 600)
    first = int(np.ceil(one.start / step) * step)
    return [
        (clock_time(t), round(100 * (t - one.start) / one.seconds, 3))
        for t in range(first, int(one.start + one.seconds) + 1, step)
    ]


def browser_content(
    folder: Path, decided: Decided, *, number: int, longest: float, num_bytes: int
) -> dict[str, Any]:
    """Return what the template shows of soundscapes; parameters and errors as in `choose_excerpts`."""
    shown, notes = choose_excerpts(folder, decided, number=number, longest=longest, num_bytes=num_bytes)
    return {
        "soundscapes": [
            {
                "excerpt": one,
                "times": time_ticks(one),
                "stretch": f"{clock_time(one.start)}{EN_DASH}{clock_time(one.start + one.seconds)}",
                "total": clock_time(one.total_seconds),
                **lanes_of(one, decided),
            }
            for one in shown
        ],
        "khz": frequency_ticks(),
        "rule": decided.rule,
        "source": decided.predictions.name,
        "has_truth": bool(decided.predictions.known.any()),
        "notes": notes,
        "num_all": len(decided.names),
    }
