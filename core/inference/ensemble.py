"""Several checkpoints as one predictor: aligned by species name, one log-mel per distinct front end."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from core import checkpoint
from core.checkpoint import Card, CheckpointError
from core.config import FeatureConfig
from core.models.base import Output, SpeciesModel

SEGMENTS = 10
"""Stretches of a window that are told apart in segment-wise detections: half a second each."""

Network = Callable[[Tensor, int], Output]
"""Maps log-mels (clip * part, 1, mel, frame) in dB and the parts of a clip to logits."""


@dataclass(frozen=True)
class Member:
    """A model of an ensemble.

    Attributes
    ----------
    folder
        Its checkpoint.
    model, card
        The network in evaluation mode, and what its checkpoint says.
    columns
        (species,) positions of the ensemble's species among its own.
    weight
        Its share; all sum to 1.
    network
        What runs: the model itself, or an engine with it (`core.inference.engines.backends`).
    """

    folder: Path
    model: SpeciesModel
    card: Card
    columns: np.ndarray
    weight: float
    network: Network


def find_checkpoints(path: Path | str, which: str = "last") -> list[Path]:
    """Return the checkpoint folders that a path stands for.

    Parameters
    ----------
    path
        A checkpoint folder, a run, or a run of all folds (each of its folds is one).
    which
        "last" or "best" of a run.

    Raises
    ------
    CheckpointError
        If it is none of these.
    """
    path = Path(path)
    if (path / "checkpoint.json").is_file():
        return [checkpoint.find(path)]
    summary = path / "summary.json"
    runs = json.loads(summary.read_text()).get("runs", []) if summary.is_file() else []
    if runs:
        return [found for run in runs for found in find_checkpoints(path.parent / run, which)]
    if (path / "checkpoints").is_dir():
        return [checkpoint.find(path / "checkpoints" / which)]
    what = "no such folder" if not path.is_dir() else "neither a checkpoint nor a run of this project"
    message = f"{path}: {what}"
    raise CheckpointError(message)


class Ensemble:
    """Members grouped by front end.

    Parameters
    ----------
    members
        One or more.
    species
        Codes in the order of the output.
    combine
        "mean" of probabilities, of "logit"s, of "rank"s (within the whole set, see `combined`), or "min".
    """

    def __init__(self, members: Sequence[Member], species: Sequence[str], combine: str = "mean") -> None:
        self.members, self.species, self.combine = list(members), list(species), combine
        self.groups: dict[FeatureConfig, list[int]] = {}
        for position, member in enumerate(self.members):
            # the normalisation is a step of each model's own, after the mels
            config = dataclasses.replace(member.model.log_mel.config, scale="affine")
            self.groups.setdefault(config, []).append(position)
        self.weights = np.array([member.weight for member in self.members])
        rates = {config.sample_rate for config in self.groups}
        if len(rates) > 1:
            message = f"features.sample_rate differs among the checkpoints ({sorted(rates)}): run them apart"
            raise CheckpointError(message)
        self.sample_rate = rates.pop()

    @torch.inference_mode()
    def outputs(self, waves: Tensor, num_parts: int) -> list[Output]:
        """Return every member's output for clips that all have `num_parts` windows.

        Parameters
        ----------
        waves
            (clip * window, sample), float or int16, the windows of a clip one after another.
        num_parts
            Windows of a clip.
        """
        found: dict[int, Output] = {}
        for positions in self.groups.values():
            mels = self.members[positions[0]].model.log_mel(waves)
            for position in positions:
                found[position] = self.members[position].network(mels, num_parts)
        return [found[position] for position in range(len(self.members))]

    @torch.inference_mode()
    def logits(self, waves: Tensor, num_parts: int = 1) -> np.ndarray:
        """Return (member, window, species) float32 logits of windows; see `logits_of`."""
        return self.logits_of(self.outputs(waves, num_parts), num_parts)

    @torch.inference_mode()
    def logits_of(self, outputs: Sequence[Output], num_parts: int) -> np.ndarray:
        """Return (member, window, species) float32 logits of windows from the members' outputs.

        With several windows a clip the logit of a window is the mean of its loudest segment's and the
        clip's: what is heard there, and what the neighbourhood makes likely.
        """
        rows = []
        for member, output in zip(self.members, outputs, strict=True):
            logit = output.clip_logit.float()
            if num_parts > 1:
                parts = output.segment_logit.float().unflatten(1, (num_parts, -1)).amax(dim=2)
                logit = ((parts + logit[:, None]) / 2).flatten(0, 1)
            rows.append(logit[:, torch.as_tensor(member.columns, device=logit.device)].cpu().numpy())
        return np.stack(rows)

    @torch.inference_mode()
    def segments_of(self, outputs: Sequence[Output], num_parts: int) -> np.ndarray:
        """Return probabilities (window, segment, species) of `SEGMENTS` equal stretches of each window.

        Members differ in how finely they divide time: each stretch takes the segment at its middle. Ranks
        have no meaning within a window; an ensemble that ranks takes the mean here.
        """
        found = []
        for member, output in zip(self.members, outputs, strict=True):
            logit = output.segment_logit.float().unflatten(1, (num_parts, -1)).flatten(0, 1)
            middle = ((torch.arange(SEGMENTS) + 0.5) / SEGMENTS * logit.shape[1]).long()
            columns = torch.as_tensor(member.columns, device=logit.device)
            found.append(logit[:, middle.to(logit.device)][:, :, columns].flatten(0, 1).cpu().numpy())
        combined = self.combined(np.stack(found), "mean" if self.combine == "rank" else self.combine)
        return combined.reshape(-1, SEGMENTS, len(self.species)).astype(np.float32)

    def combined(self, logits: np.ndarray, combine: str | None = None) -> np.ndarray:
        """Return (window, species) float64 from members' logits (member, window, species).

        `combine` is that of the ensemble unless named. Ranks are within a species, over all windows given,
        from above 0 to 1.
        """
        weights, combine = self.weights, combine or self.combine
        values = logits.astype(np.float64)
        if combine == "logit":
            return sigmoid(np.tensordot(weights, values, axes=1))
        if combine == "rank":
            return self.ranked(values)
        if combine == "min":
            return sigmoid(values[weights > 0].min(axis=0))
        return np.asarray(np.tensordot(weights, sigmoid(values), axes=1))

    def ranked(self, values: np.ndarray) -> np.ndarray:
        """Return the weighted mean of ranks (window, species) from members' values of all windows."""
        return np.asarray(np.tensordot(self.weights, rankdata(values, axis=1) / values.shape[1], axes=1))

    def train_counts(self) -> np.ndarray:
        """Return the recordings that trained a member, by species, averaged over members."""
        counts = [[m.card.train_counts.get(code, 0) for code in self.species] for m in self.members]
        return np.asarray(self.weights @ np.array(counts, dtype=float))


def sigmoid(logit: np.ndarray) -> np.ndarray:
    """Return probabilities, stable for logits of any size."""
    return 0.5 * (1.0 + np.tanh(0.5 * logit))


def logit(probability: np.ndarray) -> np.ndarray:
    """Return the logits of probabilities kept 1e-12 from 0 and 1."""
    clipped = np.clip(probability, 1e-12, 1 - 1e-12)
    return np.log(clipped) - np.log1p(-clipped)


def load_ensemble(
    paths: Sequence[Path | str],
    *,
    weights: Sequence[float] = (),
    which: str = "last",
    combine: str = "mean",
    species: Sequence[str] | None = None,
) -> Ensemble:
    """Load checkpoints as one ensemble.

    Parameters
    ----------
    paths
        See `find_checkpoints`; the folds of one path share its weight.
    weights
        One per path; empty: all alike.
    which, combine
        See there.
    species
        Wanted codes; None: the scored species of the first checkpoint.

    Raises
    ------
    CheckpointError
        If a checkpoint is torn, foreign, or lacks a wanted species.
    """
    shares = np.array(weights if len(weights) else np.ones(len(paths)), dtype=float)
    folders = [(folder, i) for i, path in enumerate(paths) for folder in find_checkpoints(path, which)]
    sizes = np.bincount([i for _, i in folders], minlength=len(paths))
    loaded = [(folder, i, *checkpoint.load_model(folder)) for folder, i in folders]
    wanted = list(species) if species is not None else loaded[0][3].scored
    members = []
    for folder, i, model, card in loaded:
        position = {code: column for column, code in enumerate(card.species)}
        missing = [code for code in wanted if code not in position]
        if missing:
            known = ", ".join(card.species[:8])
            message = f"{folder}: knows no {', '.join(missing[:5])}; its species are {known} ..."
            raise CheckpointError(message)
        columns = np.array([position[code] for code in wanted])
        weight = float(shares[i] / sizes[i] / shares.sum())
        members.append(Member(folder, model, card, columns, weight, model.from_mels))
    return Ensemble(members, wanted, combine)
