"""Runs that train and validate on labelled soundscapes, one species of which has no recording."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from core.checkpoint import find, read_card
from core.config import Config, LossConfig, MixupConfig, SpecAugmentConfig
from core.data.loaders import build_loaders
from core.inference.config import WindowConfig
from core.inference.ensemble import load_ensemble
from core.inference.predictor import Predictor
from core.scoring.predictions import FILES, Predictions
from core.trainer import Trainer
from core.training.validation import join_processes
from tests.folders import make_sites
from tests.programs import refusal, run_program
from tests.runs import TinyTrainer, open_trainer, tiny_config, with_data


def config_of(root: Path, output_dir: Path) -> Config:
    config = with_data(
        tiny_config(root, output_dir), soundscapes="train_and_validate", soundscape_repetition=2, batch_size=8
    )
    return replace(
        config,
        epochs=7,
        loss=LossConfig(kind="bce", label_smoothing=0.0),
        mixup=MixupConfig(probability=0.0, selective_probability=0.0),
        spec_augment=SpecAugmentConfig(probability=0.0),
    )


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    folder = tmp_path_factory.mktemp("sites")
    made = open_trainer(config_of(make_sites(folder / "birds", sites=5), folder / "outputs"))
    made.fit()
    return made


@pytest.fixture
def run(trainer: Trainer) -> Path:
    return trainer.record.folder.path


def test_a_species_that_only_soundscapes_hold_is_learned(run: Path) -> None:
    species = pd.read_csv(run / "species.csv").set_index("species")
    assert np.isnan(species["auc"]["mute"])  # no recording to judge it by
    rows = Predictions.read(run / FILES["soundscapes"])
    assert len(rows) >= 8
    mute = rows.species.index("mute")
    heard, other = (rows.probability[rows.truth[:, mute] == is_heard, mute] for is_heard in (True, False))
    assert (heard[:, None] > other).mean() > 0.9
    assert read_card(find(run / "checkpoints" / "last")).train_counts["mute"] == 6


def test_windows_are_judged_beside_recordings(trainer: Trainer, run: Path) -> None:
    rows, items = Predictions.read(run / FILES["soundscapes"]), trainer.data.soundscapes
    sites = set(items.windows.site[items.train])
    assert len(sites) == 3
    assert set(rows.site) == set(items.windows.site) - sites
    assert set(rows.start_time) == {"2025-06-01T05:00:00", "2025-06-02T05:00:00"}
    assert rows.start_seconds.tolist() == [0, 5, 10, 15] * 4
    assert set(rows.fold) == {0}
    found = json.loads((run / "summary.json").read_text())
    heard = found["soundscapes"]
    assert (heard["files"], heard["sites"], heard["validated_clips"]) == (4, 2, 16)
    for name, difference in heard["minus_recordings"].items():
        both = [one["metrics"][name]["value"] for one in (heard, found)]
        assert difference["value"] == pytest.approx(both[0] - both[1], abs=1e-6)
        assert difference["low"] <= difference["value"] <= difference["high"]
    epochs = [row for row in trainer.record.folder.history() if "valid/macro_auc" in row]
    assert len(epochs) == 7
    last = epochs[-1]["valid/soundscape_macro_auc"]
    assert last == pytest.approx(heard["metrics"]["macro_auc"]["value"], abs=1e-6)
    assert last > 0.85


def test_a_window_is_heard_as_in_inference(run: Path) -> None:
    rows = Predictions.read(run / FILES["soundscapes"])
    predictor = Predictor(load_ensemble([run]), WindowConfig(), torch.device("cpu"))
    root = Path(json.loads((run / "config.json").read_text())["data"]["root"])
    for name in np.unique(rows.recording):
        found = predictor.predict_file(root / "train_soundscapes" / f"{name}.ogg").probability[0]
        ours = rows.probability[rows.recording == name]  # of samples rounded to int16
        np.testing.assert_allclose(found, ours, atol=0.02)


def test_two_processes_validate_what_one_does(trainer: Trainer) -> None:
    whole, validation = trainer.validate(), trainer.validation
    parts = [
        replace(
            validation,
            loaders=build_loaders(trainer.data, trainer.config, rank=rank, world=2, on_cpu=True),
        ).predict(trainer.scored_model)
        for rank in (0, 1)
    ]
    assert min(len(part.soundscapes) for part in parts) > 0
    joined = join_processes(parts)
    for one, two in zip(whole[:2], joined[:2], strict=True):
        pd.testing.assert_frame_equal(one.to_table(), two.to_table(), atol=1e-5)
    assert joined.mean_loss == pytest.approx(whole.mean_loss, abs=1e-5)


def test_scores_by_site_and_day_of_what_soundscapes_say(run: Path) -> None:
    for words, expected in (
        (["--of", "soundscapes", "--by", "site"], "2 sites"),
        (["--of", "soundscapes", "--by", "day"], "4 days at a site"),
        (["--of", "soundscapes"], "4 recordings"),
        ([], "3 recordings"),
    ):
        printed = run_program("analysis.bootstrap", run, "--resamples", "100", *words)
        assert f": {expected}, 100 resamples" in printed


def test_runs_are_compared_on_soundscapes(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "20260101-000000-bbbb-fold0"
    shutil.copytree(run, other)
    table = pd.read_parquet(run / FILES["soundscapes"])
    probabilities = [name for name in table if name.startswith("probability:")]
    table[probabilities] = 0.5
    table.to_parquet(other / FILES["soundscapes"])
    words = ["--of", "soundscapes", "--metrics", "macro_auc", "--resamples", "100", "--flips", "100"]
    assert "macro ROC-AUC -0." in run_program("analysis.compare", run, other, *words)
    (other / FILES["soundscapes"]).unlink()
    assert "validated no labelled soundscapes" in refusal("analysis.compare", run, other, *words)


@pytest.mark.slow
def test_folds_are_pooled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = replace(config_of(make_sites(tmp_path / "birds", files=1), tmp_path / "outputs"), epochs=1)
    TinyTrainer.main(with_data(config, fold="all", soundscapes="validate", num_folds=2))
    (group,) = (tmp_path / "outputs" / "tiny").glob("*-all")
    rows = Predictions.read(group / FILES["soundscapes"])
    assert len(rows) == 16
    assert set(rows.fold) == {0, 1}
    assert json.loads((group / "summary.json").read_text())["soundscapes"]["sites"] == 4
    assert "labelled soundscapes, 4 files of 4 sites" in capsys.readouterr().out
