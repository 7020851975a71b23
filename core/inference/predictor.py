"""Soundscapes -> probabilities of every window, in batches that files share and in bounded memory."""

import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor

from core.data.decoding import AudioError, Findings
from core.data.remote import AudioSource
from core.inference.batching import BatchSize, Stretch, WindowPool
from core.inference.config import WindowConfig
from core.inference.ensemble import Ensemble, Waves
from core.inference.journal import FileFacts, FileResult
from core.inference.reading import read_ahead
from core.inference.replay import LaunchReplay, Predict
from core.inference.staging import Staging
from core.inference.windows import Pieces, merge_shifts
from core.machine import HeapTrimmer, usable_cores

WINDOWS_OF_A_PIECE = 12
"""A file is cut into pieces of about so many."""
MAX_DECODERS = 16
GROWTH_BYTES = 125_000_000
"""Freed main memory that is kept between batches."""
GPU_AHEAD = 2
"""Batches that wait on a GPU while the one before them is fetched."""


class Predictor:
    """Predict soundscapes; windows of many files share a batch.

    Parameters
    ----------
    ensemble
        The models.
    config
        Shifts, context, batch, threads that decode.
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
        self.on_gpu = device.type == "cuda"
        self.as_int16 = self.on_gpu  # half as much for the bus; as training's cache has them
        self.batch_size, self.staging = BatchSize(device, config.batch), Staging(device)
        can_replay = self.on_gpu and all(e.is_all_torch for e in (ensemble, nocall) if e is not None)
        self.replay = LaunchReplay(self._logits) if can_replay else None
        self.heap = HeapTrimmer(GROWTH_BYTES)
        decoders = min(len(usable_cores()), MAX_DECODERS) if self.on_gpu else 1
        self.num_decoders = config.decoders or decoders

    def predict_file(self, path: AudioSource) -> FileResult:
        """Return the result of one file; see `predict_files`."""
        ((_, result),) = self.predict_files([path])
        return result

    def predict_files(self, paths: Sequence[AudioSource]) -> Iterator[tuple[int, FileResult]]:
        """Yield position and result of each file once all its windows are predicted.

        A file that cannot be used has no window, and a reason. Further files are decoded meanwhile.
        """
        pool, open_files = WindowPool(), dict[int, _OpenFile]()
        launched: deque[_Launched] = deque()
        context = self.config.context
        size = max(WINDOWS_OF_A_PIECE // context, 1) * context
        streams = read_ahead(paths, self.sample_rates, size, self.num_decoders, as_int16=self.as_int16)
        for position, (cut, findings) in enumerate(streams):
            file = open_files[position] = _OpenFile(findings)
            for stretch, num_parts in self._stretches(position, file, cut):
                pool.add(stretch, num_parts)
                for batch, parts in pool.take(self.batch_size.size):
                    launched.append(self._launch(batch, parts))
                    yield from self._collect(launched, open_files, GPU_AHEAD if self.on_gpu else 0)
            file.is_read = True
            yield from self._finished(open_files, [position])
        for batch, parts in pool.take(self.batch_size.size, rest=True):
            launched.append(self._launch(batch, parts))
        yield from self._collect(launched, open_files, 0)

    def _stretches(
        self, position: int, file: "_OpenFile", cut: Iterable[Pieces]
    ) -> Iterator[tuple[Stretch, int]]:
        """Yield the windows of a file on every grid, and how many its clips have; note why it ended early."""
        try:
            for pieces in cut:
                piece = pieces[self.sample_rates[0]]
                for shift in self.config.shifts:
                    waves = {
                        f: pieces[f.sample_rate].windows(shift, f.short_clips) for f in self.window_formats
                    }
                    whole = Stretch(position, shift, piece.first, waves)
                    for windows, num_parts in clips_of(piece.number, self.config.context):
                        stretch = whole.cut(windows.start, windows.stop)
                        file.missing += len(stretch)
                        yield stretch, num_parts
                file.seconds = piece.end_seconds
        except AudioError as error:
            file.reason = str(error)

    def _launch(self, batch: list[Stretch], num_parts: int) -> "_Launched":
        """Start predicting a batch; a GPU works on when this returns, but for sizes that are being timed."""
        started = time.perf_counter()
        waves = {f: self.staging.send([stretch.waves[f] for stretch in batch]) for f in self.window_formats}
        predict: Predict = self._logits
        if self.replay is not None and self.batch_size.is_full(sum(map(len, batch)), num_parts):
            predict = self.replay
        fetched = {name: self._fetched(values) for name, values in predict(waves, num_parts).items()}
        event = torch.cuda.Event() if self.on_gpu else None
        if event is not None:
            event.record()
            if not self.batch_size.is_measured:
                event.synchronize()
        self.batch_size.took(sum(map(len, batch)), time.perf_counter() - started)
        self.heap.trim()
        return _Launched(batch, fetched, event)

    def _logits(self, waves: Waves, num_parts: int) -> dict[str, Tensor]:
        """Return the logits of windows, of their segments if wanted, and of the no-call model."""
        outputs = self.ensemble.outputs(waves, num_parts)
        logits = {"probability": self.ensemble.window_logits(outputs, num_parts)}
        if self.segments:
            logits["segments"] = self.ensemble.segment_logits(outputs, num_parts)
        if self.nocall is not None:
            logits["bird"] = self.nocall.window_logits(self.nocall.outputs(waves, 1), 1)
        return logits

    def _fetched(self, values: Tensor) -> Tensor:
        """Return values on their way to the host; they are there after the event of the batch."""
        if not self.on_gpu:
            return values
        return torch.empty_like(values, device="cpu", pin_memory=True).copy_(values, non_blocking=True)

    def _collect(
        self, launched: "deque[_Launched]", open_files: dict[int, "_OpenFile"], ahead: int
    ) -> Iterator[tuple[int, FileResult]]:
        """Give batches to their files, all but the `ahead` last; yield the files that are complete then."""
        while len(launched) > ahead:
            batch = launched.popleft()
            if batch.event is not None:
                batch.event.synchronize()
            values = {name: expit(logits.numpy().astype(np.float64)) for name, logits in batch.logits.items()}
            segments = values.get("segments")
            if segments is not None:
                segments = self.ensemble.combined_segments(segments)
            bird = self.nocall.combined(values["bird"]) if self.nocall is not None else np.zeros((0, 1))
            start = 0
            for stretch in batch.stretches:
                rows = slice(start, start := start + len(stretch))
                found = _StretchResult(
                    stretch.first,
                    values["probability"][:, rows],
                    bird[rows],
                    np.zeros((0, 0, 0), np.float32) if segments is None else segments[rows],
                )
                file = open_files[stretch.file]
                file.found[stretch.shift].append(found)
                file.missing -= len(stretch)
            yield from self._finished(open_files, dict.fromkeys(s.file for s in batch.stretches))

    def _finished(
        self, open_files: dict[int, "_OpenFile"], candidates: Iterable[int]
    ) -> Iterator[tuple[int, FileResult]]:
        """Yield the results of candidates that were read and predicted to their end, and forget them."""
        for position in candidates:
            file = open_files[position]
            if file.is_read and not file.missing:
                del open_files[position]
                yield position, self._result_of(file)

    def _result_of(self, file: "_OpenFile") -> FileResult:
        """Return what a file's windows amount to."""
        findings, shifts = file.findings, self.config.shifts
        if file.reason or not file.found or (self.strict and findings.damage):
            reason = file.reason or findings.damage or "no samples"
            return unusable(self.ensemble, FileFacts(reason, **findings.origin._asdict()))
        grids = {shift: sorted(file.found[shift], key=lambda one: one.first) for shift in shifts}
        probability = merge_shifts(
            {shift: np.concatenate([one.probability for one in grids[shift]], axis=1) for shift in shifts}
        )
        if self.ensemble.combine != "rank":  # ranks are within the whole set, once that is known
            probability = self.ensemble.combined(probability)[None]
        bird = merge_shifts({shift: np.concatenate([one.bird for one in grids[shift]]) for shift in shifts})
        notes, number = "; ".join(findings.notes), probability.shape[1]
        return FileResult(
            probability.astype(np.float32),
            bird[:, 0].astype(np.float32),
            FileFacts("", file.seconds, findings.damage, notes, windows=number, **findings.origin._asdict()),
            np.concatenate([one.segments for one in grids[shifts[0]]]),
        )


def unusable(ensemble: Ensemble, facts: FileFacts) -> FileResult:
    """Return the result of a file that cannot be used: no window."""
    members = len(ensemble.members) if ensemble.combine == "rank" else 1
    return FileResult(
        np.zeros((members, 0, len(ensemble.species)), np.float32), np.zeros(0, np.float32), facts
    )


@dataclass
class _OpenFile:
    """A file some of whose windows are still to be read or predicted."""

    findings: Findings
    found: "defaultdict[float, list[_StretchResult]]" = field(default_factory=lambda: defaultdict(list))
    missing: int = 0
    """Windows that were read and are not predicted yet."""
    is_read: bool = False
    seconds: float = 0.0
    reason: str = ""


class _Launched(NamedTuple):
    """A batch that is being predicted."""

    stretches: list[Stretch]
    logits: dict[str, Tensor]
    """Of the members' windows and segments and of the no-call model; complete after the event."""
    event: torch.cuda.Event | None


class _StretchResult(NamedTuple):
    """What is predicted of consecutive windows of a file."""

    first: int
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
