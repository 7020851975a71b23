"""Soundscapes in the page: a picture of each, its sound, what was detected, and what is truly there."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from analysis.report.media import AUDIO_RATE, PICTURE, frequency_ticks, ogg, picture, read_stretch
from analysis.soundscapes import read_soundscapes
from core.config import require
from core.data.audio import duration_seconds
from core.data.decoding import AudioError
from core.data.soundscapes import WINDOW_SECONDS, find_soundscapes, read_targets
from core.scoring.intervals import QUANTILE
from core.scoring.predictions import Predictions
from core.wording import counted

EN_DASH = "\N{EN DASH}"
TICK_SECONDS = (5, 10, 15, 30, 60, 120, 300, 600)
MOST_TICKS = 7


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
    def windows(self) -> dict[str, np.ndarray]:
        """File id -> positions of its windows, (window,)."""
        names = self.predictions.recording
        return {str(name): np.flatnonzero(names == name) for name in np.unique(names)}

    @cached_property
    def marks(self) -> np.ndarray:
        """How much there is to see in each window, (window,): detections and species that are there."""
        return (self.detected.astype(int) + self.predictions.truth).sum(axis=1)


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
    """A window of one species: seconds from the start of its excerpt, times of the soundscape, and decision.

    `left` and `width` are percents of the excerpt; `is_true` is None where nobody said.
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
        if not self.detected:
            return "miss" if self.is_true else "quiet"
        return {None: "detected", True: "hit", False: "false alarm"}[self.is_true]


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

    def percent(self, seconds: float) -> float:
        """Return a time of the soundscape as its place in the excerpt."""
        return round(100 * (seconds - self.start) / self.seconds, 3)


def _read_excerpt(decided: Decided, name: str, path: Path, longest: float) -> Excerpt:
    """Return a soundscape, or the `longest` seconds of it that show most, as picture and sound."""
    total, windows = duration_seconds(path), decided.windows[name]
    start, end, starts = 0.0, total, decided.predictions.start_seconds[windows]
    if total > longest:
        number = min(max(int(longest // WINDOW_SECONDS), 1), len(windows))
        seen = decided.marks[windows] + 1e-6 * decided.predictions.probability[windows].max(axis=1)
        start = float(starts[np.convolve(seen, np.ones(number), "valid").argmax()])
        end = min(start + number * WINDOW_SECONDS, total)
    wave, sound = read_stretch(path, (PICTURE.sample_rate, AUDIO_RATE), start, end)
    if len(wave) == 0:
        raise AudioError(f"it ends before {start:.0f} s")
    if (seconds := len(wave) / PICTURE.sample_rate) < end - start - 0.1:  # its header says more
        end = total = start + seconds
    return Excerpt(
        name,
        start,
        end - start,
        total,
        picture(wave),
        ogg(sound),
        windows[(starts >= start - 0.01) & (starts < end - 0.01)],
    )


def choose_excerpts(
    folder: Path, decided: Decided, *, number: int, longest: float, num_bytes: int
) -> tuple[list[Excerpt], list[str]]:
    """Return the soundscapes that fit, in the order of their names, and what is said of the rest.

    Those with most detections and true windows are preferred.

    Parameters
    ----------
    folder, decided
        Of the audio; predictions and decisions about it.
    number, longest, num_bytes
        Soundscapes at most, seconds of each, bytes of all pictures and sounds in the page.

    Raises
    ------
    ValueError
        If no soundscape of the predictions is in the folder.
    """
    files = find_soundscapes((str(folder),))
    every = list(decided.windows)
    names = [name for name in every if name in files]
    message = f"none of the {len(every)} files of the probabilities, such as {every[0]}, is there"
    require(len(names) > 0, f"soundscapes={folder}: {message}")
    waiting = sorted(names, key=lambda name: -decided.marks[decided.windows[name]].sum())
    unplayed: list[str] = []
    shown: list[Excerpt] = []
    while waiting and len(shown) < number:
        file = files[waiting[0]]
        try:
            one = _read_excerpt(decided, waiting[0], file, longest)
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
    if absent := len(every) - len(names):
        unplayed.append(f"{counted(absent, 'files')} of the probabilities not in {folder}")
    return sorted(shown, key=lambda one: one.name), notes + unplayed


def lanes_of(one: Excerpt, decided: Decided) -> dict[str, Any]:
    """Return a soundscape's species over time, those with a detection or a true window, and their sum."""
    rows, detected = decided.predictions.rows(one.windows), decided.detected[one.windows]
    has_marks = (detected | rows.truth).any(axis=0)
    starts = rows.start_seconds.tolist()
    ends = [min(start + WINDOW_SECONDS, one.start + one.seconds) for start in starts]
    lanes = {
        rows.species[column]: [
            Window(
                start - one.start,
                (_clock_time(start), _clock_time(end)),
                one.percent(start),
                round(one.percent(end) - one.percent(start), 3),
                round(float(rows.probability[i, column]), 3),
                bool(detected[i, column]),
                bool(rows.truth[i, column]) if rows.known[i, column] else None,
            )
            for i, (start, end) in enumerate(zip(starts, ends, strict=True))
        ]
        for column in np.flatnonzero(has_marks)
    }
    kinds = Counter(window.kind for windows in lanes.values() for window in windows)
    found = [found for species, windows in lanes.items() for found in _detections(species, windows)]
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


def _detections(species: str, windows: Sequence[Window]) -> Iterator[dict[str, Any]]:
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


def _clock_time(seconds: float) -> str:
    """Return such as 1:05."""
    return f"{round(seconds) // 60}:{round(seconds) % 60:02d}"


def _time_ticks(one: Excerpt) -> list[tuple[str, float]]:
    """Return labels and places in percent of round times within the excerpt."""
    step = next((s for s in TICK_SECONDS if one.seconds / s <= MOST_TICKS), TICK_SECONDS[-1])
    times = range(int(np.ceil(one.start / step) * step), int(one.start + one.seconds) + 1, step)
    return [(_clock_time(time), one.percent(time)) for time in times]


def browser_content(decided: Decided, shown: Sequence[Excerpt], notes: Sequence[str]) -> dict[str, Any]:
    """Return what the template shows of soundscapes.

    Parameters
    ----------
    decided
        Predictions and decisions.
    shown, notes
        Of `choose_excerpts`.
    """
    return {
        "soundscapes": [
            {
                "excerpt": one,
                "times": _time_ticks(one),
                "stretch": f"{_clock_time(one.start)}{EN_DASH}{_clock_time(one.start + one.seconds)}",
                "total": _clock_time(one.total_seconds),
                **lanes_of(one, decided),
            }
            for one in shown
        ],
        "khz": frequency_ticks(),
        "rule": decided.rule,
        "source": decided.predictions.name,
        "has_truth": bool(decided.predictions.known.any()),
        "notes": notes,
        "num_all": len(decided.windows),
    }
