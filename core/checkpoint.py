"""Checkpoints: safetensors and json, no pickle, never half-written, and complete in themselves.

A checkpoint folder holds `model.safetensors` (the weights to predict with: the moving average where there
is one) and `checkpoint.json` (import path and configuration of the model, label order, scored species,
front end, fold, code version). The last one of a run also holds `training.safetensors` (raw weights,
optimiser) and `training.json` (where in the run it was taken), from which training continues exactly.
`checkpoint.json` is written last and carries the size and checksum of the others, so that a torn checkpoint
is recognised.
"""

import dataclasses
import functools
import hashlib
import importlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_type_hints

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from core.config import Config, FeatureConfig, ModelConfig, require
from core.config_checks import naming
from core.config_values import from_dict, require_types, to_dict
from core.files import read_json, write_atomically
from core.machine import code_version
from core.models.base import SpeciesModel

CARD_FORMAT = 2
_LATER_FIELDS = ("year", "taxonomy")
"""Those that an older card lacks: it means their defaults."""
_NAMES = {"codes", "scientific", "common", "group"}
"""Lists in the taxonomy of a card."""
TRUSTED_PACKAGES = ("core.", "experiments.")


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names it and says why."""


@dataclasses.dataclass(frozen=True)
class Card:
    """What a checkpoint says of itself.

    Attributes
    ----------
    experiment, run_id, fold
        Where it comes from.
    model_class, model_config_class
        Import paths, `package.module:Class`.
    config
        The run's configuration as a nested dict.
    species
        Label order of the logits.
    scored
        The judged species.
    train_counts
        Recordings that trained, by primary label.
    metrics
        Validation of these weights, for information.
    code_version
        Commit of the code that wrote it.
    format
        Of the checkpoint; this code reads `CARD_FORMAT` only.
    year
        Of the competition whose folder trained it; None: of none. A card older than this field is of 2022.
    taxonomy
        The attributes of `core.data.taxonomy.Taxonomy`, for the names of `species`; empty: not known.
    """

    experiment: str
    run_id: str
    fold: int | None
    model_class: str
    model_config_class: str
    config: dict[str, Any]
    species: list[str]
    scored: list[str]
    train_counts: dict[str, int]
    metrics: dict[str, Any]
    code_version: str = dataclasses.field(default_factory=code_version)
    format: int = CARD_FORMAT
    year: int | None = 2022
    taxonomy: dict[str, Sequence[str]] = dataclasses.field(default_factory=dict)

    @classmethod
    def of_run(cls, config: Config, model: nn.Module, **others: Any) -> "Card":
        """Return the card of a `model` that is being trained on one fold; `others` are further attributes."""
        assert config.data.fold != "all", "one run trains one fold"
        return cls(
            experiment=config.name,
            fold=config.data.fold,
            model_class=_import_path(type(model)),
            model_config_class=_import_path(type(config.model)),
            config=to_dict(config),
            **others,
        )


def write(
    folder: Path,
    card: Card,
    weights: Mapping[str, Tensor],
    training: tuple[Mapping[str, Tensor], Mapping[str, Any]] | None = None,
) -> None:
    """Write a checkpoint, replacing an older one in one step.

    Parameters
    ----------
    folder
        Where it goes, such as `checkpoints/last`.
    card
        What it says of itself.
    weights
        The model's state to predict with.
    training
        Tensors and plain values from which training continues; None: a checkpoint to predict with only.
    """
    new = folder.with_name(folder.name + ".new")
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    save_file(_plain(weights), new / "model.safetensors")
    if training is not None:
        tensors, values = training
        save_file(_plain(tensors), new / "training.safetensors")
        (new / "training.json").write_text(json.dumps(values, allow_nan=True))
    files = {file.name: _fingerprint(file) for file in sorted(new.iterdir())}
    (new / "checkpoint.json").write_text(
        json.dumps({**dataclasses.asdict(card), "files": files}, indent=2, default=str)
    )
    for file in new.iterdir():
        _flush(file)
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def copy_weights(folder: Path, target: Path) -> None:
    """Copy a checkpoint that `find` has checked, without what only training needs, into a new folder."""
    target.mkdir(parents=True)
    content = read_json(folder / "checkpoint.json")
    content["files"] = {name: mark for name, mark in content["files"].items() if name == "model.safetensors"}
    for name in content["files"]:
        shutil.copyfile(folder / name, target / name)
    write_atomically(target / "checkpoint.json", json.dumps(content, indent=2))


def exists(folder: Path) -> bool:
    """Return whether anything was saved under this name; a first one that was cut off is nothing."""
    was_saved = any(folder.with_name(folder.name + ending).is_dir() for ending in ("", ".old"))
    return was_saved or (folder.with_name(folder.name + ".new") / "checkpoint.json").is_file()


def find(folder: Path) -> Path:
    """Return the whole checkpoint at `folder`, or the one it was about to replace when writing was cut off.

    Raises
    ------
    CheckpointError
        If there is none, or only torn ones.
    """
    reasons = []
    for candidate in (folder, folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")):
        if not candidate.is_dir():
            continue
        try:
            _check(candidate)
        except CheckpointError as error:
            reasons.append(str(error))
        else:
            return candidate
    raise CheckpointError("; ".join(reasons) or f"{folder}: no checkpoint here")


def settle(folder: Path) -> Path:
    """Return the whole checkpoint that `find` finds, moved to `folder` where its writing was cut off."""
    found = find(folder)
    if found != folder:
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(found, folder)
    return folder


def read_card(folder: Path) -> Card:
    """Return what a checkpoint says of itself; `CheckpointError` if it is torn or of an unknown format."""
    content = _check(folder)
    content.pop("files")
    known = {f.name for f in dataclasses.fields(Card)}
    if faults := {*content, *_LATER_FIELDS} ^ known:
        message = f"{folder}: fields {sorted(faults)} are missing or unknown in checkpoint.json"
        raise CheckpointError(message)
    _check_types(folder / "checkpoint.json", content)
    return Card(**content)


def _check_types(file: Path, content: Mapping[str, Any]) -> None:
    """Check the types of a card's entries, and of what is read of its configuration without a class."""
    with refusing(file):
        require_types("", content, get_type_hints(Card))
        configs = {f"config.{name}": content["config"].get(name) for name in ("model", "features")}
        data = content["config"].get("data", {})
        require_types("", configs | {"config.data": data}, dict.fromkeys((*configs, "config.data"), dict))
        require_types("config.data.", data, {"short_clips": str})
        names, codes = content.get("taxonomy", {}), content["species"]
        right = not names or (names.keys() <= _NAMES and {len(one) for one in names.values()} == {len(codes)})
        require(len(codes) > 0, "species: empty")
        require(right, f"taxonomy: needs lists of {len(codes)} names, {', '.join(sorted(_NAMES))}")


def load_model(folder: Path) -> tuple[SpeciesModel, Card]:
    """Rebuild the network of a checkpoint with its weights, on the CPU, in evaluation mode.

    Raises
    ------
    CheckpointError
        If the checkpoint is torn or foreign, or its code no longer fits its weights.
    """
    card = read_card(folder)
    model_class = _import(folder, card.model_class, SpeciesModel)
    config_class = _import(folder, card.model_config_class, ModelConfig)
    values = dict(card.config["model"])
    if "pretrained" in values:
        values["pretrained"] = False  # the weights come from the checkpoint
    try:
        model_config = from_dict(config_class(), values)
        features = from_dict(FeatureConfig(), card.config["features"])
        model = model_class(model_config, features, len(card.species))
        model.load_state_dict(_tensors(folder / "model.safetensors"))
    except (RuntimeError, ValueError, TypeError, KeyError, AssertionError, SafetensorError) as error:
        message = f"{folder}: written by code {card.code_version}, does not fit this code: {error}"
        raise CheckpointError(message) from error
    return model.eval(), card


def load_weights(folder: Path) -> dict[str, Tensor]:
    """Return the weights of a checkpoint that `find` has checked."""
    return _tensors(folder / "model.safetensors")


def load_training(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return tensors and plain values from which training continues, of a checkpoint that `find` checked."""
    file = folder / "training.safetensors"
    if not file.is_file():
        message = f"{folder}: holds weights only, training cannot continue from it"
        raise CheckpointError(message)
    return _tensors(file), read_json(folder / "training.json")


def _tensors(file: Path) -> dict[str, Tensor]:
    """Return what a file of safetensors holds."""
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        message = f"{file}: not readable as safetensors: {error}"
        raise CheckpointError(message) from error


def _import_path(cls: type) -> str:
    """Return `package.module:Class`."""
    return f"{cls.__module__}:{cls.__qualname__}"


def _import(folder: Path, path: str, base: type) -> Any:
    """Import a class that a checkpoint names; only this project's own, and only of the expected kind."""
    module, _, name = path.partition(":")
    if not module.startswith(TRUSTED_PACKAGES):
        message = f"{folder}: names the class {path}; only classes of core and experiments are loaded"
        raise CheckpointError(message)
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        message = f"{folder}: its class {path} is not in this code: {error}"
        raise CheckpointError(message) from error
    if not isinstance(found, type) or not issubclass(found, base):
        message = f"{folder}: {path} is no {base.__name__}"
        raise CheckpointError(message)
    return found


def _check(folder: Path) -> dict[str, Any]:
    """Return the content of `checkpoint.json` after comparing the other files with it."""
    file = folder / "checkpoint.json"
    if not file.is_file():
        message = f"{folder}: no checkpoint.json; not a checkpoint of this project, or a torn one"
        raise CheckpointError(message)
    with refusing(folder):
        content: dict[str, Any] = read_json(file)
        require_types("", content, {"files": dict[str, str], "format": int})
        require("model.safetensors" in content.get("files", {}), "no model.safetensors in its files")
        number = content.get("format")
        require(number == CARD_FORMAT, f"checkpoint format {number}, this code reads {CARD_FORMAT}")
    for name, fingerprint in content["files"].items():
        part = folder / Path(name).name
        if not part.is_file() or _fingerprint(part) != fingerprint:
            message = f"{part}: missing or damaged (its checksum differs from checkpoint.json)"
            raise CheckpointError(message)
    return content


@contextmanager
def refusing(where: object) -> Iterator[None]:
    """Put the name of a checkpoint before a mistake that is found inside, which is a `CheckpointError`."""
    try:
        with naming(where):
            yield
    except ValueError as error:
        raise CheckpointError(str(error)) from error


def _fingerprint(file: Path) -> str:
    status = file.stat()
    return _digest(file.resolve(), status.st_size, status.st_mtime_ns)


@functools.cache
def _digest(file: Path, size: int, modified: int) -> str:
    """Return the SHA-256 of a file; one of the same size and time of change is read once a process."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _flush(file: Path) -> None:
    with file.open("rb") as content:
        os.fsync(content.fileno())


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return contiguous CPU copies: safetensors stores neither strides nor shared memory."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
