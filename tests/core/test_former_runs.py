"""Runs of version 0.1 are read, predicted with and continued.

`fixtures/run_of_0.1` holds what that version's programs wrote (commit 2a53a68). On the recordings that
`write_birds` makes: a finished run, the same one stopped in its sixth epoch by SIGTERM, and the probabilities
that `core.inference` gave for the soundscape with the finished run's checkpoints. Of the part model: a run on
generated data, and the logits of its checkpoint for a chirp.
"""

import json
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from analysis.runs import find_runs
from core.checkpoint import find, load_model
from core.inference.config import InferenceConfig
from core.inference.run import predict
from tests.conftest import FIXTURES
from tests.programs import run_program
from tests.runs import ROOT

FORMER = FIXTURES / "run_of_0.1"
FINISHED, STOPPED = sorted((FORMER / "conformer").iterdir())
RATE = 8000
PROGRAM = ROOT / "experiments" / "conformer" / "run.py"
CLASSES = (
    "core.config:GemConfig",
    "core.config:TimmConfig",
    "core.models.gem:GemNet",
    "core.models.sed:TimmSED",
    "experiments.conformer.config:ConformerConfig",
    "experiments.conformer.model:ConformerSED",
    "experiments.fdy.config:FdyConfig",
    "experiments.fdy.model:FdyCrnn",
    "experiments.htsat.config:HtsatConfig",
    "experiments.htsat.model:HtsAt",
    "experiments.nocall.config:NocallConfig",
    "experiments.nocall.model:NocallNet",
    "experiments.timm_012.config:OtherBackboneConfig",
)
"""What the checkpoint cards of that version name."""


def song(generator: np.random.Generator, hz: float) -> np.ndarray:
    """Return 5 s of a tone that comes and goes, in noise."""
    seconds = np.arange(5 * RATE) / RATE
    is_heard = np.sin(2 * np.pi * generator.uniform(0.2, 0.5) * seconds) > 0.3
    noise = 0.03 * generator.standard_normal(len(seconds))
    return np.asarray(0.3 * is_heard * np.sin(2 * np.pi * hz * seconds) + noise)


def write_birds(root: Path) -> Path:
    """Write eight recordings of each of three species, and return a soundscape with two of them."""
    rows = ["primary_label,secondary_labels,author,rating,filename"]
    for number, (species, hz) in enumerate((("akiapo", 700), ("apapan", 1500), ("brnowl", 2900))):
        for i in range(8):
            rows.append(f"{species},[],author{i},4.0,{species}/XC{number}{i}.wav")
            file = root / "train_audio" / species / f"XC{number}{i}.wav"
            file.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(file, song(np.random.default_rng([number, i]), hz), RATE)
    (root / "train_metadata.csv").write_text("\n".join(rows) + "\n")
    (root / "scored_birds.json").write_text('["akiapo", "brnowl"]')
    generator = np.random.default_rng(9)
    soundscape = root / "test_soundscapes" / "soundscape_7.wav"
    soundscape.parent.mkdir()
    soundfile.write(soundscape, np.concatenate([song(generator, hz) for hz in (2900, 700, 300)]), RATE)
    return soundscape


def test_only_the_finished_run_is_listed() -> None:
    (run,) = find_runs([FORMER])
    assert run.folder == FINISHED
    assert run.summary["epochs"] == 12
    assert len(run.predictions) == 8


def test_bootstrap_scores_it_as_it_was_scored(tmp_path: Path) -> None:
    words = [FINISHED, "--resamples=100", "--out", tmp_path / "intervals.csv"]
    assert "8 recordings" in run_program("analysis.bootstrap", *words)
    table = pd.read_csv(tmp_path / "intervals.csv")
    macro = table[table["species"] == "macro"].groupby("metric")["value"].first()
    recorded = json.loads((FINISHED / "summary.json").read_text())["metrics"]
    for name in ("score", "macro_auc", "padded_cmap"):
        assert macro[name] == pytest.approx(recorded[name]["value"], abs=1e-6), name


@pytest.mark.parametrize("which", ["last", "best"])
def test_its_checkpoints_predict_what_they_predicted(tmp_path: Path, which: str) -> None:
    soundscape = write_birds(tmp_path / "birds")
    predict(
        InferenceConfig(
            checkpoints=(str(FINISHED),),
            soundscapes=(str(soundscape),),
            out=str(tmp_path / "submission.csv"),
            probabilities=str(tmp_path / "probabilities.csv"),
            which=which,  # type: ignore[arg-type]
            device="cpu",
        )
    )
    expected = pd.read_csv(FORMER / f"soundscape_{which}.csv")
    found = pd.read_csv(tmp_path / "probabilities.csv")[list(expected)]
    assert found["end_time"].tolist() == [5, 10, 15]
    pd.testing.assert_frame_equal(found, expected, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_a_stopped_run_is_continued_to_the_end_of_one_that_was_not(tmp_path: Path) -> None:
    write_birds(tmp_path / "data")
    run = tmp_path / "outputs" / "conformer" / STOPPED.name
    shutil.copytree(STOPPED, run)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--resume"], cwd=tmp_path, env=environment, capture_output=True,
        text=True, stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = pd.read_parquet(FINISHED / "predictions.parquet")
    found = pd.read_parquet(run / "predictions.parquet")[list(expected)]
    # another number of threads changes them by 0.002, an optimiser that forgot its moments by 0.05
    pd.testing.assert_frame_equal(found, expected, atol=5e-3, rtol=0)
    steps = [
        [json.loads(line)["global_step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in (run, FINISHED)
    ]
    assert sorted(set(steps[0])) == sorted({21, *steps[1]}), "and the step at which it was stopped"


def test_a_checkpoint_of_the_part_model_gives_the_logits_of_that_time(tmp_path: Path) -> None:
    shutil.unpack_archive(FORMER / "part_model.zip", tmp_path)
    (run,) = tmp_path.iterdir()
    model, card = load_model(find(run / "checkpoints" / "last"))
    chirp = 0.3 * torch.sin(0.01 * torch.arange(160000) ** 1.2)
    with torch.inference_mode():
        logits = model(chirp[None]).clip_logit[0]
    recorded = torch.tensor(json.loads((run / "logits.json").read_text()))
    torch.testing.assert_close(logits, recorded, rtol=0, atol=1e-3)
    assert len(card.species) == len(recorded) == 6
    assert card.fold == 0


@pytest.mark.parametrize("path", CLASSES)
def test_classes_that_its_checkpoints_name_can_be_imported(path: str) -> None:
    module, _, name = path.partition(":")
    assert isinstance(getattr(import_module(module), name), type)
