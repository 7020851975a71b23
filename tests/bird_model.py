"""A tiny pretrained network as an ONNX file: it hears how loud each of some bands is."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SAMPLE_RATE, WINDOW = 16000, 8000
FRAME = 64
SIZE = FRAME // 2 - 1
"""Bands of 250 Hz, from 250 Hz on."""
CLASSES = ("Corvus corax_Common Raven", "Turdus merula_Eurasian Blackbird", "Strix aluco_Tawny Owl")


def write_bird_model(folder: Path, **changes: object) -> Path:
    """Write network, classes and card into a folder; return the card, with fields changed."""
    folder.mkdir(parents=True, exist_ok=True)
    turns = np.outer(np.arange(FRAME), np.arange(1, SIZE + 1)) / FRAME
    weights = {
        "cosine": np.cos(2 * np.pi * turns) / FRAME,
        "sine": np.sin(2 * np.pi * turns) / FRAME,
        "floor": np.array([1e-9]),
        "classes": np.random.default_rng(0).normal(size=(SIZE, len(CLASSES))),
    }
    arrays = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()]
    arrays.append(numpy_helper.from_array(np.array([-1, WINDOW // FRAME, FRAME]), "frames"))
    nodes = [
        helper.make_node("Reshape", ["samples", "frames"], ["framed"]),
        helper.make_node("MatMul", ["framed", "cosine"], ["real"]),
        helper.make_node("MatMul", ["framed", "sine"], ["imaginary"]),
        helper.make_node("Mul", ["real", "real"], ["real2"]),
        helper.make_node("Mul", ["imaginary", "imaginary"], ["imaginary2"]),
        helper.make_node("Add", ["real2", "imaginary2"], ["power"]),
        helper.make_node("ReduceMean", ["power"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Add", ["mean", "floor"], ["above"]),
        helper.make_node("Log", ["above"], ["embedding"]),
        helper.make_node("MatMul", ["embedding", "classes"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "bird",
        [helper.make_tensor_value_info("samples", TensorProto.FLOAT, ["batch", WINDOW])],
        [
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", SIZE]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(CLASSES)]),
        ],
        arrays,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, folder / "bird.onnx")
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    card = {
        "name": "tiny", "kind": "onnx", "file": "bird.onnx", "sample_rate": SAMPLE_RATE,
        "window_seconds": WINDOW / SAMPLE_RATE, "hop_seconds": 0.25, "embedding": "embedding",
        "logits": "logits", "classes": "classes.txt", "licence": "CC0",
    }  # fmt: skip
    content = {name: value for name, value in (card | changes).items() if value is not None}
    (folder / "tiny.json").write_text(json.dumps(content))
    return folder / "tiny.json"
