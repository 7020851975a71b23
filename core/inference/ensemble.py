"""Several checkpoints as one predictor: aligned by species name, one log-mel per distinct front end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from scipy.special import expit
from scipy.stats import rankdata
from torch import Tensor

from core import checkpoint
from core.checkpoint import Card, CheckpointError
from core.data.layouts import LAYOUTS, Layout
from core.data.taxonomy import Taxonomy
from core.inference.windows import WindowFormat
from core.models.base import Output, SpeciesModel
from core.models.log_mel import LogMel
from core.run_folder import RunFolder
from core.scoring.decisions import clipped_logit

FRONT_END_WINDOWS = 12
"""Of a batch, whose spectrograms a CPU makes at a time: each takes 8 MB, its log-mel 0.2."""
SEGMENTS = 10
"""Stretches of a window that are told apart in segment-wise detections: half a second each."""

Network = Callable[[Tensor, int], Output]
"""Maps log-mels (clip * part, 1, mel, frame) in dB and the parts of a clip to logits."""

Waves = Mapping[WindowFormat, Tensor]
"""The same windows in the format of each network, (window, sample)."""


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

    @property
    def window_format(self) -> WindowFormat:
        """Sample rate and filling of the windows that it was trained on."""
        short_clips = self.card.config.get("data", {}).get("short_clips", "pad")
        return WindowFormat(self.model.front_end.config.sample_rate, short_clips)


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
    run = RunFolder(path)
    runs = run.read_json("summary").get("runs", []) if run.is_finished else []
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
        self.groups: dict[tuple[Any, WindowFormat], list[int]] = {}
        for position, member in enumerate(self.members):
            key = (member.model.front_end_key, member.window_format)
            self.groups.setdefault(key, []).append(position)
        self.window_formats = sorted({window_format for _, window_format in self.groups})
        self.weights = np.array([member.weight for member in self.members])
        self._columns: dict[torch.device, list[Tensor]] = {}

    @property
    def scored(self) -> np.ndarray:
        """(species,) bool: the judged ones, which alone set the quantile of a decision."""
        return np.isin(self.species, self.members[0].card.scored)

    @property
    def is_all_torch(self) -> bool:
        """Whether spectrograms, too, are made by torch, on the device of their windows."""
        return all(isinstance(member.model.front_end, LogMel) for member in self.members)

    @property
    def layout(self) -> Layout:
        """What was asked for where the first member trained."""
        return LAYOUTS.get(self.members[0].card.year, LAYOUTS[None])

    @property
    def taxonomy(self) -> Taxonomy:
        """Names of `species`, in their order."""
        cards = [member.card.taxonomy for member in self.members]
        return Taxonomy().with_codes(self.species, *(Taxonomy.of(**names) for names in cards if names))

    @torch.inference_mode()
    def outputs(self, waves: Waves, num_parts: int) -> list[Output]:
        """Return every member's output for clips that all have `num_parts` windows.

        Parameters
        ----------
        waves
            For each of `window_formats` (clip * window, sample), float or int16, the windows of a clip one
            after another.
        num_parts
            Windows of a clip.
        """
        found: dict[int, Output] = {}
        for (_, window_format), positions in self.groups.items():
            wave, front_end = waves[window_format], self.members[positions[0]].model.front_end
            pieces = wave.split(FRONT_END_WINDOWS) if wave.device.type == "cpu" else (wave,)
            mels = torch.cat([front_end(piece) for piece in pieces])
            for position in positions:
                found[position] = self.members[position].network(mels, num_parts)
        return [found[position] for position in range(len(self.members))]

    def predict_windows(self, waves: Waves, num_parts: int = 1) -> np.ndarray:
        """Return members' probabilities of windows, (member, window, species) float64; see `outputs`."""
        logits = self.window_logits(self.outputs(waves, num_parts), num_parts)
        return np.asarray(expit(logits.cpu().numpy().astype(np.float64)))

    @torch.inference_mode()
    def window_logits(self, outputs: Sequence[Output], num_parts: int) -> Tensor:
        """Return (member, window, species) float32, on their device, from the members' outputs.

        With several windows a clip the logit of a window is the mean of its loudest segment's and the
        clip's: what sounds there, and what the neighbourhood makes likely.
        """
        rows = []
        for output in outputs:
            window_logit = output.clip_logit.float()
            if num_parts > 1:
                loudest = output.segment_logit.float().unflatten(1, (num_parts, -1)).amax(dim=2)
                window_logit = ((loudest + window_logit[:, None]) / 2).flatten(0, 1)
            rows.append(window_logit)
        return self._aligned(rows)

    @torch.inference_mode()
    def segment_logits(self, outputs: Sequence[Output], num_parts: int) -> Tensor:
        """Return (member, window, segment, species) float32 of `SEGMENTS` equal stretches of a window.

        Members differ in how finely they divide time: each stretch takes the segment at its middle.
        """
        rows = []
        for output in outputs:
            segments = output.segment_logit.float().unflatten(1, (num_parts, -1)).flatten(0, 1)
            stretch = torch.arange(SEGMENTS, device=segments.device)
            middle = ((stretch + 0.5) / SEGMENTS * segments.shape[1]).long()
            rows.append(segments[:, middle])
        return self._aligned(rows)

    def _aligned(self, logits: Sequence[Tensor]) -> Tensor:
        """Return the members' logits of the ensemble's species, which are the last axis, stacked."""
        device = logits[0].device
        if device not in self._columns:
            self._columns[device] = [torch.as_tensor(m.columns, device=device) for m in self.members]
        return torch.stack([one[..., c] for one, c in zip(logits, self._columns[device], strict=True)])

    def combined_segments(self, probability: np.ndarray) -> np.ndarray:
        """Return the ensemble's (window, segment, species) float32 from its members'.

        Ranks have no meaning within a window; an ensemble that ranks takes the mean here.
        """
        combine = "mean" if self.combine == "rank" else self.combine
        return self.combined(probability, combine).astype(np.float32)

    def combined(self, probability: np.ndarray, combine: str | None = None) -> np.ndarray:
        """Return the ensemble's probabilities (window, ..., species) float64 from its members'.

        Parameters
        ----------
        probability
            (member, window, ..., species).
        combine
            Another way than the ensemble's own. Ranks are within a species, over all windows given, from
            above 0 to 1.
        """
        values, combine = probability.astype(np.float64), combine or self.combine
        if combine == "min":
            return np.asarray(values[self.weights > 0].min(axis=0))
        if combine == "logit":
            return np.asarray(expit(np.tensordot(self.weights, clipped_logit(values), axes=1)))
        if combine == "rank":
            values = rankdata(values, axis=1) / values.shape[1]
        return np.asarray(np.tensordot(self.weights, values, axes=1))

    def train_counts(self) -> np.ndarray:
        """Return the recordings that trained a member, by species, averaged over members."""
        counts = [[m.card.train_counts.get(code, 0) for code in self.species] for m in self.members]
        return np.asarray(self.weights @ np.array(counts, dtype=float))


def load_ensemble(
    paths: Sequence[Path | str],
    *,
    weights: Sequence[float] = (),
    which: str = "last",
    combine: str = "mean",
    species: Sequence[str] | Literal["all"] | None = None,
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
        Wanted codes; "all": every species that the checkpoints were trained on, in the first one's order;
        None: the scored species of the first checkpoint.

    Raises
    ------
    CheckpointError
        If a checkpoint is torn, foreign, or lacks a wanted species.
    """
    shares = np.array(weights if len(weights) else np.ones(len(paths)), dtype=float)
    folders = [(folder, i) for i, path in enumerate(paths) for folder in find_checkpoints(path, which)]
    sizes = np.bincount([i for _, i in folders], minlength=len(paths))
    loaded = [(folder, i, *checkpoint.load_model(folder)) for folder, i in folders]
    first = loaded[0][3]
    if species is None:
        species = first.scored
    elif species == "all":
        species = first.species
        other = next((folder for folder, _, _, card in loaded if set(card.species) != set(species)), None)
        if other is not None:
            message = (
                f"species=all: {other} was trained on other species than {loaded[0][0]}; predict with each "
                "alone, or leave --species=all out"
            )
            raise CheckpointError(message)
    members = []
    for folder, i, model, card in loaded:
        columns = columns_of_species(folder, card, species)
        weight = float(shares[i] / sizes[i] / shares.sum())
        members.append(Member(folder, model, card, columns, weight, model.from_mels))
    return Ensemble(members, species, combine)


def columns_of_species(folder: Path, card: Card, species: Sequence[str]) -> np.ndarray:
    """Return the positions (species,) of wanted species among a checkpoint's.

    Parameters
    ----------
    folder, card
        The checkpoint.
    species
        Wanted codes.

    Raises
    ------
    CheckpointError
        If it lacks one.
    """
    position = {code: column for column, code in enumerate(card.species)}
    missing = [code for code in species if code not in position]
    if missing:
        known = ", ".join(card.species[:8])
        message = f"{folder}: knows no {', '.join(missing[:5])}; its species are {known} ..."
        raise CheckpointError(message)
    return np.array([position[code] for code in species])
