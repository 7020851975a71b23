"""The most confident mistakes of a run: which clips, how they look, and what the network detects in them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
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
from core.inference.ensemble import find_checkpoints
from core.models.base import SpeciesModel
from core.models.log_mel import LogMel, cut_parts
from core.scoring.decisions import clipped_logit


@dataclass(frozen=True)
class Mistake:
    """A wrong decision about a species in a clip.

    Attributes
    ----------
    recording, primary, start_seconds, fold
        The clip.
    species
        Code of the species that was missed, or called without being there.
    is_miss
        Whether it was there.
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
    mistake
        The mistake.
    clip_seconds
        Length of the clip.
    mel
        (mel, frame) in dB; None where there is no audio.
    detections
        (segment, species) probabilities over time; None where there is no checkpoint.
    clip
        (species,) probabilities of the whole clip; None where there is no checkpoint.
    species
        Codes of the last axis.
    missing
        What could not be had, and what to do; empty: nothing.
    """

    mistake: Mistake
    clip_seconds: float
    mel: np.ndarray | None = field(default=None, repr=False)
    detections: np.ndarray | None = field(default=None, repr=False)
    clip: np.ndarray | None = field(default=None, repr=False)
    species: tuple[str, ...] = ()
    missing: str = ""


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
    models = {fold: load_fold(run, fold) for fold in {mistake.fold for mistake in mistakes}}
    found = []
    for mistake in mistakes:
        model, card, missing = models[mistake.fold]
        wave = read_clip(folder, mistake, data, features.sample_rate)
        if wave is None:
            missing = f"no spectrograms: recordings cannot be read in {folder}; name their folder with --root"
            found.append(MistakeClip(mistake, data.valid_seconds, missing=missing))
            continue
        mel, detections, clip = mels_and_detections(wave, model, features, data.num_valid_parts)
        species = tuple(card.species) if card is not None else ()
        found.append(MistakeClip(mistake, data.valid_seconds, mel, detections, clip, species, missing))
    return found


def load_fold(run: Run, fold: int) -> tuple[SpeciesModel | None, Card | None, str]:
    """Return the network that judged a fold and its card; or neither, and why."""
    try:
        for folder in find_checkpoints(run.folder):
            if checkpoint.read_card(folder).fold == fold:
                return (*checkpoint.load_model(folder), "")
        reason = f"none of its checkpoints is of fold {fold}"
    except CheckpointError as error:
        reason = str(error)
    return None, None, f"{run.name}: spectrograms without what the network detects: {reason}"


def read_clip(root: Path, mistake: Mistake, data: DataConfig, sample_rate: int) -> np.ndarray | None:
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
def mels_and_detections(
    wave: np.ndarray, model: SpeciesModel | None, features: FeatureConfig, num_parts: int
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Return the log-mel of a clip, and what a network detects in it.

    Parameters
    ----------
    wave
        (sample,) float32.
    model
        The network; None: there is none.
    features
        The front end where there is no network.
    num_parts
        Parts that the clip is cut into.

    Returns
    -------
    mel
        (mel, frame) in dB.
    detections, clip
        (segment, species) and (species,) probabilities, or None.
    """
    parts = cut_parts(torch.from_numpy(wave)[None], num_parts)
    mels = (model.front_end if model is not None else LogMel(features))(parts)  # (part, 1, mel, frame)
    mel = np.concatenate(list(mels[:, 0].numpy()), axis=1)
    if model is None:
        return mel, None, None
    output = model.from_mels(mels, num_parts)
    return mel, torch.sigmoid(output.segment_logit)[0].numpy(), torch.sigmoid(output.clip_logit)[0].numpy()
