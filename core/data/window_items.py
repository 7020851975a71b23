"""Labelled windows of soundscapes as items: after the recordings in training, judged by themselves.

A training clip lies around its window, on the grid of the windows, so that the window is inside. It is taught
the species of all windows that it covers. A species is left out of the loss where one of them is unknown for
it and none holds it, or where nobody labelled a part of the clip.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from core.config import DataConfig
from core.data.competition import Competition
from core.data.folds import soundscape_folds, split
from core.data.labelled_windows import LabelledWindows
from core.data.labels import Taught
from core.data.pcm import ClipStore
from core.data.recorders import describe_origin
from core.data.soundscapes import WINDOW_SECONDS

_EDGE = 1e-3  # seconds: rounding of times
_GAP = 0.5  # seconds of a clip that nobody labelled, from which on it is unknown
_SHORT = 0.1  # seconds that a file's last window may lack: encoders end a few milliseconds early


@dataclass(frozen=True)
class WindowItems:
    """Labelled windows with their audio and folds.

    Attributes
    ----------
    windows
        All labelled windows that are not ignored.
    store
        Samples of their soundscapes.
    folds
        (window,) the fold that validates each, -1 for none.
    train, valid
        Positions of usable windows that train and validate.
    guessed
        (window, species) float32 probabilities, which are taught where nothing is known; None: nothing is.
    """

    windows: LabelledWindows
    store: ClipStore
    folds: np.ndarray
    train: np.ndarray
    valid: np.ndarray
    guessed: np.ndarray | None = None

    @cached_property
    def entry(self) -> np.ndarray:
        """(window,) position of its soundscape in the store."""
        place = {name: i for i, name in enumerate(self.windows.paths)}
        return np.array([place[name] for name in self.windows.soundscape], dtype=np.int64)

    def with_store(self, store: ClipStore) -> "WindowItems":
        """Return the same windows in another store, without those that it cannot give."""
        usable = store.lengths[self.entry] > 0
        train, valid = (chosen[usable[chosen]] for chosen in (self.train, self.valid))
        return replace(self, store=store, train=train, valid=valid)

    def with_unlabelled(self, paths: Mapping[str, Path], store: ClipStore) -> "WindowItems":
        """Return these windows, and behind them those of soundscapes in which nothing is known.

        They are neither among those that train nor among those that validate: whoever asks for them says
        what they are for.

        Parameters
        ----------
        paths
            Id -> file of the soundscapes.
        store
            Samples of the soundscapes that are here, then of the further ones.
        """
        species, windows = self.windows.species, [self.windows]
        lengths = store.lengths[len(self.windows.paths) :] / store.sample_rate
        for (name, path), seconds in zip(paths.items(), lengths.tolist(), strict=True):
            number = int((seconds + _SHORT) // WINDOW_SECONDS)
            unknown = np.zeros((number, len(species)), dtype=bool)
            windows.append(
                LabelledWindows.of_soundscape(
                    path, name, species, WINDOW_SECONDS, positive=unknown, known=unknown,
                    origin=describe_origin(path, name),
                )
            )  # fmt: skip
        joined = LabelledWindows.joined(windows)
        folds = np.append(self.folds, np.full(len(joined) - len(self.windows), -1))
        return replace(self, windows=joined, store=store, folds=folds)

    @property
    def is_unlabelled(self) -> np.ndarray:
        """(window,) bool: nothing is known about any species."""
        return np.asarray(~self.windows.known.any(axis=1))

    @property
    def names(self) -> list[str]:
        """Name of each window: its soundscape and begin."""
        pairs = zip(self.windows.soundscape, self.windows.begin, strict=True)
        return [f"{name} at {begin:g} s" for name, begin in pairs]

    def start_of_clip(self, window: int, seconds: float, generator: np.random.Generator) -> float:
        """Draw where a training clip of `seconds` around a window begins, in seconds of the soundscape.

        A clip that is shorter than the window lies anywhere in it.
        """
        begin, end = float(self.windows.begin[window]), float(self.windows.end[window])
        width = end - begin
        if seconds < width:
            return begin + float(generator.random()) * (width - seconds)
        last = max(round(self._seconds(window) / width) * width - seconds, 0.0)
        before = width * np.arange(int((seconds - width) / width + _EDGE) + 1)
        starts = (begin - before)[(begin - before > -_EDGE) & (begin - before < last + _EDGE)]
        return max(float(generator.choice(starts)), 0.0) if len(starts) else begin

    def place(self, window: int, begin: float) -> tuple[ClipStore, int, int]:
        """Return the store of the soundscape of a window, its position there, and a clip's first sample.

        Parameters
        ----------
        window
            Its position.
        begin
            Of the clip, in seconds of the soundscape.
        """
        return self.store, int(self.entry[window]), round(begin * self.store.sample_rate)

    def taught(self, window: int, start: float, seconds: float) -> Taught:
        """Return what a clip around a window is taught; it weighs as the share of species that it is.

        Parameters
        ----------
        window
            Its position.
        start, seconds
            Of the clip in the soundscape.
        """
        windows, stop = self.windows, min(start + seconds, self._seconds(window))
        overlap = np.minimum(windows.end, stop) - np.maximum(windows.begin, start)
        covered = (self.entry == self.entry[window]) & (overlap > _EDGE)
        covered[window] = True
        if self.guessed is not None and not windows.known[covered].any():
            guess = self.guessed[covered].max(axis=0)
            return Taught(guess, np.ones_like(guess), np.float32(1.0))
        target = windows.positive[covered].any(axis=0)
        known = windows.known[covered].all(axis=0) & (overlap[covered].sum() > stop - start - _GAP)
        mask = (target | known).astype(np.float32)
        return Taught(target.astype(np.float32), mask, mask.mean())

    def _seconds(self, window: int) -> float:
        """Return the length of the soundscape of a window."""
        return float(self.store.lengths[self.entry[window]]) / self.store.sample_rate


def labelled_windows(competition: Competition, data: DataConfig) -> LabelledWindows:
    """Return the labelled windows that a run uses: none where `data.soundscapes` ignores them."""
    if data.soundscapes == "ignore":
        return LabelledWindows.none(competition.species)
    return competition.soundscapes.with_species(competition.species)


def divide_windows(
    windows: LabelledWindows, store: ClipStore, recorded: Collection[str], data: DataConfig
) -> WindowItems:
    """Return labelled windows by what they are for in one fold.

    Parameters
    ----------
    windows
        See `labelled_windows`.
    store
        Samples of their soundscapes, in the order of `paths`.
    recorded
        Species that recordings train.
    data
        Folds, and whether windows train.
    """
    assert data.fold != "all", "one run trains one fold"
    folds = soundscape_folds(windows, recorded, data).fold
    train, valid = split(folds, data.fold)
    if data.soundscapes != "train_and_validate":
        train = train[:0]
    return WindowItems(windows, store, folds, train, valid).with_store(store)
