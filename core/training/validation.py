"""Validation: what the scored network says of the clips that are held out, and pictures of a few of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import default_collate

from core.config import Config
from core.data.clips import ValidClips
from core.data.loaders import Loaders, RunData
from core.models.base import SpeciesModel
from core.models.log_mel import cut_parts, join_parts
from core.scoring.predictions import Predictions, pool_predictions
from core.training.losses import recording_loss
from core.training.pictures import draw_spectrograms

NUM_EXAMPLES = 4


@dataclass(frozen=True)
class Validation:
    """The validation clips of one process, and how a network is judged on them.

    `autocast` makes the context of mixed precision in which the network runs.
    """

    config: Config
    data: RunData
    loaders: Loaders
    device: torch.device
    autocast: Callable[[], AbstractContextManager[None]]

    @torch.inference_mode()
    def predict(self, model: SpeciesModel) -> tuple[Predictions, np.ndarray]:
        """Return the predictions of this process's clips, and the loss of each, (clip,)."""
        species = len(self.data.competition.species)
        probabilities, losses = [np.zeros((0, species))], [np.zeros(0)]
        with _evaluating(model):
            for batch in self.loaders.valid:
                with self.autocast():
                    output = model(batch.wave.to(self.device), self.config.data.num_valid_parts)
                logit = output.clip_logit.float().cpu()
                probabilities.append(torch.sigmoid(logit).numpy())
                losses.append(recording_loss(logit, batch.target, batch.mask, self.config.loss).numpy())
        predictions = validated(self.data, self.loaders.valid_clips, np.concatenate(probabilities))
        return replace(predictions, name=self.config.name), np.concatenate(losses)

    @torch.inference_mode()
    def draw_examples(self, model: SpeciesModel, file: Path) -> Path:
        """Draw a few clips over what the network hears in their segments into `file`, and return it."""
        clips, num_parts = self.loaders.valid_clips, self.config.data.num_valid_parts
        chosen = np.linspace(0, len(clips) - 1, min(NUM_EXAMPLES, len(clips))).round().astype(int)
        batch = default_collate([clips[int(i)] for i in chosen])
        with _evaluating(model):
            mels = model.front_end(cut_parts(batch.wave.to(self.device), num_parts))
            segments = torch.sigmoid(model.from_mels(mels, num_parts).segment_logit)
        codes = self.data.competition.recordings["species"].iloc[batch.recording.numpy()]
        return draw_spectrograms(
            join_parts(mels, num_parts).cpu().numpy(),
            segments.float().cpu().numpy(),
            codes.tolist(),
            self.data.competition.species,
            self.config.data.valid_seconds,
            file,
        )


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Put a network in evaluation mode, and afterwards in the mode it was in."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def validated(data: RunData, clips: ValidClips, probability: np.ndarray) -> Predictions:
    """Return the predictions of validation clips.

    Parameters
    ----------
    data
        Of the run; the truth is its labels' `truth`.
    clips
        The data set that was predicted, in its order.
    probability
        (clip, species) of all species.
    """
    competition = data.competition
    positions = np.array([recording for recording, _ in clips.clips], dtype=np.int64)
    columns = competition.scored_columns
    table = competition.recordings.iloc[positions]
    return Predictions.of(
        competition.scored,
        probability[:, columns],
        data.labels.truth[positions][:, columns],
        table["recording"].to_numpy(str),
        author=table["author"].to_numpy(str),
        primary=table["species"].to_numpy(str),
        fold=data.folds[positions],
        start_seconds=np.array([start / data.store.sample_rate for _, start in clips.clips], dtype=float),
    )


def join_processes(parts: Sequence[tuple[Predictions, np.ndarray]]) -> tuple[Predictions, float]:
    """Return the predictions of all processes by recording and time, and their mean loss, nan for no clip."""
    predictions = pool_predictions([one for one, _ in parts], parts[0][0].name)
    losses = np.concatenate([losses for _, losses in parts])
    return predictions, float(losses.mean()) if len(losses) else float("nan")
