"""Annotations as one table of events, whatever tool wrote them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from core.config import require, require_probability
from core.data.soundscapes import WINDOW_SECONDS
from core.data.taxonomy import Taxonomy
from core.wording import counted

POSITIVE, NEGATIVE, COMPLETE = "positive", "negative", "complete"
NO_CALL = re.compile(r"no[ -]?call", re.IGNORECASE)
"""What labels say that no species is there."""
SHOWN_CAUSES = 5
_JOINED = re.compile(r"([A-Z]\S* \S.*?)(?:_|, )(.+)")  # scientific and common name
_DEFAULTS: dict[str, Any] = {
    "soundscape": "", "begin": 0.0, "end": 0.0, "label": "", "code": "", "kind": POSITIVE,
    "confidence": np.nan, "low_hz": np.nan, "high_hz": np.nan, "source": "", "line": 0,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AnnotationOptions:
    """How annotations are read, and when they belong to a window."""

    complete: bool = False
    """The files were annotated completely: where nobody marked a species, it is known to be absent."""
    label_column: str | None = None
    """Column of the label in a Raven or Kaleidoscope table; None: found by its name."""
    min_confidence: float = 0.0
    """Annotations of a program below this confidence are left out, and counted."""
    no_species: tuple[str, ...] = ()
    """Labels that are no species, such as rain; they say nothing about any."""
    window_seconds: float = WINDOW_SECONDS
    """Length of a window; those of a file follow one another from its start."""
    share: float = 0.5
    """An annotation belongs to a window that holds this share of it,"""
    seconds: float = 0.5
    """or so many seconds of it. A window with less of it is neither positive nor negative."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require_probability("min_confidence", self.min_confidence)
        require(self.window_seconds > 0, f"window_seconds={self.window_seconds}: above 0")
        require(0 < self.share <= 1, f"share={self.share}: above 0, at most 1")
        require(self.seconds > 0, f"seconds={self.seconds}: above 0")


@dataclass(frozen=True)
class Annotations:
    """Events, and what was noticed on the way to them.

    Attributes
    ----------
    events
        One row an annotation: `soundscape` (as written, with slashes), `begin` and `end` in seconds of it,
        `label` (as written), `code` ("" where it matched no species), `kind` (positive; negative: the
        species is absent throughout; complete: so is every species that is not annotated), `confidence`,
        `low_hz`, `high_hz` (NaN unknown), and where it stands: `source` and `line`.
    notes
        A sentence each: what was counted once, left out, or matched no name.
    """

    events: pd.DataFrame
    notes: tuple[str, ...] = ()

    def without(self, dropped: np.ndarray, cause: str) -> "Annotations":
        """Return the events but for a (event,) bool mask of them, which a note counts and shows."""
        if not dropped.any():
            return self
        first = (
            self.events[dropped].groupby(["source", "soundscape"], sort=False)["line"].agg(["min", "size"])
        )
        shown = [f"{table}, line {line} ({name}, {n})" for (table, name), line, n in first.itertuples()]
        more = f" and {len(shown) - SHOWN_CAUSES} more" if len(shown) > SHOWN_CAUSES else ""
        number = counted(dropped.sum(), "annotations")
        note = f"{number} left out: {cause}: {'; '.join(shown[:SHOWN_CAUSES])}{more}"
        return Annotations(self.events[~dropped].reset_index(drop=True), (*self.notes, note))


def make_events(columns: Mapping[str, Any]) -> pd.DataFrame:
    """Return a table of events from some of its columns, see `Annotations`; the others are unknown."""
    table = pd.DataFrame(dict(columns)).reset_index(drop=True)
    for name, value in _DEFAULTS.items():
        if name not in table:
            table[name] = value
    return table[list(_DEFAULTS)]


def match_names(annotations: Annotations, taxonomy: Taxonomy, no_species: Sequence[str] = ()) -> Annotations:
    """Return the annotations with the codes of their labels.

    A label may be a code, a scientific or a common name, or "scientific_common" as BirdNET joins them.
    "nocall" says that no species is there. What matches nothing keeps code "" and gets a note with the
    nearest names.

    Parameters
    ----------
    annotations
        As read.
    taxonomy
        The species.
    no_species
        Labels that are no species: left out with a note.
    """
    events = annotations.events
    empty = [
        name for name in events["label"].unique() if NO_CALL.fullmatch(name) and not taxonomy.match(name)
    ]
    silent = events["label"].isin(empty) & events["kind"].eq(POSITIVE)
    events = events.assign(kind=events["kind"].mask(silent, COMPLETE), label=events["label"].mask(silent, ""))
    ignored = events["label"].isin(no_species) & events["kind"].ne(COMPLETE)
    annotations = replace(annotations, events=events).without(ignored.to_numpy(), "no species by no_species")
    events = annotations.events
    codes = {label: match_label(taxonomy, label) or "" for label in events["label"].unique()}
    events = events.assign(code=events["label"].map(codes).astype(str))
    unmatched = events["label"][events["code"].eq("") & events["kind"].ne(COMPLETE)].value_counts()
    notes = [
        f"{label!r} is no species of the taxonomy ({counted(number, 'annotations')}); "
        f"nearest: {', '.join(taxonomy.nearest(label)) or 'none'}"
        for label, number in unmatched.items()
    ]
    return Annotations(events, (*annotations.notes, *notes))


def match_label(taxonomy: Taxonomy, label: str) -> str | None:
    """Return the code of a label, of one name or of two that BirdNET joined; None unless there is one."""
    joined = _JOINED.fullmatch(label)
    if joined is None or taxonomy.match(label) is not None:
        return taxonomy.match(label)
    found = {taxonomy.match(name) for name in joined.groups()} - {None}
    return found.pop() if len(found) == 1 else None
