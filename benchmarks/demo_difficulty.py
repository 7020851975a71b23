"""Is the demo data hard enough? A linear classifier on mean log-mels beside a trained run.

    python -m benchmarks.demo_difficulty --run outputs/timm_008/<stamp>-all

Logistic regression on the mean and standard deviation over time of the log-mels of every clip, one
regression per scored species, on the run's own data, clips, folds and metric. Prints both macro ROC-AUCs
with intervals, and the paired difference over the same recordings. The regression's strength is the best
of several on these very predictions, which favours it.
"""

import argparse
import json
import platform
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from core.config import Config
from core.config_values import from_dict
from core.data.clips import ValidClips
from core.data.loaders import RunData, open_data, read_recordings, valid_table
from core.models.log_mel import LogMel
from core.scoring.evaluation import PROBABILITY, TRUTH
from core.scoring.metrics import macro, roc_auc
from core.scoring.resampling import Resampler, summarise

STRENGTHS = (0.001, 0.01, 0.1, 1.0)
TRAIN_CLIPS = 3


def stored_config(run: Path) -> Config:
    """Return the data and front end of a stored run; its network does not matter here."""
    stored = json.loads((run / "config.json").read_text())
    wanted = {name: stored[name] for name in ("data", "features", "valid")}
    config = from_dict(Config(name="linear"), wanted)
    return replace(config, data=replace(config.data, fold=None))


@torch.inference_mode()
def statistics(data: RunData, clips: ValidClips, config: Config) -> np.ndarray:
    """Return mean and standard deviation over time of each clip's log-mels, (clip, 2 * mel)."""
    log_mel = LogMel(config.features)
    rows = []
    for index in range(len(clips)):
        mels = log_mel(clips[index].wave[None])[0, 0]
        rows.append(torch.cat([mels.mean(dim=-1), mels.std(dim=-1)]).numpy())
    return np.stack(rows)


def linear_predictions(config: Config, strength: float, num_folds: int) -> pd.DataFrame:
    """Return out-of-fold predictions of one regression per scored species."""
    data = open_data(config, read_recordings(config.data), quiet=True)
    columns = data.competition.scored_columns
    own = config.data
    usable = np.flatnonzero(data.store.lengths > 0)
    train = ValidClips(data.store, data.labels, replace(own, valid_clips=TRAIN_CLIPS), usable)
    train_features = statistics(data, train, config)
    positions = np.array([recording for recording, _ in train.clips])
    tables = []
    for fold in range(num_folds):
        valid = ValidClips(data.store, data.labels, own, usable[data.folds[usable] == fold])
        features = statistics(data, valid, config)
        trains = data.folds[positions] != fold
        probability = np.zeros((len(valid), len(data.competition.species)))
        for column in columns:
            model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
            model.fit(train_features[trains], data.labels.target[positions[trains], column] > 0)
            probability[:, column] = model.predict_proba(features)[:, 1]
        losses = [np.zeros(len(valid))]
        tables.append(valid_table(data, valid, [probability], losses).drop(columns="loss"))
    return pd.concat(tables).sort_values(["recording", "start_seconds"], ignore_index=True)


def arrays(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return truth and probability, (row, species)."""
    return table.filter(like=TRUTH).to_numpy(dtype=bool), table.filter(like=PROBABILITY).to_numpy()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder of a --data.fold=all run")
    folder = parser.parse_args().run
    config = stored_config(folder)
    run = pd.read_parquet(folder / "predictions.parquet")
    run = run.sort_values(["recording", "start_seconds"], ignore_index=True)
    tables = [linear_predictions(config, strength, config.data.num_folds) for strength in STRENGTHS]
    assert all(table["recording"].tolist() == run["recording"].tolist() for table in tables)
    resampler = Resampler(run["recording"], run["species"], 2000)
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, {len(run)} clips")
    print(f"{'macro ROC-AUC, out of fold':<44} value [95 % interval]")

    def drawn(table: pd.DataFrame) -> tuple[float, np.ndarray]:
        truth, probability = arrays(table)
        point = macro(roc_auc(truth, probability, np.ones((1, len(truth)))))[0]
        chunks = [macro(roc_auc(truth, probability, w)) for w in resampler.chunks()]
        return float(point), np.concatenate(chunks)

    results = {f"linear on mean log-mels, C={c:g}": drawn(t) for c, t in zip(STRENGTHS, tables, strict=True)}
    results[f"{folder.parent.name} {folder.name}"] = drawn(run)
    for name, (value, values) in results.items():
        print(f"{name:<44} {summarise(value, values, 0.95)}")
    *linear, (value, values) = results.values()
    best_value, best_values = max(linear, key=lambda result: result[0])
    gain = summarise(value - best_value, values - best_values, 0.95)
    print(f"{'difference to the best linear, paired':<44} {gain}")


if __name__ == "__main__":
    main()
