"""How far do frozen ImageNet features get? The baseline that a trained network has to beat.

    python -m benchmarks.frozen_features --root FOLDER [--run outputs/timm_008/<stamp>-all]

The log-mel of every recording's clips goes through EfficientNet-Lite0 with its ImageNet weights, the last
feature map is pooled by mean and by maximum, and a ridge classifier is fitted on the recordings that train
in each fold: the same folds and metrics as `core.trainer`. With --run, the predictions of a run are scored
beside it, with the paired difference in top-1 accuracy over the same recordings.
"""

import argparse
import platform
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from core.config import Config, DataConfig
from core.data.clips import ValidClips
from core.data.folds import folds_of
from core.data.loaders import open_data, read_recordings
from core.models.backbones import create_backbone, feature_map
from core.models.log_mel import LogMel
from core.scoring.evaluation import PROBABILITY, TRUTH
from core.scoring.metrics import top_one
from core.scoring.resampling import Resampler, summarise

CLIPS_PER_RECORDING = 3
TOP_DB = 60.0
IMAGE_MEAN, IMAGE_STD = 0.45, 0.225  # of ImageNet, averaged over the colours
ALPHAS = (10.0, 100.0, 1000.0, 10000.0)


@torch.inference_mode()
def recording_features(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Return features (clip, channel) and the recording of each clip."""
    data = open_data(config, read_recordings(config.data), quiet=True)
    clips = ValidClips(data.store, data.labels, config.data, np.flatnonzero(data.store.lengths > 0))
    backbone = create_backbone("tf_efficientnet_lite0", pretrained=True).eval()
    log_mel = LogMel(config.features)
    features, positions = [], []
    for index in range(len(clips)):
        clip = clips[index]
        mels = log_mel(clip.wave[None])
        loudness = ((mels - mels.amax()) / TOP_DB + 1.0).clamp_min(0.0)
        maps = feature_map(backbone, (loudness - IMAGE_MEAN) / IMAGE_STD)
        features.append(torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)[0].numpy())
        positions.append(int(clip.recording))
    return np.stack(features), np.array(positions)


def out_of_fold(config: Config, features: np.ndarray, positions: np.ndarray, alpha: float) -> pd.DataFrame:
    """Return out-of-fold predictions of the scored recordings, one row a recording."""
    competition = open_data(config, read_recordings(config.data), quiet=True).competition
    folds = folds_of(competition, config.data)
    species = competition.recordings["species"].to_numpy()
    scored = np.array(competition.scored)
    rows = []
    for fold in range(config.data.num_folds):
        trains = folds[positions] != fold
        model = make_pipeline(StandardScaler(), RidgeClassifier(alpha=alpha, class_weight="balanced"))
        model.fit(features[trains], species[positions[trains]])
        columns = [int(np.flatnonzero(model.classes_ == code)[0]) for code in scored]
        for recording in np.flatnonzero(folds == fold):
            decision = model.decision_function(features[positions == recording]).mean(axis=0)[columns]
            truth = scored == species[recording]
            row = {
                "recording": competition.recordings["recording"].iloc[recording],
                "species": species[recording],
            }
            row |= {TRUTH + code: bool(t) for code, t in zip(scored, truth, strict=True)}
            rows.append(row | {PROBABILITY + code: d for code, d in zip(scored, decision, strict=True)})
    return pd.DataFrame(rows).sort_values("recording", ignore_index=True)


def hits(predictions: pd.DataFrame) -> np.ndarray:
    """Return whether the highest score is the true species, per row."""
    truth = predictions.filter(like=TRUTH).to_numpy(dtype=bool)
    return truth[np.arange(len(truth)), predictions.filter(like=PROBABILITY).to_numpy().argmax(axis=1)]


def show(name: str, predictions: pd.DataFrame) -> None:
    """Print a row of the table."""
    truth = predictions.filter(like=TRUTH).to_numpy(dtype=bool)
    probability = predictions.filter(like=PROBABILITY).to_numpy()
    resampler = Resampler(predictions["recording"], predictions["species"], 10_000)
    print(f"{name:<44} {resampler.interval(lambda w: top_one(truth, probability, w))}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--root", required=True)
    parser.add_argument("--clip_seconds", type=float, default=5.0)
    parser.add_argument("--run", type=Path)
    arguments = parser.parse_args()
    data = DataConfig(
        root=arguments.root,
        clip_seconds=arguments.clip_seconds,
        valid_clips=CLIPS_PER_RECORDING,
        short_clips="repeat",
    )
    config = Config(name="frozen_features", data=replace(data, fold=None))
    features, positions = recording_features(config)
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}")
    print(f"{'top-1 over scored species, out of fold':<44} value [95 % interval]")
    tables = {alpha: out_of_fold(config, features, positions, alpha) for alpha in ALPHAS}
    for alpha, table in tables.items():
        show(f"frozen lite0 features + ridge, alpha {alpha:g}", table)
    if arguments.run is None:
        return
    run = pd.read_parquet(arguments.run / "predictions.parquet").sort_values("recording", ignore_index=True)
    show(f"{arguments.run.parent.name} {arguments.run.name}", run)
    best = max(tables.values(), key=lambda table: hits(table).mean())
    assert run["recording"].tolist() == best["recording"].tolist(), "the run validated other recordings"
    gain = hits(run).astype(float) - hits(best)
    resampler = Resampler(run["recording"], run["species"], 10_000)
    drawn = np.concatenate([w @ gain / w.sum(axis=1) for w in resampler.chunks()])
    print(f"{'difference to the best ridge, paired':<44} {summarise(gain.mean(), drawn, 0.95)}")


if __name__ == "__main__":
    main()
