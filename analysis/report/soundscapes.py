"""Soundscapes for the page: a picture of their sound, the sound itself, what was heard and what was there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from analysis.report.media import AUDIO_RATE, PICTURE, frequency_ticks, opus, picture, read_stretch
from analysis.report.predictions import Predictions, read_predictions
from core.config import require
from core.data.audio import AudioError, duration_seconds
from core.inference.predictor import find_soundscapes
from core.inference.windows import WINDOW_SECONDS

EN_DASH = "\N{EN DASH}"


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
        (window,) index into the predictions of the file.
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


def choose(predictions: Predictions, files: Mapping[str, Path]) -> list[str]:
    """Return the soundscapes that are there, those with most to see first: detections and true windows."""

    def seen(name: str) -> tuple[float, str]:
        found = np.nansum(predictions.target[name]) + np.nansum(predictions.truth[name])
        return -float(found), name

    return sorted((name for name in predictions.windows if name in files), key=seen)


def stretch_of(
    predictions: Predictions, name: str, total_seconds: float, longest: float
) -> tuple[float, float]:
    """Return start and end of the part that is shown: all, or the windows with most to see."""
    if total_seconds <= longest:
        return 0.0, total_seconds
    number = max(int(longest // WINDOW_SECONDS), 1)
    seen = np.nansum(predictions.target[name], axis=1) + np.nansum(predictions.truth[name], axis=1)
    sums = np.convolve(seen + 1e-6 * predictions.probability[name].max(axis=1), np.ones(number), "valid")
    first = int(sums.argmax()) if len(sums) else 0
    start = float(predictions.windows[name][first] - WINDOW_SECONDS)
    return start, min(start + number * WINDOW_SECONDS, total_seconds)


def excerpt(predictions: Predictions, name: str, path: Path, longest: float) -> Excerpt:
    """Return a soundscape, or the stretch of it that shows most, as picture and sound.

    Raises
    ------
    AudioError
        If the file cannot be decoded.
    """
    total = duration_seconds(path)
    start, end = stretch_of(predictions, name, total, longest)
    ends = predictions.windows[name]
    inside = np.flatnonzero((ends - WINDOW_SECONDS >= start - 0.01) & (ends - WINDOW_SECONDS < end - 0.01))
    return Excerpt(
        name, start, end - start, total,
        picture(read_stretch(path, PICTURE.sample_rate, start, end)),
        opus(read_stretch(path, AUDIO_RATE, start, end)), inside,
    )  # fmt: skip


def browse(
    folder: Path, predictions: Predictions, *, number: int, longest: float, num_bytes: int
) -> tuple[list[Excerpt], list[str]]:
    """Return the soundscapes that fit, in the order of their names, and what is said of the rest.

    Parameters
    ----------
    folder
        Of the audio.
    predictions
        About it.
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
    names = choose(predictions, files)
    require(
        len(names) > 0,
        f"soundscapes={folder}: none of the {len(predictions.windows)} files of the probabilities, such as "
        f"{next(iter(predictions.windows))}, is there",
    )
    notes: list[str] = []
    shown: list[Excerpt] = []
    waiting = list(names)
    while waiting and len(shown) < number:
        try:
            one = excerpt(predictions, waiting[0], files[waiting[0]], longest)
        except AudioError as error:
            notes.append(f"{files[waiting.pop(0)].name} cannot be played: {error}")
            continue
        if one.num_bytes + sum(other.num_bytes for other in shown) > num_bytes:
            break
        shown.append(one)
        waiting.pop(0)
    absent = len(predictions.windows) - len(names)
    if waiting:
        notes.insert(
            0,
            f"{len(waiting)} of {len(names)} are left out to keep the page small; those with most detections "
            "and true windows are shown",
        )
    if absent:
        notes.append(f"{absent} files of the probabilities are not in {folder}")
    return sorted(shown, key=lambda one: one.name), notes


def lanes(one: Excerpt, predictions: Predictions) -> dict[str, Any]:
    """Return a soundscape's species over time, those with a detection or a true window, and their sum."""
    probability, target, truth = (
        values[one.name][one.windows]
        for values in (predictions.probability, predictions.target, predictions.truth)
    )
    ends = predictions.windows[one.name][one.windows]
    interesting = (target == 1).any(axis=0) | (truth == 1).any(axis=0)
    rows: list[tuple[str, list[dict[str, Any]]]] = []
    for column in np.flatnonzero(interesting):
        cells = [
            cell(end - WINDOW_SECONDS, one, probability[i, column], target[i, column], truth[i, column])
            for i, end in enumerate(ends)
        ]
        rows.append((predictions.species[column], cells))
    found = [d for code, cells in rows for d in detections(code, cells)]
    kinds = [c["kind"] for _, cells in rows for c in cells]
    return {
        "rows": [{"species": code, "cells": cells} for code, cells in rows],
        "detections": sorted(found, key=lambda c: (c["start"], c["species"])),
        "num_detected": sum(c["detected"] for _, cells in rows for c in cells),
        "judged": bool(np.isfinite(truth).any()),
        "hits": kinds.count("hit"),
        "misses": kinds.count("miss"),
        "alarms": kinds.count("false alarm"),
        "silent": [str(predictions.species[c]) for c in np.flatnonzero(~interesting)],
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


def cell(start: float, one: Excerpt, probability: float, target: float, truth: float) -> dict[str, Any]:
    """Return one window of one species, placed on the excerpt in percent."""
    detected, is_true = target == 1, truth == 1
    kind = "hit" if detected and is_true else "miss" if is_true else "quiet"
    if detected and not is_true:
        kind = "false alarm" if np.isfinite(truth) else "detected"
    seconds = min(WINDOW_SECONDS, one.start + one.seconds - start)
    return {
        "start": start - one.start,
        "told": f"{clock(start)}{EN_DASH}{clock(start + seconds)}",
        "left": round(100 * (start - one.start) / one.seconds, 3),
        "width": round(100 * seconds / one.seconds, 3),
        "probability": round(float(probability), 3),
        "detected": bool(detected),
        "true": None if not np.isfinite(truth) else bool(is_true),
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
    """Return what the template shows of soundscapes; see `read_predictions` and `browse`."""
    predictions = read_predictions(probabilities, submission, truth)
    shown, notes = browse(folder, predictions, number=number, longest=longest, num_bytes=num_bytes)
    return {
        "soundscapes": [
            {
                "excerpt": one,
                "lanes": lanes(one, predictions),
                "times": time_ticks(one),
                "stretch": f"{clock(one.start)}{EN_DASH}{clock(one.start + one.seconds)}",
                "total": clock(one.total_seconds),
            }
            for one in shown
        ],
        "khz": frequency_ticks(),
        "rule": predictions.rule,
        "source": probabilities.name,
        "has_truth": truth is not None,
        "notes": notes,
        "num_all": len(predictions.windows),
    }
