"""Several processes train as one does, and judge the weights that are saved."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.checkpoint import load_model
from core.config import OptimConfig
from core.config_values import from_dict
from core.scoring.predictions import FILES, Predictions
from experiments.timm_007.config import CONFIG
from tests.runs import ROOT, STEPS, finish, open_trainer, start

pytestmark = pytest.mark.slow
LAUNCH = (sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2")
TWO = ("env", "ACCELERATE_USE_CPU=true", *LAUNCH, "--main_process_port", "0")


def test_the_loss_is_the_same_with_one_and_two_processes(tiny_demo: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    losses = {}
    for launcher, processes in (((sys.executable,), 1), (TWO, 2)):
        for accumulation in (1, 2):
            out = tmp_path / f"{processes}_{accumulation}.json"
            program = str(ROOT / "tests" / "reliability" / "plain_losses.py")
            command = [*launcher, program, str(tiny_demo), str(out), str(accumulation)]
            subprocess.run(command, env=environment, check=True, capture_output=True, timeout=240)
            losses[processes, accumulation] = json.loads(out.read_text())
    for found in losses.values():
        assert len(found) == STEPS
        np.testing.assert_allclose(found, losses[1, 1], rtol=1e-6)


def test_two_processes_judge_the_weights_that_are_saved(tiny_demo: Path, tmp_path: Path) -> None:
    # batch norm's statistics and their moving average differ between processes until they are shared
    words = (f"--data.root={tiny_demo}", "--schedule=full", "--epochs=2", "--optim.ema_decay=0.9")
    process = start(tmp_path, *words, "--tracking.use=False", "--data.soundscapes=ignore", launcher=TWO)
    shown = finish(process, timeout=240)
    assert process.returncode == 0, shown
    (run,) = (tmp_path / "outputs" / "timm_007").iterdir()
    stored = json.loads((run / "config.json").read_text())
    config = replace(from_dict(CONFIG, stored), output_dir=str(tmp_path / "again"), optim=OptimConfig())
    alone = open_trainer(config)
    model, _ = load_model(run / "checkpoints" / "last")
    alone.model.load_state_dict(model.state_dict())
    found, recorded = alone.validate().recordings, Predictions.read(run / FILES["recordings"])
    assert found.recording.tolist() == recorded.recording.tolist()
    np.testing.assert_allclose(found.probability, recorded.probability, atol=1e-6)
