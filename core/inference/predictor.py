"""Soundscapes -> logits of every window, file by file, in bounded memory."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from core.data.audio import AUDIO_SUFFIXES, AudioError, stream_mono
from core.inference.config import WindowConfig
from core.inference.ensemble import SEGMENTS, Ensemble, logit, sigmoid
from core.inference.journal import FileResult
from core.inference.reading import read_ahead
from core.inference.windows import Piece, merge_shifts, pieces

CPU_BATCH, GPU_BATCH = 12, 256


def find_soundscapes(paths: tuple[str, ...]) -> dict[str, Path]:
    """Return file id (name without suffix) -> path, sorted.

    Raises
    ------
    ValueError
        If a path does not exist, nothing is found, or two files share an id.
    """
    found: dict[str, Path] = {}
    for text in paths:
        path = Path(text)
        if not path.exists():
            message = f"soundscapes: {path} does not exist"
            raise ValueError(message)
        inside = path.rglob("*") if path.is_dir() else [path]
        files = [f for f in inside if f.is_file() and (f == path or f.suffix.lower() in AUDIO_SUFFIXES)]
        for file in files:
            if found.setdefault(file.stem, file) != file:
                message = f"soundscapes: {found[file.stem]} and {file} share the id {file.stem}"
                raise ValueError(message)
    if not found:
        message = f"soundscapes: no audio file in {', '.join(paths)}"
        raise ValueError(message)
    return dict(sorted(found.items()))


class Predictor:
    """Predict one soundscape after the other.

    Parameters
    ----------
    ensemble
        The models.
    config
        Shifts, context, batch.
    device
        Where they run.
    nocall
        A bird / no-call ensemble of one species, or None.
    segments
        Also tell what is heard when within each window.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        config: WindowConfig,
        device: torch.device,
        nocall: Ensemble | None = None,
        *,
        segments: bool = False,
    ) -> None:
        self.ensemble, self.config, self.device = ensemble, config, device
        self.nocall, self.segments = nocall, segments
        batch = config.batch or (CPU_BATCH if device.type == "cpu" else GPU_BATCH)
        self.size = max(batch // config.context, 1) * config.context

    def predict_files(self, paths: Iterable[Path]) -> Iterator[FileResult]:
        """Yield the result of each file in turn; the next ones are decoded meanwhile."""
        for blocks in read_ahead(paths, self.ensemble.sample_rate):
            yield self.predict_stream(blocks)

    def predict_file(self, path: Path) -> FileResult:
        """Return what the models say of a file."""
        return self.predict_stream(stream_mono(path, self.ensemble.sample_rate))

    def predict_stream(self, blocks: Iterable[np.ndarray]) -> FileResult:
        """Return the logits of a file's windows; a file that cannot be used has none, and a reason.

        Parameters
        ----------
        blocks
            (sample,) float32 each, at the ensemble's rate; may raise `AudioError`.
        """
        rate = self.ensemble.sample_rate
        counted = _Counted(blocks)
        try:
            predicted = [self.predict_piece(piece) for piece in pieces(counted, rate, self.size)]
        except AudioError as error:
            return self.unusable(str(error))
        if not predicted:
            return self.unusable("no samples")
        shifts = self.config.shifts
        by_shift = {s: np.concatenate([piece[s].logits for piece in predicted], axis=1) for s in shifts}
        birds = {s: np.concatenate([piece[s].bird for piece in predicted])[:, None] for s in shifts}
        return FileResult(
            self._combined(by_shift),
            merge_shifts(birds)[:, 0].astype(np.float32) if self.nocall else np.zeros(0, np.float32),
            "",
            counted.total / rate,
            np.concatenate([piece[shifts[0]].segments for piece in predicted]),
        )

    def _combined(self, by_shift: dict[float, np.ndarray]) -> np.ndarray:
        """Return the ensemble's probabilities (1, window, species), or its members' for ranks."""
        if len(by_shift) == 1:
            (logits,) = by_shift.values()
        else:
            members = range(len(self.ensemble.members))
            merged = [merge_shifts({s: sigmoid(v[m]) for s, v in by_shift.items()}) for m in members]
            logits = logit(np.stack(merged))
        if self.ensemble.combine == "rank":  # within the whole set, once that is known
            return sigmoid(logits).astype(np.float32)
        return self.ensemble.combined(logits)[None].astype(np.float32)

    def unusable(self, reason: str) -> FileResult:
        """Return the result of a file that cannot be used."""
        members = len(self.ensemble.members) if self.ensemble.combine == "rank" else 1
        shape = (members, 0, len(self.ensemble.species))
        return FileResult(np.zeros(shape, np.float32), np.zeros(0, np.float32), reason, 0.0)

    def predict_piece(self, piece: Piece) -> dict[float, "Predicted"]:
        """Return shift -> what the models say of a piece."""
        rate = self.ensemble.sample_rate
        return {shift: self._predict(piece.windows(shift, rate)) for shift in self.config.shifts}

    def _predict(self, windows: np.ndarray) -> "Predicted":
        waves = torch.from_numpy(windows).to(self.device)
        context = self.config.context
        whole = len(waves) // context * context
        chunks = [(waves[:whole], context)] if whole else []
        if whole < len(waves):  # the last clip of a file has fewer windows
            chunks.append((waves[whole:], len(waves) - whole))
        logits, segments = [], [np.zeros((0, SEGMENTS, len(self.ensemble.species)), np.float32)]
        for chunk, number in chunks:
            outputs = self.ensemble.outputs(chunk, number)
            logits.append(self.ensemble.logits_of(outputs, number))
            if self.segments:
                segments.append(self.ensemble.segments_of(outputs, number))
        bird = np.zeros(0, np.float32)
        if self.nocall is not None:
            bird = self.nocall.combined(self.nocall.logits(waves))[:, 0].astype(np.float32)
        return Predicted(np.concatenate(logits, axis=1), bird, np.concatenate(segments))


class Predicted(NamedTuple):
    """What the models say of some windows."""

    logits: np.ndarray
    """(member, window, species)."""
    bird: np.ndarray
    """(window,) p(bird), or empty."""
    segments: np.ndarray
    """(window, segment, species) probabilities, or empty."""


class _Counted:
    """A stream of samples that knows how many went through."""

    def __init__(self, blocks: Iterable[np.ndarray]) -> None:
        self.blocks, self.total = blocks, 0

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self.blocks:
            self.total += len(block)
            yield block
