"""Soundscapes for the page: a picture of their sound, the sound itself, what was heard and what was there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from analysis.report.media import AUDIO_RATE, PICTURE, frequency_ticks, opus, picture, read_stretch
from analysis.soundscapes import WINDOW_SECONDS, read_soundscapes, read_targets
from core.config import require
from core.data.audio import AudioError, duration_seconds
from core.inference.predictor import find_soundscapes
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


def choose(decided: Decided, files: Mapping[str, Path]) -> list[str]:
    """Return the soundscapes that are there, those with most to see first."""
    there = [name for name in decided.names if name in files]
    return sorted(there, key=lambda name: (-decided.marks[decided.windows_of(name)].sum(), name))


def stretch_of(decided: Decided, name: str, total_seconds: float, longest: float) -> tuple[float, float]:
    """Return start and end of the part that is shown: all, or the windows with most to see."""
    if total_seconds <= longest:
        return 0.0, total_seconds
    windows = decided.windows_of(name)
    number = min(max(int(longest // WINDOW_SECONDS), 1), len(windows))
    highest = decided.predictions.probability[windows].max(axis=1)
    sums = np.convolve(decided.marks[windows] + 1e-6 * highest, np.ones(number), "valid")
    start = float(decided.predictions.start_seconds[windows[sums.argmax()]])
    return start, min(start + number * WINDOW_SECONDS, total_seconds)


def excerpt(decided: Decided, name: str, path: Path, longest: float) -> Excerpt:
    """Return a soundscape, or the stretch of it that shows most, as picture and sound.

    Raises
    ------
    AudioError
        If the file cannot be decoded.
    """
    total = duration_seconds(path)
    start, end = stretch_of(decided, name, total, longest)
    windows = decided.windows_of(name)
    starts = decided.predictions.start_seconds[windows]
    inside = windows[(starts >= start - 0.01) & (starts < end - 0.01)]
    return Excerpt(
        name, start, end - start, total,
        picture(read_stretch(path, PICTURE.sample_rate, start, end)),
        opus(read_stretch(path, AUDIO_RATE, start, end)), inside,
    )  # fmt: skip


def browse(
    folder: Path, decided: Decided, *, number: int, longest: float, num_bytes: int
) -> tuple[list[Excerpt], list[str]]:
    """Return the soundscapes that fit, in the order of their names, and what is said of the rest.

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
    names = choose(decided, files)
    require(
        len(names) > 0,
        f"soundscapes={folder}: none of the {len(decided.names)} files of the probabilities, such as "
        f"{decided.names[0]}, is there",
    )
    notes: list[str] = []
    shown: list[Excerpt] = []
    waiting = list(names)
    while waiting and len(shown) < number:
        try:
            one = excerpt(decided, waiting[0], files[waiting[0]], longest)
        except AudioError as error:
            notes.append(f"{files[waiting.pop(0)].name} cannot be played: {error}")
            continue
        if one.num_bytes + sum(other.num_bytes for other in shown) > num_bytes:
            break
        shown.append(one)
        waiting.pop(0)
    absent = len(decided.names) - len(names)
    if waiting:
        notes.insert(
            0,
            f"{len(waiting)} of {len(names)} are left out to keep the page small; those with most detections "
            "and true windows are shown",
        )
    if absent:
        notes.append(f"{absent} files of the probabilities are not in {folder}")
    return sorted(shown, key=lambda one: one.name), notes


def lanes(one: Excerpt, decided: Decided) -> dict[str, Any]:
    """Return a soundscape's species over time, those with a detection or a true window, and their sum."""
    shown, detected = decided.predictions.rows(one.windows), decided.detected[one.windows]
    interesting = (detected | shown.truth).any(axis=0)
    rows: list[tuple[str, list[dict[str, Any]]]] = []
    for column in np.flatnonzero(interesting):
        cells = [
            cell(start, one, shown.probability[i, column], detected=bool(detected[i, column]),
                 is_true=bool(shown.truth[i, column]) if shown.known[i, column] else None)
            for i, start in enumerate(shown.start_seconds)
        ]  # fmt: skip
        rows.append((shown.species[column], cells))
    found = [d for code, cells in rows for d in detections(code, cells)]
    kinds = [c["kind"] for _, cells in rows for c in cells]
    return {
        "rows": [{"species": code, "cells": cells} for code, cells in rows],
        "detections": sorted(found, key=lambda c: (c["start"], c["species"])),
        "num_detected": sum(c["detected"] for _, cells in rows for c in cells),
        "judged": bool(shown.known.any()),
        "hits": kinds.count("hit"),
        "misses": kinds.count("miss"),
        "alarms": kinds.count("false alarm"),
        "silent": [shown.species[c] for c in np.flatnonzero(~interesting)],
    }


def detections(species: str, cells: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield a species' detections; windows of one kind that follow one another are one."""
    for kind, windows in groupby(cells, key=lambda c: c["kind"] if c["detected"] else ""):
        together = list(windows)
        if kind:
            first, last = together[0]["told"].split(EN_DASH)[0], together[-1]["told"].split(EN_DASH)[1]
            yield {
                "species": species,
                "kind": kind,
                "start": together[0]["start"],
                "told": f"{first}{EN_DASH}{last}",
                "probability": max(c["probability"] for c in together),
            }


def cell(
    start: float, one: Excerpt, probability: float, *, detected: bool, is_true: bool | None
) -> dict[str, Any]:
    """Return one window of one species, placed on the excerpt in percent; what is true may be unknown."""
    kinds = {True: ("miss", "hit"), False: ("quiet", "false alarm"), None: ("quiet", "detected")}
    kind = kinds[is_true][1 if detected else 0]
    seconds = min(WINDOW_SECONDS, one.start + one.seconds - start)
    return {
        "start": start - one.start,
        "told": f"{clock(start)}{EN_DASH}{clock(start + seconds)}",
        "left": round(100 * (start - one.start) / one.seconds, 3),
        "width": round(100 * seconds / one.seconds, 3),
        "probability": round(float(probability), 3),
        "detected": detected,
        "true": is_true,
        "kind": kind,
    }


def clock(seconds: float) -> str:
    """Return such as 1:05."""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


def time_ticks(one: Excerpt) -> list[tuple[str, float]]:
    """Return labels and places in percent of round times within the excerpt."""
    step = next((s for s in (5, 10, 15, 30, 60, 120, 300) if one.seconds / s <= 7), 600)
    first = int(np.ceil(one.start / step) * step)
    return [
        (clock(t), round(100 * (t - one.start) / one.seconds, 3))
        for t in range(first, int(one.start + one.seconds) + 1, step)
    ]


def open_browser(
    folder: Path,
    probabilities: Path,
    *,
    submission: Path | None,
    truth: Path | None,
    number: int,
    longest: float,
    num_bytes: int,
) -> dict[str, Any]:
    """Return what the template shows of soundscapes; see `read_decided` and `browse`."""
    decided = read_decided(probabilities, submission, truth)
    shown, notes = browse(folder, decided, number=number, longest=longest, num_bytes=num_bytes)
    return {
        "soundscapes": [
            {
                "excerpt": one,
                "lanes": lanes(one, decided),
                "times": time_ticks(one),
                "stretch": f"{clock(one.start)}{EN_DASH}{clock(one.start + one.seconds)}",
                "total": clock(one.total_seconds),
            }
            for one in shown
        ],
        "khz": frequency_ticks(),
        "rule": decided.rule,
        "source": probabilities.name,
        "has_truth": truth is not None,
        "notes": notes,
        "num_all": len(decided.names),
    }
