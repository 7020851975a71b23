"""A bundle predicts with its own code and models, wherever it lies."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from core.checkpoint import CheckpointError
from core.inference.config import BundleConfig, InferenceConfig
from core.inference.engines.bundle import bundle, wheels_list
from core.inference.run import predict
from tests.core.inference.conftest import Trained

SCRIPT = """
import runpy, sys
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
print("code of", sys.modules["core.inference.run"].__file__)
"""


@pytest.mark.slow
def test_an_unpacked_bundle_predicts_the_same(trained: Trained, exported: Path, tmp_path: Path) -> None:
    path = bundle(BundleConfig(exported=str(exported), out=str(tmp_path / "bundle.zip")))
    folder = tmp_path / "elsewhere"
    with zipfile.ZipFile(path) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".pyc")]
        archive.extractall(folder)
    data = str(trained.root / "test_soundscapes")
    words = [str(folder / "predict.py"), "--soundscapes", data, "--backend=torch"]
    command = [sys.executable, "-c", SCRIPT, *words, f"--out={tmp_path / 'there.csv'}"]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=True)
    assert f"code of {folder}" in result.stdout
    here = tmp_path / "here.csv"
    predict(InferenceConfig(exported=str(exported), backend="torch", soundscapes=(data,), out=str(here)))
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "there.csv"), pd.read_csv(here))
    texts = {p.name for p in folder.iterdir()}
    assert texts == {"README.txt", "code", "models", "predict.py", "requirements.txt", "wheels"}


def test_the_list_of_wheels_is_complete_without_torch() -> None:
    names = {line.split("==")[0] for line in wheels_list()}
    assert {"timm", "tyro", "cffi", "onnxruntime", "openvino", "python-dateutil"} <= names
    assert not {"torch", "torchvision", "torchaudio", "wandb", "pytest"} & names


def test_what_is_there_is_not_overwritten(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(ValueError, match="exists; name another"):
        bundle(BundleConfig(exported=str(exported), out=str(tmp_path / "b")))
    with pytest.raises(CheckpointError, match="no export"):
        bundle(BundleConfig(exported=str(tmp_path), out=str(tmp_path / "c.zip")))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b"], "nothing half-written is left"
