"""From the settings to what predicts: the models, their engine and the device."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from core.inference.config import Backend, InferenceConfig
from core.inference.engines.backends import with_backend
from core.inference.engines.export import open_export
from core.inference.engines.fingerprint import describe_change
from core.inference.ensemble import Ensemble, load_ensemble
from core.inference.predictor import Predictor


@dataclass(frozen=True)
class Models:
    """What some settings predict with, before it is in an engine.

    Attributes
    ----------
    ensemble
        The models.
    nocall
        The bird / no-call model, or None.
    folder
        The export that the models are of, or None.
    manifest
        What the export says of itself, or None.
    """

    ensemble: Ensemble
    nocall: Ensemble | None
    folder: Path | None
    manifest: Mapping[str, Any] | None

    @property
    def fastest(self) -> Backend:
        """The engine to take on a CPU where none is wished for."""
        return "torch" if self.manifest is None else self.manifest["backend"]


def load_models(config: InferenceConfig) -> Models:
    """Return the models that the settings name.

    Raises
    ------
    ValueError
        If checkpoints or export cannot be used, or were made for another context.
    """
    folder: Path | None = None
    manifest: Mapping[str, Any] | None = None
    species: Literal["all"] | None = "all" if config.species == "all" else None
    if config.exported is None:
        ensemble = load_ensemble(
            config.checkpoints,
            weights=config.weights,
            which=config.which,
            combine=config.combine,
            species=species,
        )
    else:
        folder = Path(config.exported)
        ensemble, manifest = open_export(folder, config.combine, species)
        if config.windows.context != manifest["context"]:
            message = (
                f"windows.context={config.windows.context}, but {folder} was made for {manifest['context']}: "
                f"use --windows.context={manifest['context']}, or export again with --context"
            )
            raise ValueError(message)
    nocall = None
    if config.nocall is not None:
        nocall = load_ensemble([config.nocall], which=config.which, species=["bird"])
    return Models(ensemble, nocall, folder, manifest)


def choose_device(name: str | None) -> torch.device:
    """Return the named device, or the first GPU where there is one."""
    if name is not None:
        return torch.device(name)
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def choose_backend(config: InferenceConfig, models: Models, device: torch.device) -> Backend:
    """Return the engine that is wished for, or the one to take on a device."""
    if config.backend != "auto":
        return config.backend
    return models.fastest if device.type == "cpu" else "torch"


def open_predictor(config: InferenceConfig, models: Models, device: torch.device) -> Predictor:
    """Return what predicts files on a device.

    Raises
    ------
    ValueError
        If the engine, its package or its file is missing here.
    """
    backend = choose_backend(config, models, device)
    ensemble = with_backend(models.ensemble, backend, device, config.windows.context, models.folder)
    if models.manifest is not None and device.type == "cpu":
        change = describe_change(ensemble, backend, models.manifest)
        if change:
            print(change, flush=True)
    nocall = models.nocall and with_backend(models.nocall, "torch", device, 1)
    by_segment = config.detections_by == "segment"
    return Predictor(ensemble, config.windows, device, nocall, segments=by_segment, strict=config.strict)
