"""Tables that come out: the competition's submission, wide probabilities, detections.

Every file is written under another name and renamed, so that it is whole or absent.
"""

import sys
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
from core.data.tables import line_of, numbers, read_table
from core.data.taxonomy import Taxonomy
from core.files import write_table
from core.inference.config import CheckConfig, DetectionFormat

ROW_COLUMNS = ("row_id", "file_id", "bird", "end_time")


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


def read_test_rows(path: Path) -> pd.DataFrame:
    """Return the wanted rows of a `test.csv`.

    Raises
    ------
    ValueError
        If a column is missing, or a row_id is there twice.
    """
    table = read_table("test", path, ROW_COLUMNS)
    repeated = table["row_id"][table["row_id"].duplicated()]
    if len(repeated):
        message = f"{path}: row_id {repeated.iloc[0]} is there more than once"
        raise ValueError(message)
    return table.assign(end_time=numbers(table, "end_time", path)).reset_index(drop=True)


def all_rows(decisions: Mapping[str, Decisions], species: Sequence[str]) -> pd.DataFrame:
    """Return the rows of every window of every soundscape, in the layout of `test.csv`.

    Parameters
    ----------
    decisions
        Soundscape -> what was decided; its windows are counted.
    species
        Codes that get rows.
    """
    pieces = []
    for name, decision in decisions.items():
        ends = (np.arange(len(decision.target)) + 1) * WINDOW_SECONDS
        pieces += [pd.DataFrame({"file_id": name, "bird": code, "end_time": ends}) for code in species]
    rows = pd.concat(pieces, ignore_index=True)
    return rows.assign(row_id=rows["file_id"] + "_" + rows["bird"] + "_" + rows["end_time"].astype(str))


def write_submission(
    path: Path, rows: pd.DataFrame, decisions: Mapping[str, Decisions], species: Sequence[str]
) -> int:
    """Write `row_id,target`; return how many rows had no prediction and are False.

    Parameters
    ----------
    path
        The file; it appears whole.
    rows
        The wanted rows in their order, in the layout of `test.csv`.
    decisions
        Soundscape -> what was decided.
    species
        Codes of the decisions' columns.
    """
    target = np.zeros(len(rows), dtype=bool)
    found = np.zeros(len(rows), dtype=bool)
    column_of = {code: i for i, code in enumerate(species)}
    columns = rows["bird"].map(column_of).to_numpy(float)
    windows = rows["end_time"].to_numpy(int) // WINDOW_SECONDS - 1
    for name, positions in rows.groupby("file_id", sort=False).indices.items():
        decision = decisions.get(str(name))
        if decision is None:
            continue
        inside = positions[(windows[positions] < len(decision.target)) & ~np.isnan(columns[positions])]
        target[inside] = decision.target[windows[inside], columns[inside].astype(int)]
        found[inside] = True
    write_table(pd.DataFrame({"row_id": rows["row_id"], "target": target}), path)
    return int((~found).sum())


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


def submission_faults(submission: Path, test: Path) -> list[str]:
    """Return the faults of a submission, a sentence each; none when it is right.

    Parameters
    ----------
    submission
        Table of `row_id,target`; one that cannot be read is a fault, too.
    test
        The competition's `test.csv`.

    Raises
    ------
    ValueError
        If `test` is no such table.
    """
    rows = read_test_rows(test)
    try:
        given = read_table("", submission)
    except ValueError as error:
        return [str(error)]
    if list(given.columns) != ["row_id", "target"]:
        return [f"{submission}: columns {', '.join(given.columns)}; expected row_id, target"]
    faults = []
    wanted, ids = set(rows["row_id"]), given["row_id"]
    for what, found in (
        ("missing", sorted(wanted - set(ids))),
        ("unknown", sorted(set(ids) - wanted)),
        ("repeated", sorted(set(ids[ids.duplicated()]))),
    ):
        if found:
            faults.append(f"{submission}: {len(found)} rows {what}, the first is {found[0]}")
    other = given.index[~given["target"].isin(["True", "False"])]
    if len(other):
        where, value = line_of(submission, other[0]), given["target"][other[0]]
        faults.append(f"{where}: target {value!r} is not True or False; {len(other)} are not")
    if not faults and ids.tolist() != rows["row_id"].tolist():
        faults.append(f"{submission}: every row is there, but not in the order of {test}")
    return faults


def check(config: CheckConfig) -> None:
    """Print the faults of a submission; exit with status 1 if there are any."""
    faults = submission_faults(Path(config.submission), Path(config.test))
    print("\n".join(faults) or f"{config.submission}: right")
    sys.exit(1 if faults else 0)
