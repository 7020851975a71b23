import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.inference.config import ExportConfig, InferenceConfig
from core.inference.engines.export import export
from core.inference.run import predict
from experiments.probe_015.config import CONFIG, ProbeConfig
from experiments.probe_015.run import Probe015
from tests.bird_model import CLASSES, SAMPLE_RATE, write_bird_model
from tests.runs import open_trainer, tiny_config, train_two_folds


@pytest.fixture(scope="module")
def run(tiny_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a trained probe on the tiny demo."""
    folder = tmp_path_factory.mktemp("probe")
    return train_probe(tiny_demo, folder, "linear")


def train_probe(root: Path, folder: Path, head: str) -> Path:
    trainer = probe_trainer(root, folder, head)
    trainer.fit()
    return trainer.record.folder.path


def probe_trainer(
    root: Path, folder: Path, head: str, classes: Sequence[str] = CLASSES, epochs: int = 8
) -> Probe015:
    tiny, card = tiny_config(root, folder), write_bird_model(folder / "model")
    (folder / "model" / "classes.txt").write_text("\n".join(classes))
    config = replace(
        CONFIG,
        schedule="full", epochs=epochs, output_dir=tiny.output_dir, valid=tiny.valid, tracking=tiny.tracking,
        data=replace(CONFIG.data, root=str(root), cache=str(folder / "cache"), num_folds=3),
        model=ProbeConfig(card=str(card), head=head),  # type: ignore[arg-type]
        features=replace(CONFIG.features, sample_rate=SAMPLE_RATE, f_max_hz=None),
    )  # fmt: skip
    trainer = open_trainer(config, stamp=head, kind=Probe015)
    assert isinstance(trainer, Probe015)
    return trainer


def learnt(run: Path) -> float:
    """Return how far the loss fell in training."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [row["train/epoch_loss"] for row in rows if "train/epoch_loss" in row]
    return float(losses[0] / losses[-1])


def test_a_probe_learns_and_leaves_a_whole_run(run: Path) -> None:
    assert learnt(run) > 1.4
    assert {"summary.json", "predictions.parquet", "species.csv"} <= {file.name for file in run.iterdir()}
    assert not (run / "spectrograms.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize("head", ["mlp", "prototype"])
def test_other_heads_learn_too(tiny_demo: Path, tmp_path: Path, head: str) -> None:
    assert learnt(train_probe(tiny_demo, tmp_path, head)) > 1.2


@pytest.mark.slow
def test_a_probe_predicts_soundscapes_alone_and_beside_a_network(
    run: Path, tiny_demo: Path, tmp_path: Path
) -> None:
    other = train_two_folds(tiny_demo, tmp_path / "runs")[0]
    sounds = str(tiny_demo / "test_soundscapes")
    found = {}
    for name, runs in {"probe": [str(run)], "network": [other], "both": [str(run), other]}.items():
        table = tmp_path / f"{name}.parquet"
        config = InferenceConfig(soundscapes=(sounds,), checkpoints=tuple(runs), out=str(tmp_path / "s.csv"))
        predict(replace(config, probabilities=str(table)))
        found[name] = pd.read_parquet(table).select_dtypes("float32").to_numpy()
    assert np.allclose(found["both"], (found["probe"] + found["network"]) / 2, atol=1e-6)


def test_what_the_pretrained_network_says_by_itself_stands_beside(
    tiny_demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(tiny_demo / "train_metadata.csv")
    scored = json.loads((tiny_demo / "scored_birds.json").read_text())
    names = table.drop_duplicates("primary_label").set_index("primary_label")["scientific_name"]
    classes = [f"{names[code]}_Somebird" for code in scored[:2]] + ["Homo sapiens_Human"]
    trainer = probe_trainer(tiny_demo, tmp_path, "linear", classes, epochs=1)
    trainer.fit()
    printed = capsys.readouterr().out
    assert "tiny as it is" in printed
    assert f"{len(scored) - 2} of {len(scored)} scored species are no class of it, such as" in printed
    found = trainer.zero_shot()
    assert set(found.species) == set(scored[:2])
    clip = trainer.loaders.valid_clips[0].wave.numpy()
    assert clip.shape[1] == trainer.model.front_end.size + 2
    assert np.allclose(found.probability[0], 1 / (1 + np.exp(-clip[:, -2:].max(axis=0))), atol=1e-6)


def test_a_probe_is_exported(
    run: Path, tiny_demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sounds = str(tiny_demo / "test_soundscapes")
    export(
        ExportConfig(
            checkpoints=(str(run),), soundscapes=(sounds,), out=str(tmp_path / "export"),
            backends=("torch", "onnxruntime"),
        )
    )  # fmt: skip
    assert capsys.readouterr().out.count("passes") == 2


def test_another_sample_rate_is_refused_with_the_one_to_use(tiny_demo: Path, tmp_path: Path) -> None:
    card = write_bird_model(tmp_path / "model")
    config = replace(CONFIG, model=ProbeConfig(card=str(card)), output_dir=str(tmp_path))
    config = replace(config, data=replace(config.data, root=str(tiny_demo), cache=str(tmp_path)))
    with pytest.raises(ValueError, match=r"use --features.sample_rate=16000"):
        open_trainer(config, kind=Probe015)
