"""Write events as tables of Raven, Audacity and BirdNET, labelled windows as those of Perch hoplite or wide.

Raven, Audacity and BirdNET hold positive events only. A label is the code where it matched one, else as it
was written.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from core.config import require
from core.data.annotations.events import NEGATIVE, POSITIVE, match_label
from core.data.annotations.readers import HOPLITE_SECONDS, WIDE_COLUMNS
from core.data.labelled_windows import LabelledWindows
from core.data.recorders import Origin
from core.data.taxonomy import Taxonomy
from core.files import replacing, write_atomically, write_table

LOW_HZ, HIGH_HZ = 50, 14000  # of a selection's box, which must have edges
_BREAKS = re.compile(r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")  # what these tools cannot have in a label


def write_raven(
    folder: Path, events: pd.DataFrame, files: Mapping[str, str], origins: Mapping[str, Origin] | None = None
) -> None:
    """Write a selection table a soundscape, `<folder>/<soundscape>.selections.txt`.

    Parameters
    ----------
    folder
        Where; made if missing.
    events
        See `Annotations.events`; one without frequencies becomes a selection of the waveform.
    files
        Soundscape -> its file as the table shall name it; each gets a table.
    origins
        Soundscape -> what `site` and `start_time` tell; None: no such columns.
    """
    for soundscape, found in _by_soundscape(events, files):
        boxed = found["low_hz"].notna() & found["high_hz"].notna()
        table = pd.DataFrame(
            {
                "Selection": found.index + 1, "View": np.where(boxed, "Spectrogram 1", "Waveform 1"),
                "Channel": 1, "Begin Time (s)": found["begin"], "End Time (s)": found["end"],
                "Low Freq (Hz)": found["low_hz"].where(boxed, LOW_HZ),
                "High Freq (Hz)": found["high_hz"].where(boxed, HIGH_HZ), "Species": found["name"],
                "Confidence": found["confidence"], "Begin Path": _one_line(files[soundscape]),
                "File Offset (s)": found["begin"],
            }
        )  # fmt: skip
        if origins is not None:
            table = table.assign(**origins[soundscape]._asdict())
        with replacing(_table_of(folder, soundscape, ".selections.txt")) as new:
            table.to_csv(new, sep="\t", index=False, quoting=csv.QUOTE_NONE)


def write_audacity(folder: Path, events: pd.DataFrame, soundscapes: Iterable[str]) -> None:
    """Write a label track a soundscape, `<folder>/<soundscape>.labels.txt`; confidence has no place in it.

    Parameters
    ----------
    folder
        Where; made if missing.
    events
        See `Annotations.events`.
    soundscapes
        Each gets a track.
    """
    columns = ["begin", "end", "name", "low_hz", "high_hz"]
    for soundscape, found in _by_soundscape(events, soundscapes):
        lines = []
        for begin, end, name, low, high in found[columns].itertuples(index=False):
            lines.append(f"{begin}\t{end}\t{name}\n")
            if not np.isnan([low, high]).any():
                lines.append(f"\\\t{low}\t{high}\n")
        write_atomically(_table_of(folder, soundscape, ".labels.txt"), "".join(lines))


def birdnet_table(
    events: pd.DataFrame,
    files: Mapping[str, str],
    taxonomy: Taxonomy | None = None,
    origins: Mapping[str, Origin] | None = None,
) -> pd.DataFrame:
    """Return BirdNET's table of results of all soundscapes.

    Parameters
    ----------
    events
        See `Annotations.events`.
    files
        Soundscape -> its file as the table shall name it.
    taxonomy
        Scientific and common names of the codes; where it lacks them, the code stands for the common name.
    origins
        As `write_raven`.
    """
    found = _named(events)
    names = {code: _two_names(code, taxonomy) for code in found["code"].unique()}
    pairs = [
        names[code] if code else _split_names(label)
        for code, label in zip(found["code"], found["label"], strict=True)
    ]
    table = pd.DataFrame(
        {
            "Start (s)": found["begin"], "End (s)": found["end"],
            "Scientific name": [first for first, _ in pairs], "Common name": [second for _, second in pairs],
            "Confidence": found["confidence"], "File": found["soundscape"].map(files),
        }
    )  # fmt: skip
    if origins is not None:
        where = [origins[soundscape] for soundscape in found["soundscape"]]
        table[list(Origin._fields)] = pd.DataFrame(where, columns=Origin._fields, index=table.index)
    return table


def hoplite_table(windows: LabelledWindows, files: Mapping[str, str]) -> pd.DataFrame:
    """Return Perch hoplite's table: one row a window and known species.

    Parameters
    ----------
    windows
        Labels.
    files
        Soundscape -> its file as the table shall name it.

    Raises
    ------
    ValueError
        If a window does not last 5 s.
    """
    lengths = windows.end - windows.begin
    require(bool(np.allclose(lengths, HOPLITE_SECONDS)), "windows of Perch hoplite last 5 s")
    rows, columns = np.nonzero(windows.known)
    return pd.DataFrame(
        {
            "filename": [files[name] for name in windows.soundscape[rows]],
            "window_offset_s": windows.begin[rows], "label": np.array(windows.species, dtype=object)[columns],
            "label_type": np.where(windows.positive[rows, columns], POSITIVE, NEGATIVE),
        }
    )  # fmt: skip


def write_wide(path: Path, windows: LabelledWindows) -> None:
    """Write one row a window, .csv or .parquet: 1 or 0 in the column of a species, empty where unknown."""
    states = pd.DataFrame(np.where(windows.known, windows.positive, np.nan), columns=list(windows.species))
    keys = (windows.soundscape, windows.begin, windows.end, windows.site, windows.start_time)
    table = pd.DataFrame(dict(zip(WIDE_COLUMNS, keys, strict=True)))
    write_table(pd.concat([table, states.astype("Int8")], axis=1), path)


def _named(events: pd.DataFrame) -> pd.DataFrame:
    """Return the positive events with `name`, in one line, that stands for the species."""
    found = events[events["kind"].eq(POSITIVE)]
    return found.assign(name=found["code"].where(found["code"].ne(""), found["label"]).map(_one_line))


def _by_soundscape(events: pd.DataFrame, soundscapes: Iterable[str]) -> Iterable[tuple[str, pd.DataFrame]]:
    """Yield each soundscape and its positive events."""
    found = _named(events)
    groups = found.groupby("soundscape", sort=False).indices
    for soundscape in soundscapes:
        yield soundscape, found.iloc[groups.get(soundscape, [])].reset_index(drop=True)


def _table_of(folder: Path, soundscape: str, ending: str) -> Path:
    """Return where the table of a soundscape lies, always within the folder."""
    parts = [part for part in soundscape.split("/") if part not in {"", ".", ".."} and ":" not in part]
    return folder.joinpath(*parts[:-1], parts[-1] + ending)


def _one_line(text: str) -> str:
    """Return a text that a table without quotes can hold."""
    return _BREAKS.sub(" ", text)


def _two_names(code: str, taxonomy: Taxonomy | None) -> tuple[str, str]:
    """Return scientific and common name, if they lead back to the code; else the code as common name."""
    scientific, common, _ = taxonomy.names(code) if taxonomy is not None else ("", "", "")
    joined = f"{scientific}_{common}" if scientific and common else scientific + common
    leads_back = taxonomy is not None and match_label(taxonomy, joined) == code
    return (scientific, common) if leads_back else ("", code)


def _split_names(label: str) -> tuple[str, str]:
    """Return the names that BirdNET joined, or the label as common name."""
    scientific, _, common = label.partition("_")
    return (scientific, common) if scientific and common else ("", label)
