"""The networks that a student learns from."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from core import checkpoint
from core.checkpoint import Card
from core.config import require
from core.config_values import to_dict
from core.inference.ensemble import find_checkpoints
from core.run_folder import last_run
from experiments.timm_013.config import StudentConfig

FOLDS = ("num_folds", "fold_seed", "group_by_author")


class Teachers:
    """Mean probabilities of some trained networks.

    A student that holds a fold out learns only from teachers that held out the same one: the others trained
    on the recordings that judge it, and would hand their labels on. A teacher that is missing or does not fit
    raises `ValueError`.
    """

    def __init__(self, config: StudentConfig, species: Sequence[str], device: torch.device) -> None:
        found = [folder for path in config.teachers for folder in find_checkpoints(_run_of(path))]
        cards = {folder: checkpoint.read_card(folder) for folder in found}
        chosen = [folder for folder in found if _may_teach(cards[folder], config)]
        message = (
            f"teachers={config.teachers}: none of them held out fold {config.data.fold} of the same folds, "
            "and others would teach the labels that judge; use --data.fold=None and judge on soundscapes"
        )
        require(len(chosen) > 0, message)
        self.models, self.columns = [], []
        for folder in chosen:
            self.columns.append(_teacher_columns(folder, cards[folder], config, species, device))
            model, _ = checkpoint.load_model(folder)
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


def _run_of(path: str) -> Path:
    """Return a path, or the last run where it is an experiment's folder."""
    folder = Path(path)
    is_experiment = not (folder / "config.json").is_file() and any(folder.glob("*/config.json"))
    return last_run(folder.parent, folder.name) if is_experiment else folder


def _may_teach(card: Card, config: StudentConfig) -> bool:
    """Return whether a network never saw the recordings that judge the student."""
    own, theirs = to_dict(config.data), card.config["data"]
    same_folds = all(own[name] == theirs[name] for name in FOLDS)
    return config.data.fold is None or (same_folds and card.fold == config.data.fold)


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
