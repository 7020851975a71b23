"""Validation: what the scored network says of the clips that are held out, and pictures of a few of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from core.config import Config
from core.data.clip_loader import ClipLoader
from core.data.clips import Batch, ValidClips
from core.data.loaders import Loaders, RunData
from core.models.base import SpeciesModel
from core.models.log_mel import cut_parts, join_parts
from core.scoring.predictions import Predictions, pool_predictions
from core.training.losses import recording_loss
from core.training.pictures import draw_spectrograms

NUM_EXAMPLES = 4


class Validated(NamedTuple):
    """What is known after a validation."""

    recordings: Predictions
    """Of the clips of recordings."""
    soundscapes: Predictions
    """Of the windows of labelled soundscapes."""
    loss: np.ndarray
    """(clip,) of the recordings."""

    @property
    def mean_loss(self) -> float:
        """Mean over the clips, nan for none."""
        return float(self.loss.mean()) if len(self.loss) else float("nan")


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
    def predict(self, model: SpeciesModel) -> Validated:
        """Return the predictions of this process's clips and windows; a window is heard as in inference."""
        probabilities, losses = [self._nothing], [np.zeros(0)]
        with _evaluating(model):
            for batch, logit in self._logits(model, self.loaders.valid, self.config.data.num_valid_parts):
                probabilities.append(torch.sigmoid(logit).numpy())
                losses.append(recording_loss(logit, batch.target, batch.mask, self.config.loss).numpy())
            windows, heard = [np.zeros(0, dtype=np.int64)], [self._nothing]
            for batch, logit in self._logits(model, self.loaders.soundscapes, 1):
                windows.append(batch.recording.numpy())
                heard.append(torch.sigmoid(logit).numpy())
        recordings = validated(self.data, self.loaders.valid_clips, np.concatenate(probabilities))
        soundscapes = validated_windows(self.data, np.concatenate(windows), np.concatenate(heard))
        recordings, soundscapes = (replace(p, name=self.config.name) for p in (recordings, soundscapes))
        return Validated(recordings, soundscapes, np.concatenate(losses))

    @property
    def _nothing(self) -> np.ndarray:
        """Return the probabilities of no clip."""
        return np.zeros((0, len(self.data.competition.species)))

    def _logits(
        self, model: SpeciesModel, loader: ClipLoader, num_parts: int
    ) -> Iterator[tuple[Batch, Tensor]]:
        """Yield the batches of a loader with the logits of their clips, float32 on the CPU."""
        for batch in loader:
            with self.autocast():
                output = model(batch.wave.to(self.device), num_parts)
            yield batch, output.clip_logit.float().cpu()

    @torch.inference_mode()
    def draw_examples(self, model: SpeciesModel, file: Path) -> Path:
        """Draw a few clips over what the network hears in their segments into `file`, and return it."""
        batch, num_parts = self._examples(), self.config.data.num_valid_parts
        with _evaluating(model):
            mels = model.front_end(cut_parts(batch.wave.to(self.device), num_parts))
            segments = torch.sigmoid(model.from_mels(mels, num_parts).segment_logit)
        return draw_spectrograms(
            join_parts(mels, num_parts).cpu().numpy(),
            segments.float().cpu().numpy(),
            self._codes(batch),
            self.data.competition.species,
            self.config.data.valid_seconds,
            self.config.features,
            file,
        )

    def example_sounds(self) -> dict[str, np.ndarray]:
        """Return title -> wave, (sample,) int16 or float32, of the clips that `draw_examples` draws."""
        batch = self._examples()
        titles = [f"{number}. {code}" for number, code in enumerate(self._codes(batch), start=1)]
        return dict(zip(titles, batch.wave.numpy(), strict=True))

    def _examples(self) -> Batch:
        """Return a few of the validated clips, evenly spread."""
        clips = self.loaders.valid_clips
        chosen = np.linspace(0, len(clips) - 1, min(NUM_EXAMPLES, len(clips))).round().astype(int)
        return clips.batch(chosen.tolist())

    def _codes(self, batch: Batch) -> list[str]:
        """Return the species of a batch's clips."""
        return self.data.competition.recordings["species"].iloc[batch.recording.numpy()].tolist()


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
        Of the run; the truth is what its labels hold.
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
        data.labels.truth(positions, columns),
        table["recording"].to_numpy(str),
        author=table["author"].to_numpy(str),
        primary=table["species"].to_numpy(str),
        fold=data.folds[positions],
        start_seconds=np.array([start / data.store.sample_rate for _, start in clips.clips], dtype=float),
    )


def validated_windows(data: RunData, positions: np.ndarray, probability: np.ndarray) -> Predictions:
    """Return the predictions of validated windows of soundscapes.

    Parameters
    ----------
    data
        Of the run.
    positions
        (window,) of all labelled windows.
    probability
        (window, species) of all species.
    """
    competition, items = data.competition, data.soundscapes
    columns, windows = competition.scored_columns, items.windows.rows(positions)
    return Predictions.of(
        competition.scored,
        probability[:, columns],
        windows.positive[:, columns],
        windows.soundscape.astype(str),
        known=windows.known[:, columns],
        fold=items.folds[positions],
        start_seconds=windows.begin,
        site=windows.site.astype(str),
        start_time=windows.start_time.astype(str),
    )


def join_processes(parts: Sequence[Validated]) -> Validated:
    """Return what all processes validated, by recording and time."""
    recordings, soundscapes = (
        pool_predictions(ones, ones[0].name)
        for ones in ([part.recordings for part in parts], [part.soundscapes for part in parts])
    )
    return Validated(recordings, soundscapes, np.concatenate([part.loss for part in parts]))
