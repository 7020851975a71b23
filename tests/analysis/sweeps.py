"""Folders of sweeps as `python -m sweeps.local` leaves them, with made-up predictions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from core.config import Config, DataConfig, ValidConfig
from core.files import write_table
from core.run_folder import open_run_folder
from core.scoring.evaluation import evaluate
from core.scoring.predictions import Predictions
from sweeps.sweep_file import read_sweep_file
from sweeps.sweep_folder import SweepFolder, Trial
from tests.analysis.conftest import predictions_table

SPECIES = ("akiapo", "aniani", "apapan")
MIXUP: dict[str, Any] = {
    "mixup.alpha": {"distribution": "log_uniform_values", "min": 0.1, "max": 2.0},
    "mixup.probability": {"values": [1.0, 0.0, 0.5]},
    "loss.kind": {"values": ["focal", "bce"]},
    "epochs": {"value": 2},
}


@dataclass
class MadeTrial:
    """What becomes of a trial; `skill` is a positive's gain in the logit, None: it leaves no run."""

    values: Mapping[str, Any]
    skill: float | None = 1.5
    state: str = "finished"
    value: float | None = None
    speed: float = 10.0
    fold: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)


def shared_predictions(skill: float, fold: int = 0, recordings: int = 25, own: int = 0) -> pd.DataFrame:
    """Return predictions about the same recordings for every skill, with noise of their own by `own`."""
    rows = [
        (f"{code}/XC{fold}{i}.ogg", f"author{i}", code, fold, 0.0)
        for code in SPECIES
        for i in range(recordings)
    ]
    information = pd.DataFrame(rows, columns=["recording", "author", "species", "fold", "start_seconds"])
    truth = np.array([[row[2] == code for code in SPECIES] for row in rows])
    noise = np.random.default_rng([1, fold]).standard_normal(truth.shape)
    noise += 0.3 * np.random.default_rng([2, fold, own]).standard_normal(truth.shape)
    return predictions_table(information, truth, 1 / (1 + np.exp(1 - skill * truth - noise)), SPECIES)


def write_sweep(
    folder: Path,
    trials: Sequence[MadeTrial],
    parameters: Mapping[str, Any] = MIXUP,
    *,
    metric: str = "valid/macro_auc",
    goal: str = "maximize",
    method: str = "random",
) -> Path:
    """Write the folder of a sweep and return it."""
    content = {"name": "mine", "program": "run.py", "method": method, "parameters": dict(parameters)}
    content["metric"] = {"name": metric, "goal": goal}
    file = folder.with_suffix(".yaml")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("# How much?\n" + yaml.safe_dump(content))
    sweep = SweepFolder(folder, read_sweep_file(file))
    sweep.open(0, [])
    for number, made in enumerate(trials):
        trial = Trial(number, dict(made.values), minutes=1.5, value=made.value)
        if made.skill is not None:
            write_run(sweep.folder_of(trial), made, number)
        trial.state = made.state
        sweep.record(trial)
    return folder


def write_run(home: Path, trial: MadeTrial, number: int) -> Path:
    """Write the folder of a trial's run; without a summary if it has not finished."""
    assert trial.skill is not None
    valid = ValidConfig(num_resamples=100)
    config = Config(name="timm_007", output_dir=str(home), data=DataConfig(num_folds=3), valid=valid)
    config = replace(config, data=replace(config.data, fold=trial.fold), **trial.config)
    folder = open_run_folder(config, f"20260101-000000-{number:04x}", create=True)
    for step, speed in enumerate((0.1 * trial.speed, trial.speed, trial.speed)):
        folder.log({"global_step": step, "train/clips_per_second": speed})
    for epoch, score in enumerate((0.4, trial.value or 0.5), start=1):
        folder.log({"global_step": 2 + epoch, "epoch": epoch, "valid/score": score, "valid/macro_auc": score})
    if trial.state == "finished":
        table = shared_predictions(trial.skill, trial.fold, own=number)
        write_table(table, folder.path / "predictions.parquet")
        facts = {"experiment": "timm_007", "minutes": 1.5}
        folder.write_json("summary", facts | evaluate(Predictions.from_table(table), config.valid).as_dict())
    return folder.path


def summary_of(run: Path) -> dict[str, Any]:
    """Return the summary of a run."""
    content: dict[str, Any] = json.loads((run / "summary.json").read_text())
    return content


def mixup_values(number: int, generator: np.random.Generator) -> dict[str, Any]:
    """Return values of `MIXUP`, those of the lists taken in turn."""
    return {
        "mixup.alpha": float(10 ** generator.uniform(-1, 0.3)),
        "mixup.probability": (0.0, 0.5, 1.0)[number % 3],
        "loss.kind": ("focal", "bce")[number // 3 % 2],
    }
