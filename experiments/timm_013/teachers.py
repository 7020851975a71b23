"""The networks that a student learns from."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from core import checkpoint
from core.checkpoint import Card
from core.config import require
from core.inference.held_out import held_out_checkpoints
from experiments.timm_013.config import StudentConfig


class Teachers:
    """Mean probabilities of some trained networks.

    A student that holds a fold out learns only from teachers that held out the same one: the others trained
    on the recordings that judge it, and would hand their labels on. A teacher that is missing or does not fit
    raises `ValueError`.
    """

    def __init__(self, config: StudentConfig, species: Sequence[str], device: torch.device) -> None:
        self.models, self.columns = [], []
        for folder in held_out_checkpoints("teachers", config.teachers, config.data):
            model, card = checkpoint.load_model(folder)
            self.columns.append(_teacher_columns(folder, card, config, species, device))
            self.models.append(model.to(device, memory_format=torch.channels_last))  # type: ignore[call-overload]

    @torch.no_grad()
    def __call__(self, wave: Tensor, num_parts: int) -> Tensor:
        """Return the mean probability of each species, (batch, species) float32.

        Parameters
        ----------
        wave
            (batch, sample) on the teachers' device.
        num_parts
            Parts that a clip is cut into.
        """
        pairs = zip(self.models, self.columns, strict=True)
        logits = [model(wave, num_parts).clip_logit.float()[:, columns] for model, columns in pairs]
        return torch.sigmoid(torch.stack(logits)).mean(dim=0)


def _teacher_columns(
    folder: Path, card: Card, config: StudentConfig, species: Sequence[str], device: torch.device
) -> Tensor:
    """Return where the student's `species` lie among a teacher's, (species,) int64."""
    missing = [code for code in species if code not in card.species]
    require(not missing, f"teachers: {folder} does not know {', '.join(missing[:3])}")
    rate = card.config["features"]["sample_rate"]
    message = f"teachers: {folder} hears {rate} Hz, features.sample_rate is {config.features.sample_rate}"
    require(rate == config.features.sample_rate, message)
    return torch.tensor([card.species.index(code) for code in species], device=device)
