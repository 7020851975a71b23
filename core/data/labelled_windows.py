"""Stretches of soundscapes that somebody listened to: what was heard, and for whom was listened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.data.recorders import UNKNOWN, Origin


@dataclass(frozen=True, kw_only=True)
class LabelledWindows:
    """Labels of windows; a species that nobody listened for is neither there nor absent.

    Attributes
    ----------
    positive
        (window, species) bool, heard in the window; only where `known`.
    known
        (window, species) bool; False: nobody listened for the species.
    begin, end
        (window,) float64 seconds from the start of the soundscape.
    soundscape
        (window,) str ids.
    site, start_time
        (window,) str: where, and the soundscape's start in local time as ISO 8601; "" unknown.
    species
        Codes of the columns.
    paths
        Id -> the audio file; ids without one are not there.
    """

    species: tuple[str, ...]
    soundscape: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    positive: np.ndarray
    known: np.ndarray
    paths: Mapping[str, Path]
    site: np.ndarray
    start_time: np.ndarray

    def __post_init__(self) -> None:
        """Check that the arrays belong together."""
        assert self.positive.shape == self.known.shape == (len(self), len(self.species))
        lengths = {len(array) for array in (self.begin, self.end, self.site, self.start_time)}
        assert lengths == {len(self)}
        assert not (self.positive & ~self.known).any(), "positive, but not known"

    @classmethod
    def none(cls, species: Sequence[str]) -> "LabelledWindows":
        """Return no windows of these species."""
        times, texts = np.zeros(0), np.zeros(0, dtype=str)
        labels = np.zeros((0, len(species)), dtype=bool)
        return cls(
            species=tuple(species), soundscape=texts, begin=times, end=times, positive=labels, known=labels,
            paths={}, site=texts, start_time=texts,
        )  # fmt: skip

    @classmethod
    def of_soundscape(
        cls,
        path: Path,
        name: str,
        species: Sequence[str],
        seconds: float,
        *,
        positive: np.ndarray,
        known: np.ndarray,
        origin: Origin = UNKNOWN,
    ) -> "LabelledWindows":
        """Return the windows of one soundscape, which follow one another from its start.

        Parameters
        ----------
        path, name
            The file and its id.
        species
            Codes of the columns.
        seconds
            Length of a window.
        positive, known
            (window, species) bool.
        origin
            Where and when it was recorded.
        """
        begin = np.arange(len(known)) * float(seconds)
        names, site, start = (np.full(len(begin), text, dtype=object) for text in (name, *origin))
        return cls(
            species=tuple(species), soundscape=names, begin=begin, end=begin + seconds, positive=positive,
            known=known, paths={name: path}, site=site, start_time=start,
        )  # fmt: skip

    @classmethod
    def joined(cls, pieces: Sequence["LabelledWindows"]) -> "LabelledWindows":
        """Return the windows of one or more pieces, which have the same species."""
        arrays: dict[str, Any] = {
            name: np.concatenate([getattr(piece, name) for piece in pieces]) for name in _ARRAYS
        }
        paths = {name: path for piece in pieces for name, path in piece.paths.items()}
        return replace(pieces[0], **arrays, paths=paths)

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.soundscape)

    def rows(self, chosen: np.ndarray) -> "LabelledWindows":
        """Return the windows of a (window,) bool mask or of positions, and the paths of their soundscapes."""
        arrays = {name: getattr(self, name)[chosen] for name in _ARRAYS}
        left = set(arrays["soundscape"].tolist())
        paths = {name: path for name, path in self.paths.items() if name in left}
        return replace(self, **arrays, paths=paths)

    def with_species(self, species: Sequence[str]) -> "LabelledWindows":
        """Return the same windows with these columns: nobody listened for a species that is new here."""
        old = {code: column for column, code in enumerate(self.species)}
        positive = np.zeros((len(self), len(species)), dtype=bool)
        known = np.zeros_like(positive)
        for column, code in enumerate(species):
            if code in old:
                positive[:, column] = self.positive[:, old[code]]
                known[:, column] = self.known[:, old[code]]
        return replace(self, species=tuple(species), positive=positive, known=known)


_ARRAYS = ("soundscape", "begin", "end", "positive", "known", "site", "start_time")
