"""Events of soundscapes -> labelled windows: positive, negative or unknown for each species."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.annotations.events import (
    COMPLETE,
    NEGATIVE,
    POSITIVE,
    AnnotationOptions,
    Annotations,
    match_names,
)
from core.data.annotations.places import EDGE_SECONDS, place
from core.data.annotations.readers import read_annotations
from core.data.labelled_windows import LabelledWindows
from core.data.recorders import describe_origin
from core.data.taxonomy import Taxonomy

_LAST_SHARE = 0.1  # of a window must be audio, or a file's last one is left out: 0.5 s, as in inference


def label_windows(
    files: Iterable[Path | str],
    soundscapes: Mapping[str, Path],
    taxonomy: Taxonomy,
    options: AnnotationOptions | None = None,
) -> tuple[LabelledWindows, tuple[str, ...]]:
    """Return what annotation files say of soundscapes.

    Parameters
    ----------
    files
        Annotation tables of any known format, or folders of them.
    soundscapes
        Id -> file.
    taxonomy
        The species, in the order of the columns, and their names.
    options
        How annotations are read, and when they belong to a window.

    Returns
    -------
    windows
        Those of which something is known, of the annotated soundscapes.
    notes
        A sentence each: what was counted once, left out, or matched no name.

    Raises
    ------
    ValueError
        If a table cannot be read, or a name in it belongs to several soundscapes.
    """
    options = options or AnnotationOptions()
    annotations = match_names(read_annotations(files, options), taxonomy, options.no_species)
    placed, seconds = place(annotations, soundscapes)
    windows, notes = to_windows(placed, seconds, soundscapes, taxonomy.codes, options)
    return windows.rows(np.flatnonzero(windows.known.any(axis=1))), notes


def to_windows(
    annotations: Annotations,
    seconds: Mapping[str, float],
    soundscapes: Mapping[str, Path],
    species: tuple[str, ...],
    options: AnnotationOptions,
) -> tuple[LabelledWindows, tuple[str, ...]]:
    """Return every window of the annotated soundscapes, and the notes.

    Parameters
    ----------
    annotations, seconds
        Events with codes and ids, and the length of each annotated soundscape, see `place`.
    soundscapes
        Id -> file.
    species
        Codes of the columns.
    options
        When an annotation belongs to a window.

    Returns
    -------
    windows
        An annotation is positive in the windows it belongs to. Windows that are wholly negative or
        complete are negative; those with too little of an annotation, or with one that matched no name,
        are unknown, and so are those that are said to hold a species and not to hold it.
    notes
        Those of the annotations, and how many labels contradict one another.
    """
    column_of = {code: column for column, code in enumerate(species)}
    pieces, contradictions = [LabelledWindows.none(species)], 0
    for name, group in annotations.events.groupby("soundscape", sort=True):
        events = group.assign(column=group["code"].map(column_of).fillna(-1).astype(int))
        length = seconds[str(name)]
        number = max(int((length / options.window_seconds - _LAST_SHARE) // 1) + 1, 1)
        positive, touched = _positives(events, number, len(species), options)
        absent = _covered(events[events["kind"].eq(NEGATIVE)], number, len(species), length, options)
        complete = events[events["kind"].eq(COMPLETE)].assign(column=0)
        listened = _covered(complete, number, 1, length, options) & ~touched
        contradictions += int((positive & absent).sum())
        known = np.where(positive, ~absent, absent | listened)
        path = soundscapes[str(name)]
        pieces.append(
            LabelledWindows.of_soundscape(
                path, str(name), species, options.window_seconds,
                positive=positive & known, known=known, origin=describe_origin(path, str(name)),
            )
        )  # fmt: skip
    notes = annotations.notes
    if contradictions:
        notes += (f"{contradictions} labels of windows contradict one another and are unknown",)
    return LabelledWindows.joined(pieces), notes


def _positives(
    events: pd.DataFrame, number: int, num_species: int, options: AnnotationOptions
) -> tuple[np.ndarray, np.ndarray]:
    """Return (window, species) bool: annotations that belong there; any of one, or of an unknown label."""
    events = events[events["kind"].eq(POSITIVE)]
    begin, end, column = (events[name].to_numpy() for name in ("begin", "end", "column"))
    event, window = _overlaps(begin, end, number, options.window_seconds)
    first = window * options.window_seconds
    overlap = np.minimum(end[event], first + options.window_seconds) - np.maximum(begin[event], first)
    needed = np.minimum(options.share * (end - begin), options.seconds)
    belongs, matched = overlap >= needed[event] - 1e-9, column[event] >= 0
    positive = np.zeros((number, num_species), dtype=bool)
    touched = np.zeros_like(positive)
    positive[window[belongs & matched], column[event][belongs & matched]] = True
    touched[window[matched], column[event][matched]] = True
    touched[window[~matched]] = True
    return positive, touched


def _covered(
    events: pd.DataFrame, number: int, num_columns: int, length: float, options: AnnotationOptions
) -> np.ndarray:
    """Return (window, column) bool: events that follow one another cover the whole window."""
    events = events[events["column"] >= 0].sort_values(["column", "begin"])
    begin, end, column = (events[name].to_numpy() for name in ("begin", "end", "column"))
    covered = np.zeros((number, num_columns), dtype=bool)
    if len(events) == 0:
        return covered
    apart = column * (length + 1.0)  # columns one after another on one axis
    reach = np.maximum.accumulate(end + apart)
    starts = np.flatnonzero(np.r_[True, (begin + apart)[1:] > reach[:-1] + EDGE_SECONDS])
    begin, column = begin[starts], column[starts]
    end = reach[np.r_[starts[1:], len(reach)] - 1] - apart[starts]
    event, window = _overlaps(begin, end, number, options.window_seconds)
    first = window * options.window_seconds
    last = np.minimum(first + options.window_seconds, length)
    whole = (begin[event] <= first + EDGE_SECONDS) & (end[event] >= last - EDGE_SECONDS)
    covered[window[whole], column[event][whole]] = True
    return covered


def _overlaps(
    begin: np.ndarray, end: np.ndarray, number: int, seconds: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return (pair,) positions of events and of the windows that each reaches into, at least one."""
    first = np.minimum((begin // seconds).astype(int), number - 1)
    last = np.clip(np.ceil(end / seconds).astype(int) - 1, first, number - 1)
    counts = last - first + 1
    event = np.repeat(np.arange(len(begin)), counts)
    return event, np.arange(len(event)) - (np.cumsum(counts) - counts)[event] + first[event]
