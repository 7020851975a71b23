"""Validation: what the scored network says of the clips that are held out, and pictures of a few of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.data import default_collate

from core.config import Config
from core.data.clips import ValidClips
from core.data.loaders import Loaders, RunData
from core.models.base import SpeciesModel
from core.models.log_mel import cut_parts, join_parts
from core.scoring.evaluation import predictions_table
from core.training.losses import recording_loss
from core.training.pictures import draw_spectrograms

NUM_EXAMPLES = 4


@dataclass(frozen=True)
class Validation:
    """The validation clips of one process, and how a network is judged on them.

    Attributes
    ----------
    config
        Of the run.
    data
        Its recordings.
    loaders
        `valid` and `valid_clips` are used.
    device
        Where the network is.
    autocast
        Makes the context of mixed precision in which the network runs.
    """

    config: Config
    data: RunData
    loaders: Loaders
    device: torch.device
    autocast: Callable[[], AbstractContextManager[None]]

    @torch.inference_mode()
    def predict(self, model: SpeciesModel) -> pd.DataFrame:
        """Return the predictions of this process's clips, as `validation_table` makes."""
        probabilities, losses = [], []
        with evaluating(model):
            for batch in self.loaders.valid:
                with self.autocast():
                    output = model(batch.wave.to(self.device), self.config.data.num_valid_parts)
                logit = output.clip_logit.float().cpu()
                probabilities.append(torch.sigmoid(logit).numpy())
                losses.append(recording_loss(logit, batch.target, batch.mask, self.config.loss).numpy())
        return validation_table(self.data, self.loaders.valid_clips, probabilities, losses)

    @torch.inference_mode()
    def draw_examples(self, model: SpeciesModel, file: Path) -> Path:
        """Draw a few clips over what the network hears in their segments into `file`, and return it."""
        clips, num_parts = self.loaders.valid_clips, self.config.data.num_valid_parts
        chosen = np.linspace(0, len(clips) - 1, min(NUM_EXAMPLES, len(clips))).round().astype(int)
        batch = default_collate([clips[int(i)] for i in chosen])
        with evaluating(model):
            mels = model.log_mel(cut_parts(batch.wave.to(self.device), num_parts))
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
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a network in evaluation mode, and afterwards in the mode it was in."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def validation_table(
    data: RunData, clips: ValidClips, probabilities: Sequence[np.ndarray], losses: Sequence[np.ndarray]
) -> pd.DataFrame:
    """Return the predictions of validation clips, see `core.scoring.evaluation`, with their `loss`.

    Parameters
    ----------
    data
        Of the run; the truth is its labels' `truth`.
    clips
        The data set that was predicted, in its order.
    probabilities
        Batches of (clip, species).
    losses
        Batches of (clip,).
    """
    competition = data.competition
    positions = np.array([recording for recording, _ in clips.clips], dtype=np.int64)
    columns = competition.scored_columns
    probability = np.concatenate([np.zeros((0, len(competition.species))), *probabilities])
    information = competition.recordings.iloc[positions][["recording", "author", "species"]].assign(
        fold=data.folds[positions],
        start_seconds=[start / data.store.sample_rate for _, start in clips.clips],
        loss=np.concatenate([np.zeros(0), *losses]),
    )
    truth = data.labels.truth[positions][:, columns]
    return predictions_table(information, truth, probability[:, columns], competition.scored)


def join_processes(tables: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, float]:
    """Return the predictions of all processes by recording and time, and their mean loss.

    Parameters
    ----------
    tables
        One of `validation_table` for each process.

    Returns
    -------
    pandas.DataFrame
        The rows of all, without `loss`.
    float
        The mean over clips, nan where there is none.
    """
    table = pd.concat(tables, ignore_index=True).sort_values(
        ["recording", "start_seconds"], ignore_index=True
    )
    loss = float(table.pop("loss").mean()) if len(table) else float("nan")
    return table, loss
