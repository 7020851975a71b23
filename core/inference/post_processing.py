"""From the probabilities of all soundscapes to decisions, once every file is predicted.

The quantile and the ranks are over all soundscapes. They are found in passes over the journal, so that memory
holds a few soundscapes at a time, whatever their number.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from core.config import require
from core.data.recorders import UNKNOWN, Origin
from core.data.remote import AudioSource
from core.inference.config import InferenceConfig
from core.inference.ensemble import Ensemble
from core.inference.journal import FileResult, Journal
from core.inference.tables import Decisions
from core.inference.windows import mix_neighbours
from core.scoring.decisions import DecisionConfig, adjust, calibrate, read_tuned, scale_by_peak, thresholds
from core.scoring.stream_quantile import stream_quantile


@dataclass(frozen=True)
class PostProcessing:
    """Steps and thresholds: the scored species among themselves, and so the others.

    A scored species' decisions therefore do not depend on whether others are predicted, too.

    Attributes
    ----------
    config
        Which steps.
    species
        (species,) codes.
    scored
        (species,) bool.
    counts
        (species,) recordings that trained.
    """

    config: DecisionConfig
    species: np.ndarray
    scored: np.ndarray
    counts: np.ndarray

    def adjust(self, probability: np.ndarray, file: np.ndarray, bird: np.ndarray | None) -> np.ndarray:
        """Return what is compared with the thresholds, (window, species).

        Parameters
        ----------
        probability
            (window, species).
        file
            (window,) the soundscape of each.
        bird
            (window,) p(bird), or None.
        """
        adjusted = np.empty_like(probability)
        for columns in filter(np.any, (self.scored, ~self.scored)):
            adjusted[:, columns] = adjust(
                probability[:, columns], self.config, self.counts[columns], file, bird
            )
        return adjusted

    @property
    def fixed_thresholds(self) -> np.ndarray | None:
        """(species,) where they do not depend on the probabilities; None where they do.

        Raises
        ------
        ValueError
            If class-wise thresholds lack a species.
        """
        if self.config.threshold == "quantile":
            return None
        return thresholds(np.zeros((1, len(self.species))), self.config, self.species.tolist())


def open_post_processing(config: InferenceConfig, ensemble: Ensemble) -> PostProcessing:
    """Return the wanted steps for an ensemble's species.

    Raises
    ------
    ValueError
        If a tuned file cannot be read, or a no-call model or the threshold of a species is missing.
    """
    settings = read_tuned(Path(config.tuned)) if config.tuned is not None else config.post
    require(
        settings.gate == "off" or config.nocall is not None,
        f"post.gate={settings.gate} needs --nocall=CHECKPOINT",
    )
    species = np.array(ensemble.species)
    post = PostProcessing(settings, species, ensemble.scored, ensemble.train_counts())
    _ = post.fixed_thresholds  # one that is missing is named before hours of work
    return post


@dataclass(frozen=True, kw_only=True)
class DecidedSoundscapes:
    """The decisions about all usable soundscapes, made while they are read.

    Attributes
    ----------
    journal
        What was predicted.
    files
        Soundscape -> its file, in the order of the tables.
    post
        Steps and thresholds.
    smoothing
        Share of each neighbouring window.
    by_segment
        Whether segments are decided.
    origins
        Soundscape -> where and when it was recorded.
    ranked
        Ensembles of ranks: the ranks; None: the journal holds the ensemble's probabilities.
    """

    journal: Journal
    files: Mapping[str, AudioSource]
    post: PostProcessing
    smoothing: float = 0.0
    by_segment: bool = False
    origins: Mapping[str, Origin] | None = None
    ranked: "Ranks | None" = None

    @cached_property
    def windows(self) -> dict[str, int]:
        """Usable soundscape -> its windows, in the order of the files."""
        facts = self.journal.facts
        return {name: facts[name].windows for name in self.files if facts[name].windows}

    @cached_property
    def limits(self) -> np.ndarray:
        """(species,) thresholds; the quantile is that of the scored species over all soundscapes."""
        fixed, scored = self.post.fixed_thresholds, self.post.scored
        if fixed is not None:
            return fixed

        def read() -> Iterator[np.ndarray]:
            for chunk in self.journal.read(self.windows):
                probability, file, bird = self._pooled(chunk)
                yield self.post.adjust(probability, file, bird)[:, scored]

        number = sum(self.windows.values()) * int(scored.sum())
        return np.full(len(scored), stream_quantile(read, number, self.post.config.quantile))

    def read(self, names: Iterable[str] | None = None) -> Iterator[dict[str, Decisions]]:
        """Yield the decisions about soundscapes, some at a time; of all that are usable, or of some."""
        for chunk in self.journal.read(self.windows if names is None else names):
            yield self._decide(chunk)

    def _pooled(self, chunk: Mapping[str, FileResult]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return probabilities (window, species), soundscape (window,), and p(bird) (window,) or None."""
        numbers = [self.windows[name] for name in chunk]
        pieces = [
            one.probability[0].astype(np.float64) if self.ranked is None else self.ranked.of(name)
            for name, one in chunk.items()
        ]
        probability = np.concatenate([mix_neighbours(piece, self.smoothing) for piece in pieces])
        bird = np.concatenate([one.bird for one in chunk.values()]).astype(np.float64)
        return probability, np.repeat(np.arange(len(chunk)), numbers), bird if len(bird) else None

    def _decide(self, chunk: Mapping[str, FileResult]) -> dict[str, Decisions]:
        """Return the decisions about some soundscapes."""
        probability, file, bird = self._pooled(chunk)
        target = self.post.adjust(probability, file, bird) >= self.limits
        segments = np.concatenate([one.segments for one in chunk.values()])
        if self.by_segment:
            segments = decide_segments(segments, target, self.post, file, bird, self.limits)
        config = self.post.config
        scaled = calibrate(scale_by_peak(probability, file, config.file_peak), config)
        ends = np.cumsum([self.windows[name] for name in chunk])[:-1]
        split = (np.split(array, ends) for array in (scaled, target))
        by_file = np.split(segments, ends) if len(segments) else [segments] * len(chunk)
        origins = self.origins or {}
        return {
            name: Decisions(p, t, self.files[name], s, origins.get(name, UNKNOWN))
            for name, p, t, s in zip(chunk, *split, by_file, strict=True)
        }


class Ranks:
    """The weighted mean of the members' ranks, within a species over all soundscapes, on disk.

    Parameters
    ----------
    journal
        What the members predicted.
    windows
        Usable soundscape -> its windows.
    weights
        (member,) of each member.
    folder
        Where columns are kept.
    """

    def __init__(
        self, journal: Journal, windows: Mapping[str, int], weights: np.ndarray, folder: Path
    ) -> None:
        ends = np.cumsum(list(windows.values())).tolist()
        self.starts = dict(zip(windows, [0, *ends[:-1]], strict=True))
        self.windows = windows
        number, start = ends[-1], 0
        values: _Columns | None = None
        for chunk in journal.read(windows):
            block = np.concatenate([one.probability for one in chunk.values()], axis=1)
            values = values or _Columns(folder / "members", block.shape[0] * block.shape[2], number)
            values.write(start, block.transpose(1, 0, 2).reshape(block.shape[1], -1))
            start += block.shape[1]
        assert values is not None
        self.columns = _Columns(folder / "ranks", values.number // len(weights), number)
        for column in range(self.columns.number):
            ranks = np.zeros(number)
            for member, weight in enumerate(weights):
                ranks += weight * rankdata(values.column(member * self.columns.number + column)) / number
            self.columns.put(column, ranks)
        values.close()

    def of(self, name: str) -> np.ndarray:
        """Return the ranks of a soundscape, (window, species) from above 0 to 1."""
        return self.columns.read(self.starts[name], self.windows[name])


class _Columns:
    """A file of (column, row) float64, written and read by rows and by columns, never mapped into memory."""

    def __init__(self, path: Path, number: int, length: int) -> None:
        self.number, self.length = number, length
        self.handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)

    def _place(self, column: int, row: int) -> int:
        return 8 * (column * self.length + row)

    def write(self, row: int, block: np.ndarray) -> None:
        """Write (row, column) from a row on."""
        for column, values in enumerate(np.ascontiguousarray(block.T, np.float64)):
            os.pwrite(self.handle, values.tobytes(), self._place(column, row))

    def read(self, row: int, number: int) -> np.ndarray:
        """Return (row, column) of `number` rows."""
        found = [os.pread(self.handle, 8 * number, self._place(one, row)) for one in range(self.number)]
        return np.stack([np.frombuffer(one) for one in found], axis=1)

    def put(self, column: int, values: np.ndarray) -> None:
        """Write a whole column."""
        os.pwrite(self.handle, values.tobytes(), self._place(column, 0))

    def column(self, column: int) -> np.ndarray:
        """Return a whole column."""
        return np.frombuffer(os.pread(self.handle, 8 * self.length, self._place(column, 0)))

    def close(self) -> None:
        """Close the file."""
        os.close(self.handle)


@contextmanager
def decided_soundscapes(
    journal: Journal,
    files: Mapping[str, AudioSource],
    config: InferenceConfig,
    post: PostProcessing,
    ensemble: Ensemble,
    origins: Mapping[str, Origin],
) -> Iterator[DecidedSoundscapes]:
    """Yield the decisions about every usable soundscape; ranks are taken here, over all of them.

    Parameters
    ----------
    journal, files
        What was predicted, and the file of each soundscape.
    config
        Smoothing, and whether segments are decided.
    post
        Steps and thresholds.
    ensemble
        Its way to combine members.
    origins
        Soundscape -> where and when it was recorded.
    """
    decided = DecidedSoundscapes(
        journal=journal, files=files, post=post, smoothing=config.windows.smoothing,
        by_segment=config.detections_by == "segment", origins=origins,
    )  # fmt: skip
    if ensemble.combine != "rank" or not decided.windows:
        yield decided
        return
    with tempfile.TemporaryDirectory(dir=journal.folder) as folder:
        ranked = Ranks(journal, decided.windows, ensemble.weights, Path(folder))
        try:
            yield replace(decided, ranked=ranked)
        finally:
            ranked.columns.close()


def decide_segments(
    segments: np.ndarray,
    target: np.ndarray,
    post: PostProcessing,
    file: np.ndarray,
    bird: np.ndarray | None,
    limits: np.ndarray,
) -> np.ndarray:
    """Return (window, segment, species) bool: the segments above the threshold in windows that are True.

    Segments go through the same steps and thresholds as windows. In a window that is True the loudest
    segment always counts, so that no decision is lost.

    Parameters
    ----------
    segments
        (window, segment, species) probabilities.
    target
        (window, species) bool.
    post
        The steps.
    file
        (window,) the soundscape.
    bird
        (window,) p(bird), or None.
    limits
        (species,) thresholds.
    """
    flat = segments.astype(np.float64).reshape(-1, segments.shape[2])
    files = np.repeat(file, segments.shape[1])
    repeated = None if bird is None else np.repeat(bird, segments.shape[1])
    above = (post.adjust(flat, files, repeated) >= limits).reshape(segments.shape)
    loudest = segments == segments.max(axis=1, keepdims=True)
    return np.asarray((above | loudest) & target[:, None])
