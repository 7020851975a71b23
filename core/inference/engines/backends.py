"""Engines that run a network on log-mels: torch in several ways, ONNX Runtime, OpenVINO.

All of them get the same float32 log-mels, computed once per front end by torch: engines for inference have
slow or inexact spectrograms (OpenVINO computes them in bfloat16 unasked where the processor can).
"""

import importlib
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.inference.config import BACKENDS, Backend
from core.inference.ensemble import Ensemble, Network
from core.models.base import Output, SpeciesModel
from core.models.folding import folded

TORCH_BACKENDS = tuple(name for name in BACKENDS if name.startswith("torch"))

ONNX_FILE, INT8_FILE = "network.onnx", "network_int8.xml"

MAX_STREAMS, PIECE_WINDOWS = 4, 3  # OpenVINO's: a minute of 12 windows keeps four streams busy


class BackendError(ValueError):
    """An engine that cannot be used here; the message says why and what to do."""


class _TorchNetwork:
    """A network in torch, a copy with folded weights (`core.models.folding`), convolutions channels-last."""

    def __init__(self, model: SpeciesModel, device: torch.device, *, bf16: bool = False) -> None:
        copy: Any = folded(model).to(device)
        self.model: SpeciesModel = copy.to(memory_format=torch.channels_last)
        self.device, self.bf16 = device, bf16

    def __call__(self, mels: Tensor, num_parts: int) -> Output:
        """Return the logits."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            return self.model.from_mels(mels, num_parts)


class _CompiledNetwork:
    """The same through torch.compile, in bfloat16 on a GPU, for batches of one size.

    A batch of another size is cut and filled up to that of the first, so that nothing is compiled twice.
    Clips of another number of parts run uncompiled.
    """

    def __init__(self, model: SpeciesModel, device: torch.device, num_parts: int) -> None:
        on_gpu = device.type == "cuda"
        self.plain = _TorchNetwork(model, device, bf16=on_gpu)
        self.run = torch.compile(self.plain, dynamic=False, options=None if on_gpu else {"freezing": True})
        self.num_parts, self.size = num_parts, 0

    def __call__(self, mels: Tensor, num_parts: int) -> Output:
        """Return the logits."""
        if num_parts != self.num_parts:
            return self.plain(mels, num_parts)
        self.size = self.size or len(mels)
        outputs = []
        for piece in mels.split(self.size):
            filled = torch.cat([piece, piece[:1].expand(self.size - len(piece), -1, -1, -1)])
            with torch.no_grad():
                clip, segment, num_frames, _ = self.run(filled, num_parts)
            number = len(piece) // num_parts
            outputs.append((clip[:number], segment[:number], num_frames))
        clips, segments, frames = zip(*outputs, strict=True)
        return Output(torch.cat(clips), torch.cat(segments), frames[0])


class _ExportedNetwork:
    """Base of the engines that read a file: made for one number of parts, torch for any other."""

    def __init__(self, model: SpeciesModel, num_parts: int) -> None:
        self.model, self.num_parts = model, num_parts

    @cached_property
    def plain(self) -> _TorchNetwork:
        """The same in torch, made when a clip of another number of parts comes."""
        return _TorchNetwork(self.model, torch.device("cpu"))

    def run(self, mels: Any) -> tuple[Any, Any]:
        """Return clip and segment logits of a numpy array of log-mels; a subclass's own."""
        raise NotImplementedError

    def __call__(self, mels: Tensor, num_parts: int) -> Output:
        """Return the logits."""
        if num_parts != self.num_parts:
            return self.plain(mels, num_parts)
        clip, segment = self.run(mels.contiguous().numpy())
        return Output(torch.from_numpy(clip), torch.from_numpy(segment), num_parts * mels.shape[-1])


class _OnnxNetwork(_ExportedNetwork):
    """ONNX Runtime on the CPU."""

    def __init__(self, file: Path, model: SpeciesModel, num_parts: int) -> None:
        super().__init__(model, num_parts)
        runtime = import_package("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        self.session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def run(self, mels: Any) -> tuple[Any, Any]:
        """Return clip and segment logits."""
        clip, segment = self.session.run(None, {"mels": mels})
        return clip, segment


class _OpenVinoNetwork(_ExportedNetwork):
    """OpenVINO on the CPU: a batch is cut into pieces that run side by side.

    Threads that share each layer of a network wait for each other at its end, above all when another thread
    (the one that decodes) takes a core now and then; streams with a piece each do not. The precision, "f32"
    or "bf16", is never left to the engine, which would choose bfloat16 by itself.
    """

    def __init__(self, file: Path, model: SpeciesModel, num_parts: int, precision: str = "f32") -> None:
        super().__init__(model, num_parts)
        threads = torch.get_num_threads()
        settings = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": min(threads, MAX_STREAMS),
            "PERFORMANCE_HINT": "THROUGHPUT",
            "ENABLE_CPU_PINNING": False,  # several processes would be bound to the same cores
        }
        openvino = import_package("openvino")
        self.compiled = openvino.Core().compile_model(str(file), "CPU", settings)
        self.piece = max(PIECE_WINDOWS // num_parts, 1) * num_parts
        self.requests: list[Any] = []

    def run(self, mels: Any) -> tuple[Any, Any]:
        """Return clip and segment logits."""
        pieces = [mels[start : start + self.piece] for start in range(0, len(mels), self.piece)]
        while len(self.requests) < len(pieces):
            self.requests.append(self.compiled.create_infer_request())
        started = self.requests[: len(pieces)]
        for request, piece in zip(started, pieces, strict=True):
            request.start_async([piece], share_inputs=True)
        for request in started:
            request.wait()
        clip, segment = zip(*(request.results.values() for request in started), strict=True)
        return np.concatenate(clip), np.concatenate(segment)


def _build_network(
    backend: Backend, model: SpeciesModel, device: torch.device, num_parts: int, folder: Path | None = None
) -> Network:
    """Return an engine with a model in it; `folder` is the member's in an export."""
    if backend == "torch_compile":
        return _CompiledNetwork(model, device, num_parts)
    if backend in TORCH_BACKENDS:
        return _TorchNetwork(model, device, bf16=backend == "torch_bf16")
    if device.type != "cpu":
        message = f"backend={backend} runs on the CPU: use --device=cpu, or backend torch_compile on a GPU"
        raise BackendError(message)
    if folder is None:
        message = f"backend={backend} reads files: make them with `python -m core.inference export`"
        raise BackendError(message)
    file = folder / (INT8_FILE if backend == "openvino_int8" else ONNX_FILE)
    if not file.is_file():
        message = f"backend={backend}: {file} is missing; export again with this backend among --backends"
        raise BackendError(message)
    if backend == "onnxruntime":
        return _OnnxNetwork(file, model, num_parts)
    # what is not quantised runs in bfloat16 beside int8, which is a fifth to a quarter faster than in float32
    return _OpenVinoNetwork(file, model, num_parts, "f32" if backend == "openvino" else "bf16")


def with_backend(
    ensemble: Ensemble, backend: Backend, device: torch.device, context: int, folder: Path | None = None
) -> Ensemble:
    """Return the ensemble with its networks in an engine.

    Parameters
    ----------
    ensemble
        Its models.
    backend
        Which engine.
    device
        Where torch runs; the others run on the CPU.
    context
        Windows that are predicted together.
    folder
        The export; torch needs none.

    Raises
    ------
    BackendError
        If the engine, its package or its file is missing here.
    """
    members = [
        replace(
            member,
            network=_build_network(
                backend, member.model, device, context, folder / f"member{i}" if folder else None
            ),
        )
        for i, member in enumerate(ensemble.members)
    ]
    for member in members:
        member.model.front_end.to(device)
    return Ensemble(members, ensemble.species, ensemble.combine)


def import_package(name: str) -> Any:
    """Import an engine's package, or say that it is not installed with a `BackendError`."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        message = f"{name} is not installed: pip install -r requirements.txt, or choose another backend"
        raise BackendError(message) from error
