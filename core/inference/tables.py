"""Tables that come out beside the submission: probabilities, recordings, detections.

Every file is written under another name and renamed, so that it is whole or absent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.annotations.events import make_events
from core.data.annotations.writers import (
    HIGH_HZ,
    LOW_HZ,
    write_audacity,
    write_birdnet,
    write_hoplite,
    write_raven,
)
from core.data.audio_files import as_text
from core.data.labelled_windows import LabelledWindows
from core.data.recorders import UNKNOWN, Origin
from core.data.soundscapes import WINDOW_SECONDS
from core.data.taxonomy import Taxonomy
from core.files import write_table
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
    path: Path
    segments: np.ndarray
    origin: Origin = UNKNOWN


def write_probabilities(path: Path, decisions: Mapping[str, Decisions], species: Sequence[str]) -> None:
    """Write one row a window, with a float32 probability per species.

    Columns before them are `file_id`, `end_time` in seconds, and the soundscape's `site` and `start_time`.

    Parameters
    ----------
    path
        .parquet or .csv.
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
    write_table(
        pd.concat(tables, ignore_index=True)[["file_id", "end_time", *Origin._fields, *species]], path
    )


def write_recordings(path: Path, decisions: Mapping[str, Decisions], taxonomy: Taxonomy) -> None:
    """Write one row a recording and species, a recording's most probable species first.

    Columns are `file_id`, `site`, `start_time`, `rank` (1 for the highest maximum), `species` and its
    `scientific_name` and `common_name`, `mean` and `maximum` of its probability over windows,
    `maximum_end_time` of that window in seconds, and `windows` decided True.

    Parameters
    ----------
    path, decisions
        See `write_probabilities`.
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
    write_table(pd.concat(tables, ignore_index=True), path)


def write_detections(
    folder: Path,
    decisions: Mapping[str, Decisions],
    taxonomy: Taxonomy,
    formats: Sequence[DetectionFormat] = ("raven", "birdnet"),
) -> None:
    """Write what was found: a table a soundscape for Raven and Audacity, one for all for BirdNET and hoplite.

    Windows (or segments of them) of a species that follow one another are one selection; its confidence is
    the highest of its windows. Perch hoplite gets the windows, none of them as negative.

    Parameters
    ----------
    folder
        Where; made if missing.
    decisions
        Soundscape -> what was decided.
    taxonomy
        Names of the decisions' columns, in their order.
    formats
        Of which tools.
    """
    species = taxonomy.codes
    found = [(name, *one) for name, decision in decisions.items() for one in selections(decision, species)]
    table = pd.DataFrame(found, columns=["soundscape", "begin", "end", "code", "confidence"])
    table["confidence"] = table["confidence"].astype(float).round(4)
    events = make_events({**table.to_dict("series"), "low_hz": LOW_HZ, "high_hz": HIGH_HZ})
    files = {name: as_text(decision.path) for name, decision in decisions.items()}
    origins = {name: decision.origin for name, decision in decisions.items()}
    if "raven" in formats:
        write_raven(folder, events, files, origins)
    if "audacity" in formats:
        write_audacity(folder, events, files)
    if "birdnet" in formats:
        write_birdnet(folder / "detections.csv", events, files, taxonomy, origins)
    if "hoplite" in formats:
        windows = [  # what was not detected is not known to be absent
            LabelledWindows.of_soundscape(
                one.path, name, species, WINDOW_SECONDS, positive=one.target, known=one.target
            )
            for name, one in decisions.items()
        ]
        found_windows = LabelledWindows.joined([LabelledWindows.none(species), *windows])
        write_hoplite(folder / "hoplite.csv", found_windows, files)


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
