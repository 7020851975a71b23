"""Folders of runs as the trainer leaves them, with made-up predictions."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

from core.config import Config, DataConfig
from core.files import write_table
from core.run_folder import open_run_folder
from core.scoring.evaluation import evaluate
from core.scoring.predictions import Predictions
from tests.analysis.browsers import browser as browser  # a fixture
from tests.core.inference.conftest import trained as trained  # a fixture

SPECIES = ("akiapo", "aniani", "apapan")
MakeRun = Callable[..., Path]


def invent_predictions(
    folds: tuple[int, ...],
    *,
    species: tuple[str, ...] = SPECIES,
    skill: float = 1.5,
    seed: int = 0,
    clips: int = 2,
) -> pd.DataFrame:
    """Return predictions of four recordings a species and fold; `skill` is a positive's gain in the logit."""
    rows = [
        (f"{code}/XC{fold}{i}.ogg", f"author{i}", code, fold, 5.0 * clip)
        for fold in folds
        for code in species
        for i in range(4)
        for clip in range(clips)
    ]
    information = pd.DataFrame(rows, columns=["recording", "author", "species", "fold", "start_seconds"])
    truth = np.array([[row[2] == code for code in species] for row in rows])
    noise = np.random.default_rng(seed).standard_normal(truth.shape)
    probability = 1 / (1 + np.exp(-(skill * truth - 1 + noise)))
    return predictions_table(information, truth, probability, species)


def predictions_table(
    information: pd.DataFrame, truth: np.ndarray, probability: np.ndarray, species: tuple[str, ...]
) -> pd.DataFrame:
    """Return the table of clips whose recording, author, species, fold and start are given."""
    columns = {name: information[name].to_numpy() for name in ("author", "fold", "start_seconds")}
    recording, primary = (information[name].to_numpy(str) for name in ("recording", "species"))
    return Predictions.of(species, probability, truth, recording, primary=primary, **columns).to_table()


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return a function that writes a finished run; `fold="all"` writes its folds too."""
    return run_maker(tmp_path)


def run_maker(root: Path) -> MakeRun:
    """Return the same for a folder that outlives a test."""

    def make(
        name: str = "timm_007",
        *,
        fold: int | Literal["all"] | None = 0,
        stamp: str = "20260101-000000-aaaa",
        predictions: pd.DataFrame | None = None,
        finished: bool = True,
        **fields: Any,
    ) -> Path:
        data = fields.pop("data", DataConfig(num_folds=3))
        config = Config(name=name, output_dir=str(root / "outputs"), data=data, **fields)
        folds = tuple(range(3)) if fold == "all" else (fold or 0,)
        table = invent_predictions(folds) if predictions is None else predictions
        config = replace(config, data=replace(config.data, fold=fold))
        folder = open_run_folder(config, stamp, create=True)
        if not finished:
            return folder.path
        write_table(table, folder.path / "predictions.parquet")
        facts: dict[str, Any] = {"minutes": 1.5, "parameters": 1000}
        if fold == "all":
            for single in folds:
                one = table[table["fold"] == single]
                make(name, fold=single, stamp=stamp, predictions=one, data=data, **fields)
            facts = {"runs": [f"{stamp}-fold{single}" for single in folds]}
        summary = {"experiment": name, "code_version": "abc", **facts}
        if len(table):
            summary |= evaluate(Predictions.from_table(table), config.valid).as_dict()
        folder.write_json("summary", summary)
        folder.log({"epoch": 1, "global_step": 10, "train/epoch_loss": 0.5, "valid/macro_auc": 0.7})
        return folder.path

    return make
