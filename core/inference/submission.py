"""Tables that come out: the competition's submission, wide probabilities, Raven and BirdNET files.

Every file is written under another name and renamed, so that it is whole or absent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from core.config import require
from core.data.competition import WINDOW_SECONDS
from core.files import replacing

ROW_COLUMNS = ("row_id", "file_id", "bird", "end_time")
BIRDNET_COLUMNS = ("Start (s)", "End (s)", "Scientific name", "Common name", "Confidence", "File")
LOW_HZ, HIGH_HZ = 50, 14000  # of a selection's box, which must have edges


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
    """

    probability: np.ndarray
    target: np.ndarray
    path: Path
    segments: np.ndarray


def read_test_rows(path: Path) -> pd.DataFrame:
    """Return the wanted rows of a `test.csv`.

    Raises
    ------
    ValueError
        If a column is missing, or a row_id is there twice.
    """
    names = {"row_id": str, "file_id": str, "bird": str}
    table = pd.read_csv(path, dtype=names, keep_default_na=False)  # a file may be called "nan"
    missing = [column for column in ROW_COLUMNS if column not in table]
    if missing:
        message = f"{path}: no column {', '.join(missing)}; found {', '.join(table.columns)}"
        raise ValueError(message)
    repeated = table["row_id"][table["row_id"].duplicated()]
    if len(repeated):
        message = f"{path}: row_id {repeated.iloc[0]} is there more than once"
        raise ValueError(message)
    return table


def read_truth(path: Path, names: Sequence[tuple[str, int]], species: Sequence[str]) -> np.ndarray:
    """Return (window, species) bool from a table of `row_id,target`.

    Raises
    ------
    ValueError
        If a column or a row is missing.
    """
    table = pd.read_csv(path, dtype={"row_id": str}, keep_default_na=False)
    require({"row_id", "target"} <= set(table.columns), f"truth={path}: needs columns row_id and target")
    target = dict(zip(table["row_id"], table["target"].astype(str).str.lower() == "true", strict=True))
    rows = [[f"{name}_{code}_{(i + 1) * WINDOW_SECONDS}" for code in species] for name, i in names]
    missing = next((row for ids in rows for row in ids if row not in target), None)
    require(missing is None, f"truth={path}: no row {missing}")
    return np.array([[target[row] for row in ids] for ids in rows])


def all_rows(decisions: Mapping[str, Decisions], species: Sequence[str]) -> pd.DataFrame:
    """Return the rows of every window of every soundscape, in the layout of `test.csv`."""
    pieces = []
    for name, decision in decisions.items():
        ends = (np.arange(len(decision.target)) + 1) * WINDOW_SECONDS
        pieces += [pd.DataFrame({"file_id": name, "bird": code, "end_time": ends}) for code in species]
    rows = pd.concat(pieces, ignore_index=True)
    return rows.assign(row_id=rows["file_id"] + "_" + rows["bird"] + "_" + rows["end_time"].astype(str))


def write_submission(
    path: Path, rows: pd.DataFrame, decisions: Mapping[str, Decisions], species: Sequence[str]
) -> int:
    """Write `row_id,target` in the order of `rows`; return how many rows had no prediction and are False."""
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
    with replacing(path) as new:
        pd.DataFrame({"row_id": rows["row_id"], "target": target}).to_csv(new, index=False)
    return int((~found).sum())


def write_probabilities(path: Path, decisions: Mapping[str, Decisions], species: Sequence[str]) -> None:
    """Write one row a window with a column per species; see `write_table`."""
    tables = [
        pd.DataFrame(decision.probability.astype(np.float32), columns=list(species)).assign(
            file_id=name, end_time=(np.arange(len(decision.probability)) + 1) * WINDOW_SECONDS
        )
        for name, decision in decisions.items()
    ]
    write_table(path, pd.concat(tables, ignore_index=True)[["file_id", "end_time", *species]])


def write_recordings(path: Path, decisions: Mapping[str, Decisions], species: Sequence[str]) -> None:
    """Write one row a recording and species, the most probable species first; see `write_table`.

    Columns are `file_id`, `rank` (1 for the highest maximum), `species`, `mean` and `maximum` of its
    probability over windows, `maximum_end_time` of that window in seconds, and `windows` decided True.
    """
    tables = []
    for name, decision in decisions.items():
        maximum = decision.probability.max(axis=0)
        order = np.argsort(-maximum, kind="stable")
        columns = {
            "file_id": name,
            "rank": np.arange(len(order)) + 1,
            "species": np.asarray(species)[order],
            "mean": decision.probability.mean(axis=0)[order].astype(np.float32),
            "maximum": maximum[order].astype(np.float32),
            "maximum_end_time": (decision.probability.argmax(axis=0)[order] + 1) * WINDOW_SECONDS,
            "windows": decision.target.sum(axis=0)[order],
        }
        tables.append(pd.DataFrame(columns))
    write_table(path, pd.concat(tables, ignore_index=True))


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as .parquet or .csv, by the name's ending."""
    with replacing(path) as new:
        if path.suffix == ".parquet":
            table.to_parquet(new, index=False)
        else:
            table.to_csv(new, index=False)


def write_detections(folder: Path, decisions: Mapping[str, Decisions], species: Sequence[str]) -> None:
    """Write a Raven selection table per soundscape, and one csv in BirdNET's layout for all.

    Windows (or segments of them) of a species that follow one another are one selection; its confidence is
    the highest of its windows.
    """
    birdnet = [pd.DataFrame(columns=BIRDNET_COLUMNS)]
    for name, decision in decisions.items():
        found = pd.DataFrame(selections(decision, species), columns=["start", "end", "code", "confidence"])
        found["confidence"] = found["confidence"].astype(float).round(4)
        raven = pd.DataFrame(
            {
                "Selection": found.index + 1, "View": "Spectrogram 1", "Channel": 1,
                "Begin Time (s)": found["start"], "End Time (s)": found["end"], "Low Freq (Hz)": LOW_HZ,
                "High Freq (Hz)": HIGH_HZ, "Species": found["code"], "Confidence": found["confidence"],
                "Begin Path": str(decision.path),
            }
        )  # fmt: skip
        with replacing(folder / f"{name}.selections.txt") as new:
            raven.to_csv(new, sep="\t", index=False)
        columns = [found["start"], found["end"], "", found["code"], found["confidence"], str(decision.path)]
        birdnet.append(pd.DataFrame(dict(zip(BIRDNET_COLUMNS, columns, strict=True))))
    write_table(folder / "detections.csv", pd.concat(birdnet[1:] or birdnet, ignore_index=True))


def selections(decision: Decisions, species: Sequence[str]) -> Iterator[tuple[float, float, str, float]]:
    """Yield start and end in seconds, species and highest probability of each detection."""
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


def check_submission(submission: Path, test: Path) -> list[str]:
    """Return what is wrong with a submission, in sentences; nothing when it is right."""
    rows = read_test_rows(test)
    try:
        given = pd.read_csv(submission, dtype=str, keep_default_na=False)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        return [f"{submission}: not readable as a table ({error})"]
    if list(given.columns) != ["row_id", "target"]:
        return [f"{submission}: columns {', '.join(given.columns)}; expected row_id, target"]
    problems = []
    wanted, ids = set(rows["row_id"]), given["row_id"]
    for what, found in (
        ("missing", sorted(wanted - set(ids))),
        ("unknown", sorted(set(ids) - wanted)),
        ("repeated", sorted(set(ids[ids.duplicated()]))),
    ):
        if found:
            problems.append(f"{submission}: {len(found)} rows {what}, the first is {found[0]}")
    other = given.index[~given["target"].isin(["True", "False"])]
    if len(other):
        line, value = other[0] + 2, given["target"].iloc[other[0]]
        problems.append(
            f"{submission}: {len(other)} targets are not True or False; line {line} has {value!r}"
        )
    if not problems and ids.tolist() != rows["row_id"].tolist():
        problems.append(f"{submission}: every row is there, but not in the order of {test}")
    return problems
