"""Tiny runs of the real trainer, in this process and as programs of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from core.config import (
    Config,
    DataConfig,
    FeatureConfig,
    MixupConfig,
    ModelConfig,
    OptimConfig,
    SpecAugmentConfig,
    TimmConfig,
    TrackingConfig,
    ValidConfig,
)
from core.models.base import Output, SpeciesModel
from core.models.sed import TimmSED
from core.run_folder import open_run_folder
from core.trainer import Trainer, build_accelerator

ROOT = Path(__file__).parents[1]
BACKBONE = "test_efficientnet.r160_in1k"
PROGRAM = ROOT / "experiments" / "timm_007" / "run.py"
FEATURES = FeatureConfig(n_fft=512, hop_length=640, num_mels=32)
STEPS = 20
TINY_WORDS = (
    f"--model.backbone={BACKBONE}",
    "--model.pretrained=False",
    "--features.n_fft=512",
    "--features.hop_length=640",
    "--features.num_mels=32",
    "--data.clip_seconds=5",
    "--data.batch_size=4",
    "--data.num_folds=3",
    "--valid.num_resamples=100",
)


class TinyTrainer(Trainer):
    """The part model, small."""

    model_class = TimmSED


def tiny_config(root: Path, output_dir: Path) -> Config:
    """Return a configuration whose epoch takes a fraction of a second."""
    return Config(
        name="tiny",
        epochs=2,
        schedule="full",
        output_dir=str(output_dir),
        model=TimmConfig(backbone=BACKBONE, pretrained=False, dropout=0.1),
        features=FEATURES,
        data=DataConfig(
            root=str(root),
            cache=str(root.parent / "cache"),
            clip_seconds=5.0,
            batch_size=4,
            num_folds=3,
            soundscapes="ignore",
        ),
        optim=OptimConfig(lr=3e-3),
        valid=ValidConfig(num_resamples=100),
        tracking=TrackingConfig(use=False),
    )


def with_data(config: Config, **changes: object) -> Config:
    """Return `config` with fields of `data` replaced."""
    return replace(config, data=replace(config.data, **changes))  # type: ignore[arg-type]


def start(folder: Path, *words: str, launcher: tuple[str, ...] = (sys.executable,)) -> subprocess.Popen[str]:
    """Start timm_007 in `folder` as a program of its own, in a process group of its own."""
    environment = os.environ | {"WANDB_MODE": "disabled", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*launcher, str(PROGRAM), *TINY_WORDS, *words],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], timeout: float = 120.0) -> str:
    """Wait for a program and return what it printed; its whole group dies if it takes too long."""
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        message = f"still running after {timeout} s:\n{output}"
        raise AssertionError(message) from None
    return output


def open_trainer(config: Config, stamp: str = "a", kind: type[Trainer] = TinyTrainer) -> Trainer:
    """Return a trainer of `kind` in a run folder of its own."""
    return kind(config, open_run_folder(config, stamp, create=True), build_accelerator(config))


def train_two_folds(root: Path, output_dir: Path) -> list[str]:
    """Train folds 0 and 1 for an epoch each and return their run folders."""
    trainers = [
        open_trainer(
            replace(with_data(tiny_config(root, output_dir), fold=fold), epochs=1), "20260101-000000-aaaa"
        )
        for fold in (0, 1)
    ]
    for trainer in trainers:
        trainer.fit()
    return [str(trainer.record.folder.path) for trainer in trainers]


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str], timeout: float = 90.0) -> None:
    """Wait until `condition` holds while `process` runs."""
    deadline = time.monotonic() + timeout
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
            message = f"ended or hung before its time:\n{process.communicate()[0]}"
            raise AssertionError(message)
        time.sleep(0.01)


class PlainNet(SpeciesModel):
    """A small network that sees each clip alone: no batch norm."""

    def __init__(self, config: ModelConfig, features: FeatureConfig, num_species: int) -> None:
        super().__init__(features)
        self.hidden = nn.Linear(features.num_mels, 32)
        self.head = nn.Linear(32, num_species)

    def classify(self, parts: Tensor) -> Output:
        """Return the logits of clips from the mean of a few hidden units over segments of 8 frames."""
        frames = parts.squeeze(2).transpose(2, 3).flatten(1, 2)  # (batch, part * frame, mel)
        segments = frames.unfold(1, 8, 8).mean(dim=3)
        logit = self.head(torch.tanh(self.hidden(segments)))
        return Output(logit.mean(dim=1), logit, frames.shape[1])


class PlainTrainer(Trainer):
    """Trains `PlainNet`."""

    model_class = PlainNet


def plain_config(config: Config, accumulation: int = 1) -> Config:
    """Return `config` for `PlainNet`, without what mixes the clips of a process."""
    return replace(
        config,
        model=ModelConfig(),
        epochs=1,
        features=replace(FEATURES, scale="affine"),
        mixup=MixupConfig(probability=0.0, selective_probability=0.0),
        spec_augment=SpecAugmentConfig(probability=0.0),
        data=replace(config.data, min_epoch_steps=STEPS),
        optim=replace(config.optim, lr=1e-2, accumulation=accumulation),
    )


def losses_of_steps(trainer: Trainer) -> list[float]:
    """Train an epoch; return the loss of each optimiser step over all processes."""
    trainer.network.train()
    trainer.loaders.batches.start_at(0, 0)
    sums = [trainer.train_step(batch, 0, step) for step, batch in enumerate(trainer.loaders.train)]
    every = trainer.config.optim.accumulation
    steps = trainer.accelerator.reduce(torch.stack(sums), "sum").unflatten(0, (-1, every)).sum(dim=1)
    return (steps[:, 0] / steps[:, 1]).tolist()
