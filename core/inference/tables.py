"""Tables that come out beside the submission: probabilities, recordings, detections.

Each is written while soundscapes are decided, some at a time. Every file is written under another name and
renamed, so that it is whole or absent.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.annotations.events import make_events
from core.data.annotations.writers import (
    HIGH_HZ,
    LOW_HZ,
    birdnet_table,
    hoplite_table,
    write_audacity,
    write_raven,
)
from core.data.audio_files import as_text
from core.data.labelled_windows import LabelledWindows
from core.data.recorders import UNKNOWN, Origin
from core.data.remote import AudioSource
from core.data.soundscapes import WINDOW_SECONDS
from core.data.taxonomy import Taxonomy
from core.files import streaming_table
from core.inference.config import DetectionFormat


@dataclass(frozen=True)
class Decisions:
    """What was decided about one soundscape.

    Attributes
    ----------
    probability
        (window, species), as the models give it.
    target
        (window, species) bool.
    path
        The soundscape.
    segments
        (window, segment, species) bool, the segments above the threshold; no window unless asked for.
    origin
        Where and when it was recorded.
    """

    probability: np.ndarray
    target: np.ndarray
    path: AudioSource
    segments: np.ndarray
    origin: Origin = UNKNOWN


Sink = Callable[[Mapping[str, Decisions]], None]
"""Takes the decisions about some soundscapes after others, each soundscape once."""


def probability_table(decisions: Mapping[str, Decisions], species: Sequence[str]) -> pd.DataFrame:
    """Return one row a window, with a float32 probability per species.

    Columns before them are `file_id`, `end_time` in seconds, and the soundscape's `site` and `start_time`.

    Parameters
    ----------
    decisions
        Soundscape -> what was decided; at least one.
    species
        Codes of the decisions' columns.
    """
    tables = [
        pd.DataFrame(decision.probability.astype(np.float32), columns=list(species)).assign(
            file_id=name,
            end_time=(np.arange(len(decision.probability)) + 1) * WINDOW_SECONDS,
            **decision.origin._asdict(),
        )
        for name, decision in decisions.items()
    ]
    return pd.concat(tables, ignore_index=True)[["file_id", "end_time", *Origin._fields, *species]]


def recording_table(decisions: Mapping[str, Decisions], taxonomy: Taxonomy) -> pd.DataFrame:
    """Return one row a recording and species, a recording's most probable species first.

    Columns are `file_id`, `site`, `start_time`, `rank` (1 for the highest maximum), `species` and its
    `scientific_name` and `common_name`, `mean` and `maximum` of its probability over windows,
    `maximum_end_time` of that window in seconds, and `windows` decided True.

    Parameters
    ----------
    decisions
        See `probability_table`.
    taxonomy
        Names of the decisions' columns, in their order.
    """
    tables = []
    for name, decision in decisions.items():
        maximum = decision.probability.max(axis=0)
        order = np.argsort(-maximum, kind="stable")
        columns = {
            "file_id": name,
            **decision.origin._asdict(),
            "rank": np.arange(len(order)) + 1,
            "species": np.asarray(taxonomy.codes)[order],
            "scientific_name": np.asarray(taxonomy.scientific)[order],
            "common_name": np.asarray(taxonomy.common)[order],
            "mean": decision.probability.mean(axis=0)[order].astype(np.float32),
            "maximum": maximum[order].astype(np.float32),
            "maximum_end_time": (decision.probability.argmax(axis=0)[order] + 1) * WINDOW_SECONDS,
            "windows": decision.target.sum(axis=0)[order],
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


@contextmanager
def writing_detections(
    folder: Path, taxonomy: Taxonomy, formats: Sequence[DetectionFormat] = ("raven", "birdnet")
) -> Iterator[Sink]:
    """Yield what writes what was found, for each of some tools.

    Raven and Audacity get a table a soundscape, BirdNET and Perch hoplite one for all.

    Windows (or segments of them) of a species that follow one another are one selection; its confidence is
    the highest of its windows. Perch hoplite gets the windows, none of them as negative.

    Parameters
    ----------
    folder
        Where; made if missing.
    taxonomy
        Names of the decisions' columns, in their order.
    formats
        Of which tools.
    """
    with ExitStack() as opened:
        names = {"birdnet": "detections.csv", "hoplite": "hoplite.csv"}
        appending = {
            one: opened.enter_context(streaming_table(folder / name))
            for one, name in names.items()
            if one in formats
        }

        def add(decisions: Mapping[str, Decisions]) -> None:
            events, windows = _found(decisions, taxonomy.codes)
            files = {name: as_text(decision.path) for name, decision in decisions.items()}
            origins = {name: decision.origin for name, decision in decisions.items()}
            if "raven" in formats:
                write_raven(folder, events, files, origins)
            if "audacity" in formats:
                write_audacity(folder, events, files)
            if "birdnet" in formats:
                appending["birdnet"](birdnet_table(events, files, taxonomy, origins))
            if "hoplite" in formats:
                appending["hoplite"](hoplite_table(windows, files))

        add({})
        yield add


def _found(
    decisions: Mapping[str, Decisions], species: Sequence[str]
) -> tuple[pd.DataFrame, LabelledWindows]:
    """Return what was found, as events and as labels of windows."""
    found = [(name, *one) for name, decision in decisions.items() for one in selections(decision, species)]
    table = pd.DataFrame(found, columns=["soundscape", "begin", "end", "code", "confidence"])
    table["confidence"] = table["confidence"].astype(float).round(4)
    events = make_events({**table.to_dict("series"), "low_hz": LOW_HZ, "high_hz": HIGH_HZ})
    windows = [  # what was not detected is not known to be absent
        LabelledWindows.of_soundscape(
            Path(str(one.path)), name, species, WINDOW_SECONDS, positive=one.target, known=one.target
        )
        for name, one in decisions.items()
    ]
    return events, LabelledWindows.joined([LabelledWindows.none(species), *windows])


def selections(decision: Decisions, species: Sequence[str]) -> Iterator[tuple[float, float, str, float]]:
    """Yield start and end in seconds, code and highest probability of each detection.

    Parameters
    ----------
    decision
        Of one soundscape; with segments, their edges are those of the detections.
    species
        Codes of its columns.
    """
    target = decision.target
    if len(decision.segments):
        target = decision.segments.reshape(-1, len(species))
    per_window = len(target) // len(decision.target)
    seconds = WINDOW_SECONDS / per_window
    for column, code in enumerate(species):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], target[:, column].astype(int), [0]])))
        for first, last in edges.reshape(-1, 2):
            windows = slice(first // per_window, -(-last // per_window))
            confidence = float(decision.probability[windows, column].max())
            yield float(first * seconds), float(last * seconds), code, confidence
