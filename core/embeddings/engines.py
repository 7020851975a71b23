"""What runs a pretrained network: ONNX Runtime, LiteRT, timm or torchaudio, all with one call.

An engine maps windows (window, sample) float32 in [-1, 1] to embeddings and class logits. Nothing of it is
trained.
"""

import importlib
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from core.config import FeatureConfig, require
from core.embeddings.cards import EmbeddingCard
from core.models.backbones import create_backbone, feature_map
from core.models.log_mel import LogMel


class Embedded(NamedTuple):
    """What a network says of windows."""

    embedding: np.ndarray
    """(window, size) float32."""
    logit: np.ndarray
    """(window, class) float32; no class where the network has none."""


Engine = Callable[[np.ndarray], Embedded]
"""Maps windows (window, sample) float32."""


def open_engine(card: EmbeddingCard) -> Engine:
    """Return the engine of a card.

    Raises
    ------
    ValueError
        If its file or package is missing, or the file has not the outputs that the card names.
    """
    return {"onnx": _onnx, "litert": _litert, "timm": _timm, "torchaudio": _torchaudio}[card.kind](card)


def _onnx(card: EmbeddingCard) -> Engine:
    """Return an engine of ONNX Runtime."""
    runtime = _import("onnxruntime", card)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    file = card.checked_file()
    try:
        session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors have no common base
        message = f"card {card.name}: {file} is not readable as ONNX ({str(error).splitlines()[0]})"
        raise ValueError(message) from error
    names = [output.name for output in session.get_outputs()]
    wanted = _outputs(card, names)
    first = session.get_inputs()[0].name

    def run(windows: np.ndarray) -> Embedded:
        return _embedded(session.run(wanted, {first: windows}), len(windows))

    return run


def _litert(card: EmbeddingCard) -> Engine:
    """Return an engine of LiteRT; it also reads tensors inside the network."""
    package = _import("ai_edge_litert.interpreter", card)
    file = card.checked_file()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # keeping inner tensors is meant for debugging
        interpreter = package.Interpreter(
            str(file), num_threads=torch.get_num_threads(), experimental_preserve_all_tensors=True
        )
    position = {detail["name"]: detail["index"] for detail in interpreter.get_tensor_details()}
    wanted = [position[name] for name in _outputs(card, list(position))]
    first = interpreter.get_input_details()[0]["index"]
    size = 0

    def run(windows: np.ndarray) -> Embedded:
        nonlocal size
        if len(windows) != size:
            interpreter.resize_tensor_input(first, windows.shape)
            interpreter.allocate_tensors()
            size = len(windows)
        interpreter.set_tensor(first, windows)
        interpreter.invoke()
        return _embedded([interpreter.get_tensor(index).copy() for index in wanted], len(windows))

    return run


def _timm(card: EmbeddingCard) -> Engine:
    """Return an engine of a timm backbone on log-mels, averaged over the map."""
    highest = min(14000.0, card.sample_rate / 2)
    log_mel = LogMel(FeatureConfig(sample_rate=card.sample_rate, f_max_hz=highest))
    backbone = create_backbone(card.file, pretrained=True).eval()

    @torch.inference_mode()
    def run(windows: np.ndarray) -> Embedded:
        decibel = log_mel(torch.from_numpy(windows))
        pictures = (decibel - decibel.mean(dim=(1, 2, 3), keepdim=True)) / decibel.std(
            dim=(1, 2, 3), keepdim=True
        ).clamp_min(1e-3)
        return _embedded([feature_map(backbone, pictures).mean(dim=(2, 3)).numpy()], len(windows))

    return run


def _torchaudio(card: EmbeddingCard) -> Engine:
    """Return an engine of a bundle of `torchaudio.pipelines`, averaged over time."""
    pipelines: Any = importlib.import_module("torchaudio.pipelines")
    require(hasattr(pipelines, card.file), f"card {card.name}: torchaudio.pipelines has no {card.file}")
    bundle = getattr(pipelines, card.file)
    try:
        model: nn.Module = bundle.get_model().eval()
    except OSError as error:
        message = f"card {card.name}: torchaudio cannot fetch the weights of {card.file} ({error})"
        raise ValueError(message) from error

    @torch.inference_mode()
    def run(windows: np.ndarray) -> Embedded:
        layers, _ = model.extract_features(torch.from_numpy(windows))  # type: ignore[operator]
        return _embedded([layers[-1].mean(dim=1).numpy()], len(windows))

    return run


def _outputs(card: EmbeddingCard, names: list[str]) -> list[str]:
    """Return the names of the wanted outputs: the embedding, then the logits where there are any."""
    wanted = [name for name in (card.embedding, card.logits) if name]
    missing = [name for name in wanted if name not in names]
    require(bool(card.embedding), f"card {card.name}: names no output as its embedding")
    have = f"has no output {', '.join(missing)}; the last are {', '.join(names[-8:])}"
    require(not missing, f"card {card.name}: {card.file} {have}")
    return wanted


def _embedded(outputs: list[np.ndarray], number: int) -> Embedded:
    """Return outputs, (window, ...) each, as rows."""
    rows = [np.asarray(output, dtype=np.float32).reshape(number, -1) for output in outputs]
    return Embedded(rows[0], rows[1] if len(rows) > 1 else np.zeros((number, 0), np.float32))


def _import(name: str, card: EmbeddingCard) -> Any:
    """Import what runs a card's file."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        message = f"card {card.name}: {name.partition('.')[0]} is not installed; {card.install}"
        raise ValueError(message) from error
