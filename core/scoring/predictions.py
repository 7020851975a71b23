"""Predictions with everything that belongs to them: the one container between networks and numbers.

`predictions.parquet` of a run has one row a validated clip: `recording`, `author`, `species` (primary label),
`fold`, `start_seconds`, where known `site` and `start_time`, then `truth:<code>` and `probability:<code>` of
every scored species. `soundscape_predictions.parquet` has the same of each validated window of a labelled
soundscape, whose primary label is blank; a truth that nobody told is null.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from core.config import require
from core.data.recordings import UNKNOWN_AUTHOR
from core.scoring.resampling import RESAMPLES, Resampler
from core.wording import counted

TRUTH, PROBABILITY = "truth:", "probability:"
CLIP = ["recording", "start_seconds"]
SHOWN = 3
Unit = Literal["recording", "author", "site", "day"]
UNITS: dict[Unit, str] = {
    "recording": "recordings", "author": "authors by species", "site": "sites", "day": "days at a site",
}  # fmt: skip
"""What is drawn or exchanged as a whole, and how they are counted in a text.

Clips of a recording are never independent; the recordings of one author, who comes back to the same place
with the same microphone, may not be either, nor those of one site, or of one day at a site. Drawing authors,
days or sites is the stricter choice. A recording whose author, site or day is unknown stands for itself.
"""
Of = Literal["recordings", "soundscapes"]
FILES: dict[Of, str] = {
    "recordings": "predictions.parquet", "soundscapes": "soundscape_predictions.parquet",
}  # fmt: skip
"""What a run judges, and the file in its folder."""


@dataclass(frozen=True)
class Predictions:
    """Clips, or windows of soundscapes, with what was predicted of them and what is true.

    Attributes
    ----------
    species
        (species,) codes of the columns.
    probability, truth
        (row, species) float64 and bool.
    recording, author, primary
        (row,) text: the recording or soundscape, its author, its primary species.
    fold
        (row,) int, the fold that judged it; -1 where there are no folds.
    start_seconds
        (row,) where the clip begins in its recording.
    site, start_time
        (row,) text: where and when the recording was made (ISO 8601); "" where unknown.
    known
        (row, species) bool, whether somebody said what is true.
    counts
        (row, species) recordings that trained the network which judged the row; all 0 where unknown.
    name
        What predicted, in a word.
    """

    species: tuple[str, ...]
    probability: np.ndarray = field(repr=False)
    truth: np.ndarray = field(repr=False)
    recording: np.ndarray = field(repr=False)
    author: np.ndarray = field(repr=False)
    primary: np.ndarray = field(repr=False)
    fold: np.ndarray = field(repr=False)
    start_seconds: np.ndarray = field(repr=False)
    site: np.ndarray = field(repr=False)
    start_time: np.ndarray = field(repr=False)
    known: np.ndarray = field(repr=False)
    counts: np.ndarray = field(repr=False)
    name: str = ""

    @classmethod
    def of(
        cls,
        species: Sequence[str],
        probability: np.ndarray,
        truth: np.ndarray,
        recording: np.ndarray,
        *,
        name: str = "",
        **columns: np.ndarray,
    ) -> "Predictions":
        """Return predictions with what is not given unknown.

        Parameters
        ----------
        species, probability, truth, recording, name
            As the attributes.
        columns
            Further attributes.

        Examples
        --------
        >>> found = Predictions.of(["owl"], np.array([[0.9]]), np.array([[True]]), np.array(["a.ogg"]))
        >>> found.author, found.counts
        (array(['unknown'], dtype='<U7'), array([[0.]]))
        """
        number, shape = len(probability), np.shape(probability)
        blank = {
            "author": np.full(number, UNKNOWN_AUTHOR),
            "primary": np.full(number, ""),
            "fold": np.full(number, -1),
            "start_seconds": np.zeros(number),
            "site": np.full(number, ""),
            "start_time": np.full(number, ""),
            "known": np.ones(shape, dtype=bool),
            "counts": np.zeros(shape),
        }
        return cls(
            tuple(species),
            np.asarray(probability, dtype=np.float64),
            np.asarray(truth, dtype=bool),
            np.asarray(recording).astype(str),
            name=name,
            **blank | columns,
        )

    @classmethod
    def from_table(cls, table: pd.DataFrame, name: str = "") -> "Predictions":
        """Return the predictions of a table with the columns of the module, sorted by clip."""
        table = table.sort_values(CLIP, ignore_index=True) if len(table) else table
        species = tuple(column.removeprefix(TRUTH) for column in table if column.startswith(TRUTH))
        texts = {
            kind: table[kind].to_numpy(str) for kind in ("author", "site", "start_time") if kind in table
        }
        truth = table[[TRUTH + code for code in species]]
        return cls.of(
            species,
            table[[PROBABILITY + code for code in species]].to_numpy(np.float64),
            truth.eq(True).fillna(False).to_numpy(bool),
            table["recording"].to_numpy(str),
            primary=table["species"].to_numpy(str),
            fold=table["fold"].to_numpy(int),
            start_seconds=table["start_seconds"].to_numpy(float),
            known=truth.notna().to_numpy(bool),
            name=name,
            **texts,
        )

    @classmethod
    def read(cls, file: Path, name: str = "") -> "Predictions":
        """Return the predictions of a run's `predictions.parquet`."""
        return cls.from_table(pd.read_parquet(file), name)

    def to_table(self) -> pd.DataFrame:
        """Return the table of `predictions.parquet`."""
        columns: dict[str, Any] = {
            "recording": self.recording,
            "author": self.author,
            "species": self.primary,
            "fold": self.fold,
            "start_seconds": self.start_seconds,
        }
        columns |= {kind: getattr(self, kind) for kind in ("site", "start_time") if getattr(self, kind).any()}
        truth: list[Any] = list(self.truth.T)
        if not self.known.all():
            truth = [pd.arrays.BooleanArray(one, ~k) for one, k in zip(truth, self.known.T, strict=True)]
        columns |= {TRUTH + code: column for code, column in zip(self.species, truth, strict=True)}
        probability = self.probability.astype(np.float32).T
        columns |= {PROBABILITY + code: one for code, one in zip(self.species, probability, strict=True)}
        return pd.DataFrame(columns)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.probability)

    def rows(self, chosen: np.ndarray) -> "Predictions":
        """Return some of the rows, by their positions or a mask."""
        return replace(self, **{name: getattr(self, name)[chosen] for name in self.columns_of_rows()})

    def columns(self, chosen: Sequence[int], name: str) -> "Predictions":
        """Return some of the species under another name.

        Parameters
        ----------
        chosen
            Their positions.
        name
            Of what predicted.
        """
        kept = {key: getattr(self, key)[:, chosen] for key in ("probability", "truth", "known", "counts")}
        return replace(self, species=tuple(self.species[i] for i in chosen), name=name, **kept)

    def columns_of_rows(self) -> list[str]:
        """Return the names of the attributes that have an entry a row."""
        return [name for name in self.__dataclass_fields__ if name not in ("species", "name")]

    def exchanged_units(self, by: Unit) -> np.ndarray:
        """Return what each row (row,) is exchanged with, and never divided from, as a whole.

        A recording whose author, site or day is unknown stands for itself.
        """
        if by == "recording":
            return self.recording
        if by == "author":
            known = ~np.isin(self.author, [UNKNOWN_AUTHOR, "", "nan", "None"])
            return np.where(known, self.author, self.recording)
        known, units = self.site != "", self.site.astype(str)
        if by == "day":
            known = known & (self.start_time != "")
            date = self.start_time.astype("U10")  # of ISO 8601
            units = np.array([f"{site} {day}" for site, day in zip(units, date, strict=True)])
        return np.where(known, units, self.recording)

    def drawn_units(self, by: Unit) -> np.ndarray:
        """Return what each row (row,) is drawn with: of an author or site what has one primary label."""
        if by == "recording":
            return self.recording
        units = self.exchanged_units(by)
        return np.array([f"{unit} | {code}" for unit, code in zip(units, self.primary, strict=True)])

    def resampler(self, by: Unit = "recording", num_resamples: int = RESAMPLES, seed: int = 0) -> Resampler:
        """Return the bootstrap of these rows: units within primary species."""
        return Resampler(self.drawn_units(by), self.primary, num_resamples, seed, unit=UNITS[by])


def pool_predictions(parts: Sequence[Predictions], name: str = "") -> Predictions:
    """Return predictions of different clips, such as those of all folds, as one set, sorted by clip.

    Raises
    ------
    ValueError
        If their species differ, or two predict the same clip.
    """
    first = parts[0]
    for other in parts[1:]:
        if other.species != first.species:
            message = f"{first.name} and {other.name}: {_labels_differ(first.species, other.species)}"
            raise ValueError(message)
    joined: dict[str, Any] = {
        column: np.concatenate([getattr(one, column) for one in parts]) for column in first.columns_of_rows()
    }
    pooled = replace(first, name=name, **joined)
    clips = list(zip(pooled.recording, pooled.start_seconds, strict=True))
    require(len(set(clips)) == len(clips), f"{name}: two of them predict the same clips")
    return pooled.rows(np.lexsort((pooled.start_seconds, pooled.recording)))


def with_counts(predictions: Predictions, trained: Mapping[int | None, Mapping[str, int]]) -> Predictions:
    """Return predictions with what trained the network that judged each row.

    Parameters
    ----------
    predictions
        Of one or more folds.
    trained
        Fold -> species -> recordings that trained. Where it is empty, the recordings of the other folds are
        counted by primary species: those trained for certain. A single fold is then unknown.
    """
    counts = np.zeros(predictions.probability.shape)
    for fold in np.unique(predictions.fold):
        judged = predictions.fold == fold
        if trained:
            of_species = trained.get(int(fold), {})
            counts[judged] = [of_species.get(code, 0) for code in predictions.species]
        else:
            pairs = np.stack([predictions.recording[~judged], predictions.primary[~judged]], axis=1)
            others = np.unique(pairs.astype(str), axis=0)[:, 1]
            counts[judged] = [(others == code).sum() for code in predictions.species]
    return replace(predictions, counts=counts)


def require_same_clips(runs: Sequence[Predictions]) -> None:
    """Raise a `ValueError` that says how runs differ in label order, clips, folds or truth.

    Parameters
    ----------
    runs
        At least one, each with a name.
    """
    require(len(runs) > 0, "no run to compare")
    for run in runs:
        require(len(run) > 0, f"{run.name}: validated nothing (data.fold=None)")
    first = runs[0]
    for other in runs[1:]:
        difference = difference_of(first, other)
        require(difference is None, f"{first.name} and {other.name} cannot be compared: {difference}")


def difference_of(one: Predictions, other: Predictions) -> str | None:
    """Return why two sets of predictions cannot be put side by side; None if they can."""
    if one.species != other.species:
        return _labels_differ(one.species, other.species)
    clips = [list(zip(run.recording, run.start_seconds, strict=True)) for run in (one, other)]
    if clips[0] != clips[1]:
        return _clips_differ(*map(set, clips))
    differs = one.fold != other.fold
    if differs.any():
        row = int(np.flatnonzero(differs)[0])
        return (
            f"other folds: {differs.sum()} of {len(one)} clips, such as {one.recording[row]}, in fold "
            f"{one.fold[row]} of the one and {other.fold[row]} of the other; train both with the same "
            "data.num_folds, data.fold_seed and data.group_by_author"
        )
    labels = (one.truth != other.truth) | (one.known != other.known)
    if labels.any():
        row, column = np.argwhere(labels)[0]
        number = int(labels.any(axis=1).sum())
        return (
            f"other labels: {counted(number, 'clips')}, such as {one.recording[row]}, which holds "
            f"{one.species[column]} in one of them only"
        )
    return None


def _labels_differ(one: Sequence[str], other: Sequence[str]) -> str:
    """Return how two lists of scored species differ."""
    if set(one) == set(other):
        place = next(i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
        return f"other label order: species {place} is {one[place]} in one and {other[place]} in the other"
    only = [sorted(set(a) - set(b)) for a, b in ((one, other), (other, one))]
    return (
        f"other scored species: {_first_names(only[0])} only in the first, "
        f"{_first_names(only[1])} only in the second"
    )


def _clips_differ(one: set[Any], other: set[Any]) -> str:
    """Return how two sets of clips, (recording, start) each, differ."""
    names = [sorted({name for name, _ in a - b}) for a, b in ((one, other), (other, one))]
    return (
        f"other validated clips ({len(one)} and {len(other)}, {len(one & other)} in common): "
        f"{_first_names(names[0])} only in the first, {_first_names(names[1])} only in the second; "
        "compare the same folds of the same data"
    )


def _first_names(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    if not names:
        return "none"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
