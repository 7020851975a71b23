"""The one training loop, on Hugging Face Accelerate.

An experiment subclasses `Trainer`, says which network it trains, and overrides a hook or two. Every random
decision of a step is drawn from (seed, epoch, step), never from what was drawn before, so that a run that is
killed and resumed ends with the weights of an uninterrupted one.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from timm.utils import ModelEmaV3
from torch import Tensor
from torch.utils.data import default_collate
from tqdm import tqdm

from core import checkpoint
from core.config import Config
from core.data.clips import Batch, gates
from core.data.competition import Competition
from core.data.loaders import Loaders, build_loaders, open_data, read_recordings, valid_table
from core.machine import follow_launcher, tune_cpu
from core.models.base import Output, SpeciesModel
from core.models.log_mel import cut_parts, join_parts
from core.run_folder import RunFolder, choose_stamp, open_run_folder
from core.scoring.evaluation import point_metrics
from core.training.augment import Augmentation, Labelled, draw_augmentation
from core.training.cross_validation import fold_configs, report_group
from core.training.losses import recording_loss, smooth_labels, species_loss
from core.training.optim import build_optimizer, learning_rate
from core.training.pictures import draw_spectrograms
from core.training.state import Progress, pack_training, unpack_training
from core.training.stopping import StopSignal
from core.training.tracking import RunRecord
from core.training.watch import LossWatch

NUM_EXAMPLES = 4


class Trainer:
    """Train and validate one fold.

    A subclass names its network, `model_class`, called as `model_class(config.model, config.features,
    number of species)`; the hooks have defaults.

    Parameters
    ----------
    config
        A settled configuration (`core.command_line.parse_config`) of one fold.
    folder
        Where the run is recorded; if it holds a checkpoint, the run continues from it.
    accelerator
        Devices and processes, from `build_accelerator`.
    """

    model_class: ClassVar[Any]

    def __init__(self, config: Config, folder: RunFolder, accelerator: Accelerator) -> None:
        self.config, self.accelerator = config, accelerator
        torch.manual_seed(config.seed)
        with accelerator.main_process_first():
            self.data = open_data(config, self.read_recordings(), quiet=not accelerator.is_main_process)
        self.species, self.scored = self.data.competition.species, self.data.competition.scored
        self.loaders = self.build_loaders()
        self.model = self.build_model()
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = build_optimizer(self.model, config.optim)
        self.network, self.stepper = accelerator.prepare(self.model, self.optimizer)
        decay = config.optim.ema_decay
        self.average = ModelEmaV3(self.model, decay, use_warmup=True) if decay is not None else None
        self.progress = Progress()
        self.record = RunRecord(config, folder, accelerator)
        self.stop = StopSignal()

    # Hooks: what an experiment may change.

    def read_recordings(self) -> Competition:
        """Return the recordings and their labels."""
        return read_recordings(self.config.data)

    def build_model(self) -> SpeciesModel:
        """Return the network."""
        model: SpeciesModel = self.model_class(self.config.model, self.config.features, len(self.species))
        return model

    def build_loaders(self) -> Loaders:
        """Return the loaders of this process."""
        process, number = self.accelerator.process_index, self.accelerator.num_processes
        on_cpu = self.accelerator.device.type == "cpu"
        return build_loaders(self.data, self.config, rank=process, world=number, on_cpu=on_cpu)

    def label(self, batch: Batch) -> Labelled:
        """Return what a batch is to be taught, before it is mixed."""
        smoothing = self.config.loss.label_smoothing
        return Labelled(smooth_labels(batch.target, smoothing), batch.mask, batch.weight)

    def augment(
        self, num_main: int, num_scored: int, gates: Sequence[float], generator: torch.Generator
    ) -> Augmentation:
        """Draw a step's augmentation of the log-mels and their labels."""
        config = self.config
        return draw_augmentation(num_main, num_scored, config.mixup, config.spec_augment, gates, generator)

    def compute_loss(self, output: Output, labels: Labelled) -> Tensor:
        """Return the loss of a batch."""
        return species_loss(output, labels.target, labels.mask, labels.weight, self.config.loss)

    # The loop.

    @classmethod
    def main(cls, config: Config) -> None:
        """Train the fold of `config`, or every fold in turn; print the table of results."""
        follow_launcher()
        accelerator = build_accelerator(config)
        stamp = broadcast_object_list([choose_stamp(config)])[0]
        folders = []
        if config.data.fold == "all" and accelerator.is_main_process:
            open_run_folder(config, stamp, create=True)
        for fold_config in fold_configs(config):
            folder = open_run_folder(fold_config, stamp, create=accelerator.is_main_process)
            if not folder.is_finished:
                cls(fold_config, folder, accelerator).fit()
                accelerator.free_memory()
            folders.append(folder)
        if accelerator.is_main_process and (config.data.fold == "all" or config.resume):
            report_group(config, folders, stamp)
        accelerator.end_training()

    def fit(self) -> None:
        """Train all epochs that are left, validate, and report."""
        try:
            with self.stop.listening():
                self.start()
                for epoch in range(self.progress.epoch, self.config.epochs):
                    self.train_epoch(epoch)
                    self.end_epoch()
                self.finish()
        except BaseException as error:
            self.record.close(error)
            raise
        self.record.close()

    def start(self) -> None:
        """Continue from the run's checkpoint if there is one; open the record."""
        last = self.record.folder.checkpoints / "last"
        if checkpoint.exists(last):
            self.restore(checkpoint.find(last))
        self.record.open(self.data.bad, self.progress.global_step, self.progress.wandb_id)
        self.announce()
        self.accelerator.wait_for_everyone()

    def announce(self) -> None:
        """Print what is about to be trained."""
        data, config = self.data, self.config
        unknown = data.competition.unknown_secondary
        secondary = f"; {sum(unknown.values())} secondary labels of {len(unknown)} unknown species"
        batches = self.loaders.batches
        self.accelerator.print(
            f"{config.name}, fold {config.data.fold}: {len(data.train)} recordings train, "
            f"{len(data.valid)} validate, {len(self.species)} species, {len(self.scored)} scored"
            f"{secondary if unknown else ''}\n"
            f"{sum(p.numel() for p in self.model.parameters()) / 1e6:.2f} M parameters, "
            f"{batches.num_steps} steps of {batches.size} clips x {config.epochs} epochs, "
            f"{self.accelerator.num_processes} x {self.accelerator.device}, precision {config.precision}"
        )

    def finish(self) -> None:
        """Score the last weights with intervals, and record everything."""
        predictions, _ = self.evaluate()
        facts = {
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "minutes": self.progress.seconds / 60,
            "epochs": self.config.epochs,
            "global_step": self.progress.global_step,
            "best_epoch_macro_auc": self.progress.best,
            "train_recordings": len(self.data.train),
            "bad_files": len(self.data.bad),
        }
        pictures = {}
        if self.accelerator.is_main_process and len(predictions):
            pictures["spectrograms"] = self.draw_examples()
        self.record.report(predictions, facts, pictures)

    @torch.inference_mode()
    def draw_examples(self) -> Path:
        """Draw a few validated clips with what the network hears in them."""
        clips = self.loaders.valid_clips
        chosen = np.linspace(0, len(clips) - 1, min(NUM_EXAMPLES, len(clips))).round().astype(int)
        batch = default_collate([clips[int(i)] for i in chosen])
        num_parts, model = self.config.data.num_valid_parts, self.predictor
        wave = batch.wave.to(self.accelerator.device)
        mels = model.log_mel(cut_parts(wave, num_parts))
        segments = torch.sigmoid(model.from_mels(mels, num_parts).segment_logit)
        codes = self.data.competition.recordings["species"].iloc[batch.recording.numpy()]
        return draw_spectrograms(
            join_parts(mels, num_parts).cpu().numpy(),
            segments.float().cpu().numpy(),
            codes.tolist(),
            self.species,
            self.config.data.valid_seconds,
            self.record.folder.path / "spectrograms.png",
        )

    @property
    def predictor(self) -> SpeciesModel:
        """The network to predict with, in evaluation mode."""
        return self.scored_model.eval()

    @property
    def scored_model(self) -> SpeciesModel:
        """The network whose weights are scored and saved: the moving average where there is one."""
        return self.average.module if self.average is not None else self.model

    def train_epoch(self, epoch: int) -> None:
        """Train what is left of an epoch."""
        self.network.train()
        progress, batches = self.progress, self.loaders.batches
        batches.start_at(epoch, progress.step)
        watch = LossWatch(self.data.competition.recordings["recording"].tolist(), batches.size)
        bar = tqdm(
            self.loaders.train,
            desc=f"epoch {epoch + 1}/{self.config.epochs}",
            unit="step",
            initial=progress.step,
            total=batches.num_steps,
            disable=not self.accelerator.is_main_process,
        )
        for batch in bar:
            watch.arrived()
            loss = self.train_step(batch, epoch, progress.step)
            progress.step += 1
            row = watch.add(loss, batch.recording)
            if row is None and (self.is_checkpoint_due() or progress.step == batches.num_steps):
                row = watch.read()
            if row is not None:
                self.log_step(row, watch, bar)
            if self.is_checkpoint_due():
                self.save("last", {})
            if self.stop.received and self.accelerator.sync_gradients:
                sys.exit(self.stop.exit_code)

    def train_step(self, batch: Batch, epoch: int, step: int) -> Tensor:
        """Train on one (micro-)batch; return its loss, detached."""
        config, device = self.config, self.accelerator.device
        generator = self.seed_step(epoch, step)
        batch = Batch(*(tensor.to(device, non_blocking=True) for tensor in batch))
        labels = self.label(batch)
        num_main = self.loaders.batches.local_size
        with self.accelerator.accumulate(self.network):
            num_scored = len(batch.weight) - num_main
            augment = self.augment(num_main, num_scored, gates(config.seed, epoch, step), generator)
            output = self.network(batch.wave, config.data.num_parts, augment)
            loss = self.compute_loss(output, augment.mix_labels(labels))
            self.accelerator.backward(loss)
            if self.accelerator.sync_gradients:
                self.optimizer_step()
        return loss.detach()

    def optimizer_step(self) -> None:
        """Set the learning rate, clip, step, and update the moving average."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.current_rate() * group.get("lr_scale", 1.0)
        if self.config.optim.max_grad_norm is not None:
            self.accelerator.clip_grad_norm_(self.network.parameters(), self.config.optim.max_grad_norm)
        self.stepper.step()
        self.stepper.zero_grad()
        self.progress.global_step += 1
        if self.average is not None:
            self.average.update(self.model, self.progress.global_step)

    def current_rate(self) -> float:
        """Return the learning rate of the next optimiser step."""
        optim = self.config.optim
        per_epoch = self.loaders.batches.num_steps // optim.accumulation
        warmup = round(optim.warmup_epochs * per_epoch)
        return learning_rate(self.progress.global_step, per_epoch * self.config.epochs, warmup, optim)

    def seed_step(self, epoch: int, step: int) -> torch.Generator:
        """Seed dropout, and return the augmentation's generator, both of this step and process alone."""
        key = [self.config.seed, epoch, step, self.accelerator.process_index]
        words = np.random.SeedSequence(key).generate_state(2, np.uint64)
        torch.manual_seed(int(words[0] >> 1))
        return torch.Generator().manual_seed(int(words[1] >> 1))

    def log_step(self, row: dict[str, float], watch: LossWatch, bar: "tqdm[Batch]") -> None:
        """Record the losses that `watch` has read."""
        progress = self.progress
        progress.loss_sum, progress.loss_count = (
            progress.loss_sum + watch.total,
            progress.loss_count + watch.count,
        )
        progress.seconds += watch.seconds
        watch.reset()
        row |= {"train/lr": self.optimizer.param_groups[0]["lr"], "epoch": progress.epoch}
        bar.set_postfix(
            loss=f"{row['train/loss']:.4f}", lr=f"{row['train/lr']:.1e}",
            clips=f"{row['train/clips_per_second']:.1f}/s",
        )  # fmt: skip
        self.record.log(row, progress.global_step)

    def end_epoch(self) -> None:
        """Validate, log, and save."""
        started = time.perf_counter()
        predictions, loss = self.evaluate()
        progress = self.progress
        row = {"train/epoch_loss": progress.loss_sum / max(progress.loss_count, 1)}
        improved = False
        if len(predictions):
            metrics = point_metrics(predictions, self.config.valid)
            row |= {"valid/loss": loss} | {f"valid/{name}": value for name, value in metrics.items()}
            improved = metrics["macro_auc"] > progress.best
            progress.best = max(progress.best, metrics["macro_auc"])
        progress.epoch, progress.step, progress.loss_sum, progress.loss_count = progress.epoch + 1, 0, 0.0, 0
        progress.seconds += time.perf_counter() - started
        self.record.log({**row, "epoch": progress.epoch}, progress.global_step, is_epoch=True)
        self.save("last", row)
        if improved:
            self.save("best", row)

    @torch.inference_mode()
    def evaluate(self) -> tuple[pd.DataFrame, float]:
        """Return the predictions of the validated clips (on every process), and the mean loss."""
        model = self.predictor
        probabilities, losses = [], []
        for batch in self.loaders.valid:
            with self.accelerator.autocast():
                output = model(batch.wave.to(self.accelerator.device), self.config.data.num_valid_parts)
            logit = output.clip_logit.float().cpu()
            probabilities.append(torch.sigmoid(logit).numpy())
            losses.append(recording_loss(logit, batch.target, batch.mask, self.config.loss).numpy())
        table = valid_table(self.data, self.loaders.valid_clips, probabilities, losses)
        table = pd.concat(gather_object([table]), ignore_index=True)
        table = table.sort_values(["recording", "start_seconds"], ignore_index=True)
        loss = float(table.pop("loss").mean()) if len(table) else float("nan")
        return table, loss

    # Checkpoints.

    def is_checkpoint_due(self) -> bool:
        """Return whether to save after this step: on schedule, or because the run is asked to stop."""
        every, step = self.config.checkpoint_steps, self.progress.step
        scheduled = every > 0 and step % every == 0 and self.accelerator.sync_gradients
        return scheduled or (self.stop.received is not None and self.accelerator.sync_gradients)

    def save(self, name: str, metrics: dict[str, float]) -> None:
        """Write the checkpoint `name`; only "last" can be continued from."""
        if not self.accelerator.is_main_process:
            return
        folder = self.record.folder
        card = checkpoint.describe(
            self.model,
            self.config,
            run_id=folder.run_id,
            species=self.species,
            scored=self.scored,
            train_counts=self.data.train_counts,
            metrics=metrics,
        )
        weights = self.scored_model.state_dict()
        if name != "last":
            checkpoint.save(folder.checkpoints / name, card, weights)
            return
        self.progress.wandb_id = self.record.wandb_id
        scaler = self.accelerator.scaler
        self.progress.scaler = scaler.state_dict() if scaler is not None else None
        tensors = pack_training(self.model, self.optimizer)
        checkpoint.save(folder.checkpoints / name, card, weights, tensors, self.progress.as_dict())

    def restore(self, folder: Path) -> None:
        """Continue from a checkpoint of this run."""
        tensors, state = checkpoint.load_training(folder)
        weights = checkpoint.load_weights(folder)
        unpack_training(tensors, weights, self.model, self.optimizer, self.average)
        self.progress = Progress(**state)
        if self.accelerator.scaler is not None and self.progress.scaler:
            self.accelerator.scaler.load_state_dict(self.progress.scaler)


def build_accelerator(config: Config) -> Accelerator:
    """Return devices and processes as the configuration asks, whatever `accelerate config` says."""
    accelerator = Accelerator(
        mixed_precision=config.precision,
        gradient_accumulation_steps=config.optim.accumulation,
        log_with="wandb" if config.tracking.use else None,
        step_scheduler_with_optimizer=False,
    )
    if accelerator.device.type == "cpu":
        tune_cpu(accelerator.num_processes)
        if config.precision == "fp16":
            # Accelerate trains float32 then, without a word; torch can do fp16 on a CPU, slowly
            accelerator.native_amp = True
            accelerator.scaler = torch.amp.GradScaler("cpu")
    return accelerator
