"""May an engine replace the network as it was trained? Measured on real windows.

Compared are the ensemble's probabilities (largest difference), decisions at the 0.85 quantile (share that
changes), the two metrics where the truth is known (change with its interval), and the speed.
"""

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.config import require
from core.data.audio import stream_rates
from core.data.decoding import AudioError
from core.data.soundscapes import WINDOW_SECONDS, find_soundscapes, read_targets
from core.inference.config import ExportConfig
from core.inference.engines.backends import Backend, BackendError, with_backend
from core.inference.engines.fingerprint import fingerprint
from core.inference.ensemble import Ensemble, Waves
from core.inference.predictor import take_windows
from core.inference.windows import WindowFormat, cut_pieces
from core.machine import describe_environment
from core.scoring.draws import draw_metrics
from core.scoring.intervals import QUANTILE, Interval
from core.scoring.resampling import Resampler

EXACT = 1e-4  # largest difference of a probability that counts as none
MARGIN = 0.01  # both ends of a metric's change must stay within it, where the engine is not exact
REPEATS, CLOCKED_BATCHES = 3, 4


@dataclass(frozen=True)
class Parity:
    """How an engine compares with the network as it was trained.

    Attributes
    ----------
    backend
        The engine.
    speed
        Model-windows per second of all members, log-mels included.
    difference
        Largest absolute difference of an ensemble's probability.
    changed
        Share of decisions that differ, each at its own 0.85 quantile.
    score, auc
        Change of the 2022 score and of macro ROC-AUC, bootstrapped over soundscapes; None without truth.
    """

    backend: Backend
    speed: float
    difference: float
    changed: float
    score: Interval | None
    auc: Interval | None
    fingerprint: tuple[float, ...] = ()
    """Logits of an invented sound, see `core.inference.engines.fingerprint`."""

    @property
    def passed(self) -> bool:
        """Whether it may replace the network: exact, or its effect on both metrics is known to be small."""
        if self.difference <= EXACT:
            return True
        changes = [change for change in (self.score, self.auc) if change is not None]
        return len(changes) == 2 and all(c.low >= -MARGIN and c.high <= MARGIN for c in changes)


@dataclass(frozen=True)
class Windows:
    """Windows that engines are compared on.

    Attributes
    ----------
    waves
        (window, sample) float32 in each format, `context` consecutive ones a clip.
    file
        (window,) soundscape of each.
    truth
        (window, species) bool, or None.
    """

    waves: Waves
    file: np.ndarray
    truth: np.ndarray | None


def read_windows(config: ExportConfig, ensemble: Ensemble) -> Windows:
    """Return the first windows of the wanted soundscapes, with their truth where it is known."""
    rates, context = sorted({f.sample_rate for f in ensemble.window_formats}), config.context
    waves: dict[WindowFormat, list[np.ndarray]] = {f: [] for f in ensemble.window_formats}
    files: list[str] = []
    ends: list[int] = []
    for name, path in find_soundscapes(config.soundscapes).items():
        try:
            for pieces in cut_pieces(stream_rates(path, rates), rates, context):
                piece = pieces[rates[0]]
                if piece.number < context or len(files) >= config.max_windows:
                    break
                for f, found in waves.items():
                    found.append(pieces[f.sample_rate].windows(0.0, f.short_clips))
                files += [name] * context
                ends += [(piece.first + i + 1) * WINDOW_SECONDS for i in range(context)]
        except AudioError as error:
            print(f"{path} is left out: {error}")
    require(len(files) > 0, f"soundscapes: no file holds {context} whole windows")
    truth, file = None, np.array(files)
    if config.truth is not None:
        truth, known = read_targets("truth", Path(config.truth), file, np.array(ends), ensemble.species)
        require(bool(known.all()), f"truth={config.truth}: lacks rows of these soundscapes and species")
    return Windows({f: torch.from_numpy(np.concatenate(found)) for f, found in waves.items()}, file, truth)


def measure_engines(
    ensemble: Ensemble, folder: Path, backends: Sequence[Backend], context: int, windows: Windows
) -> list[Parity]:
    """Return how each engine compares; the first row is the network as it was trained.

    Parameters
    ----------
    ensemble
        Its networks as they were trained.
    folder
        The export with the engines' files.
    backends
        Engines; one that cannot be used here is named and left out.
    context
        Windows that a model sees at once.
    windows
        Real audio.
    """
    device = torch.device("cpu")
    reference = _predict_windows(ensemble, windows, context)
    baseline = _model_windows_per_second(ensemble, windows, context)
    rows = [Parity("torch", baseline, 0.0, 0.0, None, None)]
    for backend in backends:
        try:
            engine = with_backend(ensemble, backend, device, context, folder)
            found = _predict_windows(engine, windows, context)
        except (BackendError, RuntimeError) as error:
            print(f"{backend}: cannot be used here: {error}", flush=True)
            continue
        speed = _model_windows_per_second(engine, windows, context)
        compared = _compare_engine(backend, speed, reference, found, windows)
        if backend != "torch_compile":  # which would be compiled for the few windows of a fingerprint
            compared = replace(compared, fingerprint=tuple(fingerprint(engine, context)))
        rows.append(compared)
    return rows


def _batches(windows: Windows, context: int) -> Iterator[Waves]:
    """Yield the windows in _batches of about a soundscape of a minute."""
    size = max(12 // context, 1) * context
    for start in range(0, len(windows.file), size):
        yield take_windows(windows.waves, slice(start, start + size))


def _predict_windows(ensemble: Ensemble, windows: Windows, context: int) -> np.ndarray:
    """Return the ensemble's probabilities, (window, species)."""
    rows = [ensemble.predict_windows(waves, context) for waves in _batches(windows, context)]
    return ensemble.combined(np.concatenate(rows, axis=1))


def _model_windows_per_second(ensemble: Ensemble, windows: Windows, context: int) -> float:
    """Return the speed of all members: the best of a few passes over some _batches."""
    clocked = list(itertools.islice(_batches(windows, context), CLOCKED_BATCHES))
    number = sum(len(next(iter(waves.values()))) for waves in clocked) * len(ensemble.members)
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        for waves in clocked:
            ensemble.predict_windows(waves, context)
        seconds.append(time.perf_counter() - started)
    return number / min(seconds)


def _compare_engine(
    backend: Backend, speed: float, reference: np.ndarray, found: np.ndarray, windows: Windows
) -> Parity:
    """Return an engine's parity: `reference` and `found` are (window, species) probabilities."""
    decisions = [values >= np.quantile(values, QUANTILE) for values in (reference, found)]
    score = auc = None
    if windows.truth is not None:
        resampler = Resampler(windows.file, np.zeros(len(windows.file)), unit="soundscapes")
        before, after = (
            draw_metrics(windows.truth, values, resampler, ("score", "auc")) for values in (reference, found)
        )
        score, auc = ((after[name].mean() - before[name].mean()).interval() for name in ("score", "auc"))
    return Parity(
        backend,
        speed,
        float(np.abs(reference - found).max()),
        float((decisions[0] != decisions[1]).mean()),
        score,
        auc,
    )


def report_parity(rows: Sequence[Parity]) -> dict[str, Any]:
    """Print the table; return what a manifest holds of it: the engine chosen, parity, the machine."""
    trained, engines = rows[0], rows[1:]
    passed = [row for row in engines if row.passed]
    chosen = max(passed, key=lambda row: row.speed).backend if passed else "torch"
    print(f"\nas trained: {trained.speed:.1f} model-windows/s\n")
    print(f"{'':14}{'speed':>7}{'largest dp':>12}{'changed':>9}  {'2022 score':26}{'macro ROC-AUC':26}")
    for row in engines:
        changes = "".join(f"{'unknown' if c is None else _signed_change(c):26}" for c in (row.score, row.auc))
        verdict = "passes" if row.passed else "does not pass"
        print(
            f"{row.backend:14}{row.speed / trained.speed:6.2f}x{row.difference:12.1e}{row.changed:9.2%}  "
            f"{changes}{verdict}"
        )
    print(f"\n{chosen} is used unless another --backend is named", flush=True)
    return {
        "backend": chosen,
        "parity": [{**asdict(row), "passed": row.passed} for row in engines],
        "machine": describe_environment(torch.device("cpu")),
    }


def _signed_change(change: Interval) -> str:
    """Return such as `-0.002 [-0.004, +0.001]`."""
    return f"{change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"
