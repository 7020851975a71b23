"""The page: clips as sound and picture in one file, which asks nothing of any network."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.report.media import AUDIO_RATE, PICTURE, frequency_ticks, ogg, picture, read_stretch
from analysis.report.page import data_uri, render
from analysis.review.choice import Question
from analysis.review.windows import Listenable
from core.data.annotations.places import names_of_files
from core.data.decoding import AudioError
from core.data.soundscapes import WINDOW_SECONDS

_REASONS = {
    "uncertain": "near the decision",
    "diverse": "unlike the others",
    "top": "most probable of its species",
    "drawn": "drawn at random",
}
_SUGGESTED = 6


def read_clips(
    found: Listenable, questions: Sequence[Question], context: float
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return what the page shows of each question, and why some cannot be played.

    Parameters
    ----------
    found
        The windows.
    questions
        Which of them.
    context
        Seconds before and after a window.
    """
    names, clips, unplayed, all_of = names_of_files(found.files), [], [], found.predictions
    for window, species, way in questions:
        name, start = str(all_of.recording[window]), float(all_of.start_seconds[window])
        probability = all_of.probability[window]
        try:
            sound = _sound(found.files[name], start, found.seconds, context)
        except AudioError as error:
            unplayed.append(f"{names[name]} cannot be played: {error}")
            continue
        likely = [i for i in np.argsort(-probability, kind="stable") if i != species][:_SUGGESTED]
        facts = {
            "file": names[name], "site": str(all_of.site[window]), "time": str(all_of.start_time[window]),
            "code": all_of.species[species],
            # who listens to a random sample is not told what the network believes
            "probability": None if way == "drawn" else round(float(probability[species]), 3),
            "reason": _REASONS[way], "likely": [all_of.species[i] for i in likely],
        }  # fmt: skip
        clips.append(sound | facts)
    return clips, unplayed


def _sound(path: Path, start: float, seconds: float, context: float) -> dict[str, Any]:
    """Return picture and sound of a clip's loudest window on the grid of 5 s, with its context."""
    begin, rate = WINDOW_SECONDS * float(start // WINDOW_SECONDS), PICTURE.sample_rate
    if seconds > WINDOW_SECONDS:
        (wave,), size = read_stretch(path, (rate,), begin, start + seconds), WINDOW_SECONDS * rate
        loudness = [
            np.square(np.diff(wave[at : at + size])).sum() for at in range(0, max(len(wave), 1), size)
        ]
        begin += WINDOW_SECONDS * float(np.argmax(loudness))
    first, last = max(begin - context, 0.0), begin + WINDOW_SECONDS + context
    wave, sound = read_stretch(path, (rate, AUDIO_RATE), first, last)
    last = first + len(wave) / rate
    if last - begin < PICTURE.hop_length / rate:
        raise AudioError(f"it ends before {begin:g} s")
    return {
        "begin": begin, "first": round(first, 3), "last": round(last, 3),
        "image": data_uri(picture(wave, "PNG"), "image/png"),
        "audio": data_uri(ogg(sound, "VORBIS"), "audio/ogg"),
    }  # fmt: skip


def render_review(found: Listenable, clips: Sequence[dict[str, Any]], name: str) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    found
        The names of species.
    clips
        Of `read_clips`.
    name
        Of the file of verdicts.
    """
    asked = repr([(clip["file"], clip["begin"], clip["code"]) for clip in clips])
    names = {code: found.taxonomy.names(code) for code in found.taxonomy.codes}
    data = {
        "key": f"review {hashlib.sha256(asked.encode()).hexdigest()[:16]}", "name": name, "clips": clips,
        "species": {code: [two or one or code, one] for code, (one, two, _) in names.items()},
        "seconds": WINDOW_SECONDS,
    }  # fmt: skip
    return render({"data": data, "number": len(clips), "khz": frequency_ticks()}, "review")
