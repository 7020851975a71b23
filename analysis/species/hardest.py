"""The most confident mistakes of a run: which clips, how they look, and what the network detects in them."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from analysis.runs import Run, predictions_of
from core import checkpoint
from core.checkpoint import Card, CheckpointError
from core.config import DataConfig, FeatureConfig
from core.config_values import from_dict
from core.data.audio import read_mono
from core.data.clips import fill_clip
from core.data.decoding import AudioError
from core.data.layouts import AUDIO_FOLDERS
from core.data.parquet_set import folder_of
from core.inference.ensemble import find_checkpoints
from core.models.base import SpeciesModel
from core.models.log_mel import LogMel, bands_of_hertz, cut_parts
from core.scoring.decisions import clipped_logit

MARKED_KHZ = (0.5, 1, 2, 4, 8)


@dataclass(frozen=True)
class Mistake:
    """A wrong decision about a species in a clip.

    Attributes
    ----------
    recording, primary, start_seconds, fold
        The clip.
    species, is_miss
        Code of the species that was missed because it was there, or called without being there.
    probability, threshold
        What was predicted, and where it was decided.
    """

    recording: str
    primary: str
    start_seconds: float
    fold: int
    species: str
    is_miss: bool
    probability: float
    threshold: float

    @property
    def words(self) -> str:
        """What went wrong."""
        return f"{self.species} {'missed' if self.is_miss else 'called'}"

    @property
    def row(self) -> dict[str, Any]:
        """The mistake as a row of a table."""
        return {
            "recording": self.recording,
            "from second": f"{self.start_seconds:g}",
            "mistake": self.words,
            "probability": self.probability,
            "threshold": self.threshold,
            "fold": self.fold,
        }


@dataclass(frozen=True)
class MistakeClip:
    """The clip of a mistake: its spectrogram, and what the network detects over time.

    Attributes
    ----------
    mistake, seconds
        The mistake, and the length of its clip.
    missing
        What could not be had, and what to do; empty: nothing.
    mel, ticks
        (mel, frame) in dB, None where there is no audio; kHz -> band, empty for a front end without mels.
    species, detections, clip
        Codes, (segment, species) probabilities over time, (species,) those of the whole clip; None where
        there is no checkpoint.
    """

    mistake: Mistake
    seconds: float
    missing: str = ""
    mel: np.ndarray | None = field(default=None, repr=False)
    ticks: dict[str, float] = field(default_factory=dict)
    species: tuple[str, ...] = ()
    detections: np.ndarray | None = field(default=None, repr=False)
    clip: np.ndarray | None = field(default=None, repr=False)


def find_mistakes(run: Run, number: int, quantile: float) -> list[Mistake]:
    """Return the wrong decisions farthest from the threshold, in logits, at most one a clip.

    Parameters
    ----------
    run
        The run.
    number
        How many at most.
    quantile
        Of all probabilities, where decisions are made.
    """
    (rows,) = predictions_of([run])
    probability, truth = rows.probability, rows.truth
    threshold = float(np.quantile(probability, quantile))
    wrong = (probability >= threshold) != truth
    distance = np.where(wrong, np.abs(clipped_logit(probability) - clipped_logit(np.array(threshold))), -1.0)
    worst = distance.argmax(axis=1)
    found = np.argsort(-distance.max(axis=1), kind="stable")[:number]
    return [
        Mistake(
            str(rows.recording[row]),
            str(rows.primary[row]),
            float(rows.start_seconds[row]),
            int(rows.fold[row]),
            rows.species[worst[row]],
            bool(truth[row, worst[row]]),
            float(probability[row, worst[row]]),
            threshold,
        )
        for row in found
        if wrong[row].any()
    ]


def clips_of_mistakes(run: Run, mistakes: Sequence[Mistake], root: str | None) -> list[MistakeClip]:
    """Return mistakes with their spectrograms, and with detections where the network is there.

    Parameters
    ----------
    run
        The run.
    mistakes
        Of it.
    root
        Folder of the recordings; None: the one that the run was trained with.
    """
    data = from_dict(DataConfig(), run.config["data"])
    features = from_dict(FeatureConfig(), run.config["features"])
    folder = Path(root if root is not None else str(data.root))
    with suppress(ValueError):  # told with each clip
        folder = folder_of(root if root is not None else str(data.root), data.cache)
    models = {fold: _load_fold(run, fold) for fold in {mistake.fold for mistake in mistakes}}
    found = []
    for mistake in mistakes:
        model, missing = models[mistake.fold]
        one = MistakeClip(mistake, data.valid_seconds, missing)
        wave = _read_clip(folder, mistake, data, features.sample_rate)
        if wave is None:
            missing = f"no spectrograms: recordings cannot be read in {folder}; name their folder with --root"
            found.append(replace(one, missing=missing))
        else:
            front_end = LogMel(features) if model is None else model[0].front_end
            found.append(_with_detections(one, wave, front_end, model, data.num_valid_parts))
    return found


def _load_fold(run: Run, fold: int) -> tuple[tuple[SpeciesModel, Card] | None, str]:
    """Return the network that judged a fold with its card; or None, and why."""
    try:
        for folder in find_checkpoints(run.folder):
            if checkpoint.read_card(folder).fold == fold:
                return checkpoint.load_model(folder), ""
        reason = f"none of its checkpoints is of fold {fold}"
    except CheckpointError as error:
        reason = str(error)
    return None, f"{run.name}: spectrograms without what the network detects: {reason}"


def _read_clip(root: Path, mistake: Mistake, data: DataConfig, sample_rate: int) -> np.ndarray | None:
    """Return the samples of a clip as they were validated, (sample,) float32; None where that cannot be."""
    files = [root / folder / mistake.recording for folder in (*AUDIO_FOLDERS, "")]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return None
    try:
        wave = read_mono(file, sample_rate)
    except AudioError:
        return None
    start, length = round(mistake.start_seconds * sample_rate), round(data.valid_seconds * sample_rate)
    return fill_clip(wave[start : start + length], length, data.short_clips)


@torch.inference_mode()
def _with_detections(
    one: MistakeClip,
    wave: np.ndarray,
    front_end: torch.nn.Module,
    loaded: tuple[SpeciesModel, Card] | None,
    num_parts: int,
) -> MistakeClip:
    """Return a clip with the log-mel of its samples, (sample,), and what its network, if any, detects."""
    mels = front_end(cut_parts(torch.from_numpy(wave)[None], num_parts))  # (part, 1, mel, frame)
    one = replace(one, mel=np.concatenate(list(mels[:, 0].numpy()), axis=1))
    if isinstance(front_end, LogMel):
        bands = bands_of_hertz(front_end.config, [1000 * khz for khz in MARKED_KHZ])
        one = replace(one, ticks=dict(zip(map(str, MARKED_KHZ), bands, strict=True)))
    if loaded is None:
        return one
    output = loaded[0].from_mels(mels, num_parts)
    segments, clip = (torch.sigmoid(one)[0].numpy() for one in (output.segment_logit, output.clip_logit))
    return replace(one, species=tuple(loaded[1].species), detections=segments, clip=clip)
