"""Soundscapes -> probabilities of every window, file by file, in bounded memory."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from core.data.audio import stream_rates
from core.data.decoding import AudioError, Findings
from core.inference.config import WindowConfig
from core.inference.ensemble import SEGMENTS, Ensemble, Waves
from core.inference.journal import FileResult
from core.inference.reading import Blocks, read_ahead
from core.inference.windows import Piece, cut_pieces, merge_shifts

CPU_BATCH, GPU_BATCH = 12, 256


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
        A bird / no-call ensemble of one species, or None. It gets the audio at its own sample rate and has
        its own front end.
    segments
        Also predict stretches within each window (see `SEGMENTS`).
    strict
        A file that is damaged cannot be used.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        config: WindowConfig,
        device: torch.device,
        nocall: Ensemble | None = None,
        *,
        segments: bool = False,
        strict: bool = False,
    ) -> None:
        self.ensemble, self.config, self.device = ensemble, config, device
        self.nocall, self.segments, self.strict = nocall, segments, strict
        formats = [*ensemble.window_formats, *(nocall.window_formats if nocall else [])]
        self.window_formats = sorted(set(formats))
        self.sample_rates = sorted({window_format.sample_rate for window_format in formats})
        batch = config.batch or (CPU_BATCH if device.type == "cpu" else GPU_BATCH)
        self.size = max(batch // config.context, 1) * config.context

    def predict_files(self, paths: Sequence[Path]) -> Iterator[FileResult]:
        """Yield the result of each file in turn; the next ones are decoded meanwhile."""
        for blocks, findings in read_ahead(paths, self.sample_rates):
            yield self.predict_stream(blocks, findings)

    def predict_file(self, path: Path) -> FileResult:
        """Return the result of one file; see `predict_stream`."""
        findings = Findings()
        return self.predict_stream(stream_rates(path, self.sample_rates, findings), findings)

    def predict_stream(self, blocks: Iterable[Blocks], findings: Findings) -> FileResult:
        """Return the probabilities of a file's windows; a file that cannot be used has none, and a reason.

        Parameters
        ----------
        blocks
            (sample,) float32 at each of `sample_rates`; may raise `AudioError`.
        findings
            What is known of the file after its last block.
        """
        shifts, seconds = self.config.shifts, 0.0
        found: dict[float, list[_PieceResult]] = {shift: [] for shift in shifts}
        try:
            for pieces in cut_pieces(blocks, self.sample_rates, self.size):
                for shift in shifts:
                    found[shift].append(self._predict_piece(pieces, shift))
                seconds = pieces[self.sample_rates[0]].end_seconds
        except AudioError as error:
            return self._unusable(str(error))
        if not found[shifts[0]] or (self.strict and findings.damage):
            return self._unusable(findings.damage or "no samples")
        probability = merge_shifts(
            {shift: np.concatenate([r.probability for r in found[shift]], axis=1) for shift in shifts}
        )
        if self.ensemble.combine != "rank":  # ranks are within the whole set, once that is known
            probability = self.ensemble.combined(probability)[None]
        bird = merge_shifts({shift: np.concatenate([r.bird for r in found[shift]]) for shift in shifts})
        return FileResult(
            probability.astype(np.float32),
            bird[:, 0].astype(np.float32),
            "",
            seconds,
            np.concatenate([result.segments for result in found[shifts[0]]]),
            findings.damage,
            "; ".join(findings.notes),
        )

    def _unusable(self, reason: str) -> FileResult:
        """Return the result of a file that cannot be used."""
        members = len(self.ensemble.members) if self.ensemble.combine == "rank" else 1
        shape = (members, 0, len(self.ensemble.species))
        return FileResult(np.zeros(shape, np.float32), np.zeros(0, np.float32), reason, 0.0)

    def _predict_piece(self, pieces: Mapping[int, Piece], shift: float) -> "_PieceResult":
        """Return what is predicted of a piece, given at each sample rate, on one grid."""
        waves = {}
        for window_format in self.window_formats:
            windows = pieces[window_format.sample_rate].windows(shift, window_format.short_clips)
            waves[window_format] = torch.from_numpy(windows).to(self.device)
        number = next(iter(pieces.values())).number
        rows, segments = [], [np.zeros((0, SEGMENTS, len(self.ensemble.species)), np.float32)]
        for chosen, num_parts in clips_of(number, self.config.context):
            outputs = self.ensemble.outputs(take_windows(waves, chosen), num_parts)
            rows.append(self.ensemble.window_probabilities(outputs, num_parts))
            if self.segments:
                segments.append(self.ensemble.segment_probabilities(outputs, num_parts))
        bird = np.zeros((0, 1))
        if self.nocall is not None:
            bird = self.nocall.combined(self.nocall.predict_windows(waves))
        return _PieceResult(np.concatenate(rows, axis=1), bird, np.concatenate(segments))


class _PieceResult(NamedTuple):
    """What is predicted of the windows of a piece."""

    probability: np.ndarray
    """(member, window, species)."""
    bird: np.ndarray
    """(window, 1) p(bird), or no window without a no-call model."""
    segments: np.ndarray
    """(window, segment, species), or no window unless asked for."""


def clips_of(number: int, context: int) -> list[tuple[slice, int]]:
    """Return which of `number` windows are predicted together, and how many windows each clip has.

    Parameters
    ----------
    number
        Windows of a piece.
    context
        Wanted windows a clip; the last clip of a file may have fewer.

    Examples
    --------
    >>> clips_of(7, 3)
    [(slice(0, 6, None), 3), (slice(6, 7, None), 1)]
    """
    whole = number // context * context
    parts = [(slice(0, whole), context), (slice(whole, number), number - whole)]
    return [(windows, num_parts) for windows, num_parts in parts if windows.start < windows.stop]


def take_windows(waves: Waves, windows: slice) -> Waves:
    """Return some of the windows, in each format."""
    return {window_format: wave[windows] for window_format, wave in waves.items()}
