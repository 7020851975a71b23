"""Where a run stands, and the checkpoints that hold it and that training continues from."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch

from core import checkpoint
from core.config import Config
from core.config_values import from_dict
from core.data.loaders import RunData
from core.models.base import SpeciesModel
from core.run_folder import RunFolder
from core.training.optim import Optimization, pack_optimizer, unpack_optimizer

MODEL_PREFIX = "model/"


@dataclass
class Progress:
    """Counters of a run; the next step to take is `step` of `epoch`.

    Attributes
    ----------
    epoch, step
        Epoch, and micro-batches of it that are done.
    global_step
        Optimiser steps done.
    loss_sum, loss_count
        Sum and number of the losses of the epoch so far.
    unread
        Losses of the last steps, in no row yet, where the run was stopped.
    best
        Highest value of the main metric after an epoch so far.
    seconds
        Time spent training and validating, over all resumptions.
    num_rows
        Rows logged so far.
    tracker_id
        The id by which W&B or MLflow knows the run.
    scaler
        State of the fp16 gradient scaler.
    """

    epoch: int = 0
    step: int = 0
    global_step: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    unread: list[float] = field(default_factory=list)
    best: float = -1.0
    seconds: float = 0.0
    num_rows: int = 0
    tracker_id: str | None = None
    scaler: dict[str, Any] | None = None

    @property
    def epoch_loss(self) -> float:
        """Mean loss of the epoch so far, 0 before its first step."""
        return self.loss_sum / max(self.loss_count, 1)

    def add_losses(self, losses: list[float], seconds: float) -> None:
        """Count steps by their `losses`, one each; they took `seconds` together."""
        self.loss_sum += sum(losses)
        self.loss_count += len(losses)
        self.seconds += seconds

    def note_score(self, score: float) -> bool:
        """Return whether a validation `score` is the highest so far, and remember it if it is."""
        is_best = score > self.best
        self.best = max(self.best, score)
        return is_best

    def end_epoch(self, seconds: float) -> None:
        """Move to the start of the next epoch, after `seconds` of validation."""
        self.epoch += 1
        self.step = 0
        self.loss_sum, self.loss_count = 0.0, 0
        self.seconds += seconds


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of a run that is being trained.

    A checkpoint predicts with the moving average of the weights where there is one; `scaler` is that of fp16
    gradients.
    """

    folder: RunFolder
    config: Config
    data: RunData
    model: SpeciesModel
    optimization: Optimization
    scaler: torch.amp.GradScaler | None

    def write(self, name: Literal["last", "best"], progress: Progress, metrics: dict[str, float]) -> None:
        """Write a checkpoint.

        Parameters
        ----------
        name
            "last", from which training can continue, or "best", which only predicts.
        progress
            Where the run stands; its `scaler` is set.
        metrics
            Validation of these weights.
        """
        competition = self.data.competition
        card = checkpoint.Card.of_run(
            self.config,
            self.model,
            run_id=self.folder.run_id,
            species=list(competition.species),
            scored=list(competition.scored),
            train_counts=self.data.train_counts,
            metrics=metrics,
            year=competition.layout.year,
            taxonomy=asdict(competition.taxonomy),
        )
        scored = self.optimization.scored_model
        training = None
        if name == "last":
            progress.scaler = None if self.scaler is None else self.scaler.state_dict()
            raw = {MODEL_PREFIX + key: tensor for key, tensor in self.model.state_dict().items()}
            training = (raw | pack_optimizer(self.optimization.optimizer), asdict(progress))
        checkpoint.write(self.folder.checkpoints / name, card, scored.state_dict(), training)

    def restore(self) -> Progress:
        """Put the last checkpoint's tensors back, and return where it was taken; the start if there is none.

        Raises
        ------
        CheckpointError
            If all that is there is torn.
        """
        if not checkpoint.exists(self.folder.checkpoints / "last"):
            return Progress()
        found = checkpoint.settle(self.folder.checkpoints / "last")
        tensors, values = checkpoint.load_training(found)
        if "num_rows" not in values:  # of a version that did not count them
            values["num_rows"] = sum(
                row["global_step"] <= values["global_step"] for row in self.folder.history()
            )
        if "wandb_id" in values:  # its name then
            values["tracker_id"] = values.pop("wandb_id")
        raw = {k.removeprefix(MODEL_PREFIX): t for k, t in tensors.items() if k.startswith(MODEL_PREFIX)}
        self.model.load_state_dict(raw)
        unpack_optimizer(self.optimization.optimizer, tensors)
        if self.optimization.average is not None:
            self.optimization.scored_model.load_state_dict(checkpoint.load_weights(found))
        progress = from_dict(Progress(), values)
        if self.scaler is not None and progress.scaler:
            self.scaler.load_state_dict(progress.scaler)
        return progress
