"""Engines give what the networks give, the parity report says so, and an export is all that is needed."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch

from core.checkpoint import CheckpointError
from core.inference.config import BACKENDS, Backend, ExportConfig, InferenceConfig, WindowConfig
from core.inference.engines.backends import BackendError, with_backend
from core.inference.engines.export import export, open_export
from core.inference.engines.parity import Parity
from core.inference.ensemble import load_ensemble
from core.inference.predictor import Predictor
from core.inference.run import predict
from core.scoring.intervals import Interval
from tests.core.inference.conftest import Trained
from tests.runs import ROOT

CPU = torch.device("cpu")
EXACT_BACKENDS: tuple[Backend, ...] = ("torch", "onnxruntime", "openvino")


@pytest.mark.parametrize("backend", EXACT_BACKENDS)
def test_engines_equal_the_trained_networks(
    trained: Trained, exported: Path, soundscapes: Path, backend: Backend
) -> None:
    as_trained = Predictor(load_ensemble(trained.runs, weights=(3.0, 1.0)), WindowConfig(), CPU)
    ensemble, _ = open_export(exported)
    engine = Predictor(with_backend(ensemble, backend, CPU, 1, exported), WindowConfig(batch=5), CPU)
    for file in sorted(soundscapes.iterdir()):
        expected, found = as_trained.predict_file(file), engine.predict_file(file)
        np.testing.assert_allclose(found.probability, expected.probability, atol=1e-5)


@pytest.mark.slow
def test_context_in_an_engine(trained: Trained, soundscapes: Path, tmp_path: Path) -> None:
    config = ExportConfig(
        checkpoints=trained.runs[:1], soundscapes=(str(soundscapes),), out=str(tmp_path / "out"),
        backends=("onnxruntime", "openvino"), context=3,
    )  # fmt: skip
    folder, settings = export(config), WindowConfig(context=3)
    expected = Predictor(load_ensemble(trained.runs[:1]), settings, CPU)
    ensemble, _ = open_export(folder)
    for backend in config.backends:
        engine = Predictor(with_backend(ensemble, backend, CPU, 3, folder), settings, CPU)
        for name in ("s2.wav", "s3.wav"):  # 13 windows, the last clip a short one; and 1
            one, two = expected.predict_file(soundscapes / name), engine.predict_file(soundscapes / name)
            np.testing.assert_allclose(two.probability, one.probability, atol=1e-5)
    with pytest.raises(ValueError, match=r"windows\.context=1, but .* was made for 3"):
        predict(InferenceConfig(exported=str(folder), soundscapes=(str(soundscapes),)))


def test_the_parity_report(exported: Path) -> None:
    manifest = json.loads((exported / "ensemble.json").read_text())
    rows = {row["backend"]: row for row in manifest["parity"]}
    for backend in EXACT_BACKENDS:
        assert rows[backend]["difference"] < 1e-5
        assert rows[backend]["changed"] <= 0.001
        assert rows[backend]["passed"]
    assert rows["torch_bf16"]["difference"] > 1e-5
    change = rows["torch_bf16"]["auc"]
    assert change["low"] <= change["value"] <= change["high"]
    passed = [row for row in rows.values() if row["passed"]]
    assert manifest["backend"] == max(passed, key=lambda row: row["speed"])["backend"]
    assert manifest["weights"] == [0.75, 0.25]


@pytest.mark.parametrize(
    ("difference", "low", "high", "passes"),
    [
        (1e-5, None, None, True),
        (0.03, None, None, False),
        (0.03, -0.004, 0.006, True),
        (0.03, -0.02, 0.006, False),
        (0.03, -0.004, 0.02, False),
    ],
)
def test_an_engine_that_is_not_exact_passes_only_where_its_effect_is_known_to_be_small(
    difference: float, low: float | None, high: float | None, *, passes: bool
) -> None:
    change = None if low is None or high is None else Interval(0.0, low, high)
    assert Parity("openvino_bf16", 1.0, difference, 0.01, change, change).passed is passes


def test_an_export_is_all_that_the_main_command_needs(
    trained: Trained, exported: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(exported, tmp_path / "moved")
    data = str(trained.root / "test_soundscapes")
    table = {}
    for name, config in {
        "runs": InferenceConfig(checkpoints=trained.runs, weights=(3.0, 1.0), soundscapes=(data,)),
        "auto": InferenceConfig(exported=str(moved), soundscapes=(data,)),
        "onnx": InferenceConfig(exported=str(moved), backend="onnxruntime", soundscapes=(data,)),
    }.items():
        out = tmp_path / f"{name}.csv"
        predict(replace(config, out=str(out), probabilities=str(out.with_suffix(".parquet"))))
        table[name] = pd.read_parquet(out.with_suffix(".parquet")).iloc[:, 4:]
    np.testing.assert_allclose(table["onnx"], table["runs"], atol=1e-5)
    chosen = json.loads((moved / "ensemble.json").read_text())["backend"]
    np.testing.assert_allclose(table["auto"], table["runs"], atol=0.2 if "bf16" in chosen else 1e-5)


def test_an_engine_whose_numbers_changed_since_the_export_is_told(
    trained: Trained, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = shutil.copytree(exported, tmp_path / "moved")
    manifest = json.loads((moved / "ensemble.json").read_text())
    data = (str(trained.root / "test_soundscapes"),)
    for backend in EXACT_BACKENDS[1:]:
        predict(
            InferenceConfig(
                exported=str(moved), backend=backend, soundscapes=data, out=str(tmp_path / "a.csv")
            )
        )
        assert "computes otherwise" not in capsys.readouterr().out
    (row,) = [one for one in manifest["parity"] if one["backend"] == "onnxruntime"]
    row["fingerprint"][0] += 0.5
    manifest["machine"]["packages"]["onnxruntime"] = "1.0"
    (moved / "ensemble.json").write_text(json.dumps(manifest))
    predict(
        InferenceConfig(
            exported=str(moved),
            backend="onnxruntime",
            soundscapes=data,
            out=str(tmp_path / "b.csv"),
            species="all",
        )
    )
    told = capsys.readouterr().out
    assert "backend=onnxruntime computes otherwise than when the export was made" in told
    assert "differ by up to 0.5 (onnxruntime 1.0 then, " in told
    assert len(pd.read_csv(tmp_path / "b.csv")) > 0


def test_whole_networks_take_waves(trained: Trained, exported: Path) -> None:
    ensemble = load_ensemble(trained.runs[:1])
    wave = torch.randn(3, 160000) * 0.1
    session = onnxruntime.InferenceSession(str(exported / "member0" / "whole.onnx"))
    clip, segment = session.run(None, {"waves": wave.numpy()})
    with torch.inference_mode():
        expected = ensemble.members[0].model(wave)
    np.testing.assert_allclose(clip, expected.clip_logit.numpy(), atol=1e-3)
    np.testing.assert_allclose(segment, expected.segment_logit.numpy(), atol=1e-3)


@pytest.mark.slow
def test_int8_is_written_judged_and_runs(trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "int8"  # a program of its own: nncf crashes a process that has run loader workers
    command = [sys.executable, "-m", "core.inference", "export", "--max_windows=48", f"--out={folder}"]
    words = ["--soundscapes", str(trained.root / "test_soundscapes"), "--checkpoints", trained.runs[0]]
    backends = ["--backends", "openvino", "openvino_int8"]
    subprocess.run([*command, *words, *backends], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    manifest = json.loads((folder / "ensemble.json").read_text())
    rows = {row["backend"]: row for row in manifest["parity"]}
    assert 1e-5 < rows["openvino_int8"]["difference"] < 0.5
    assert not rows["openvino_int8"]["passed"], "without truth nothing inexact may pass"
    assert manifest["backend"] == "openvino"


def test_what_cannot_be_used_is_said(trained: Trained, exported: Path, tmp_path: Path) -> None:
    ensemble, _ = open_export(exported)
    with pytest.raises(BackendError, match="reads files: make them with"):
        with_backend(load_ensemble(trained.runs), "openvino", CPU, 1)
    with pytest.raises(BackendError, match="export again with this backend"):
        with_backend(ensemble, "openvino_int8", CPU, 1, exported)
    with pytest.raises(CheckpointError, match="no export of"):
        open_export(tmp_path)
    torn = shutil.copytree(exported, tmp_path / "torn")
    (torn / "member1" / "model.safetensors").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="missing or damaged"):
        open_export(torn)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("keep me")
    with pytest.raises(ValueError, match="exists and is no export"):
        export(ExportConfig(checkpoints=trained.runs, soundscapes=("x",), out=str(mine)))
    assert (mine / "thesis.txt").read_text() == "keep me"
    assert set(EXACT_BACKENDS) < set(BACKENDS)
    with pytest.raises(ValueError, match="not both"):
        InferenceConfig(checkpoints=trained.runs, exported="x", soundscapes=("x",))
