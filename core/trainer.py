"""The one training loop, on Hugging Face Accelerate.

An experiment subclasses `Trainer`, says which network it trains, and overrides a hook or two. Every random
decision of a step is drawn from (seed, epoch, step), never from what was drawn before, so that a run that is
killed and resumed ends with the weights of an uninterrupted one.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import GradientAccumulationPlugin, broadcast_object_list, gather_object
from torch import Tensor
from tqdm import tqdm

from core.config import Config
from core.data.clips import Batch, draw_gates
from core.data.competition import Competition
from core.data.decoding import AudioError
from core.data.loaders import Loaders, RunData, build_loaders, open_data, read_recordings
from core.machine import follow_launcher, tune_cpu
from core.models.base import Output, SpeciesModel
from core.run_folder import RunFolder, choose_stamp, open_run_folder
from core.scoring.evaluation import point_metrics
from core.training.augment import Augmentation, Labelled, draw_augmentation
from core.training.losses import smooth_labels, species_loss
from core.training.optim import Optimization
from core.training.run_report import format_advice, format_start, report_group, run_facts
from core.training.state import Checkpoints, Progress
from core.training.stopping import StopSignal
from core.training.tracking import RunRecord
from core.training.validation import Validated, Validation, join_processes
from core.training.watch import LossWatch

_T = TypeVar("_T")


class Trainer:
    """Train and validate one fold.

    A subclass names its network, `model_class`, called as `model_class(config.model, config.features,
    number of species)`, and says whether `draws_examples`, pictures of what it hears; hooks have defaults.

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
    draws_examples: ClassVar[bool] = True

    def __init__(self, config: Config, folder: RunFolder, accelerator: Accelerator) -> None:
        self.config, self.accelerator = config, accelerator
        torch.manual_seed(config.seed)
        competition = self.read_recordings()
        self.species = competition.species
        self.model = self.build_model()  # weights that cannot be had are told before audio is decoded
        with accelerator.main_process_first():
            self.data = self.open_data(competition)
        self.loaders = self.build_loaders()
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimization = Optimization(config, self.model, accelerator)
        self.network = self.optimization.network
        self.validation = Validation(
            config, self.data, self.loaders, accelerator.device, accelerator.autocast
        )
        self.checkpoints = Checkpoints(
            folder, config, self.data, self.model, self.optimization, accelerator.scaler
        )
        self.progress = Progress()
        self.last_validated: Validated | None = None  # of the weights as they are after an epoch
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

    def open_data(self, competition: Competition) -> RunData:
        """Return what the run trains and validates on, decoded."""
        return open_data(self.config, competition, quiet=not self.accelerator.is_main_process)

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
        """Draw a step's augmentation of the log-mels and their labels.

        Parameters
        ----------
        num_main, num_scored
            Clips in the batch: first those of all recordings, then as many with a scored bird, or none.
        gates
            Four uniform numbers of the step, the same on every process; see `draw_augmentation`.
        generator
            CPU generator of this step and process.
        """
        config = self.config
        return draw_augmentation(num_main, num_scored, config.mixup, config.spec_augment, gates, generator)

    def compute_loss(self, output: Output, labels: Labelled) -> Tensor:
        """Return the loss of a batch, a float32 scalar.

        Parameters
        ----------
        output
            Logits of the augmented clips.
        labels
            Theirs, mixed as they are.
        """
        return species_loss(output, labels.target, labels.mask, labels.weight, self.config.loss)

    # The loop.

    @classmethod
    def main(cls, config: Config) -> None:
        """Train the fold of `config`, or every fold in turn; print the table of results."""
        _train_folds(cls, config)

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
        self.progress = self.checkpoints.restore()
        self.record.open(self.data.listed, self.progress.global_step, self.progress.wandb_id)
        machine = f"{self.accelerator.num_processes} x {self.accelerator.device}"
        self.accelerator.print(
            format_start(self.config, self.data, self.model, self.loaders.batches, machine)
        )
        self.accelerator.wait_for_everyone()

    def train_epoch(self, epoch: int) -> None:
        """Train what is left of an epoch."""
        self.network.train()
        progress, batches = self.progress, self.loaders.batches
        batches.start_at(epoch, progress.step)
        watch = LossWatch(progress, self.data.item_names, batches.size)
        bar = tqdm(
            self.loaders.train,
            f"epoch {epoch + 1}/{self.config.epochs}",
            batches.num_steps,
            initial=progress.step,
            unit="step",
            disable=not self.accelerator.is_main_process,
        )
        for batch in bar:
            watch.note_arrival()
            loss = self.train_step(batch, epoch, progress.step)
            progress.step += 1
            row = watch.add(loss, batch.recording)
            if row is None and (self._is_checkpoint_due() or progress.step == batches.num_steps):
                row = watch.read()
            if row is not None:
                self._log_step(row, bar)
            if self._is_checkpoint_due():
                self.save("last", {})
            if self.stop.received and self.accelerator.sync_gradients:
                sys.exit(self.stop.exit_code)

    def train_step(self, batch: Batch, epoch: int, step: int) -> Tensor:
        """Train on one (micro-)batch; return its loss, a detached scalar on the device.

        Parameters
        ----------
        batch
            From the loader, in main memory.
        epoch, step
            Which batch it is; all that is drawn for it depends on them, the seed and the process alone.
        """
        config, device = self.config, self.accelerator.device
        generator = _seed_step(config.seed, epoch, step, self.accelerator.process_index)
        batch = Batch(*(tensor.to(device, non_blocking=True) for tensor in batch))
        labels = self.label(batch)
        num_main = self.loaders.batches.local_size
        with self.accelerator.accumulate(self.network):
            num_scored = len(batch.weight) - num_main
            augment = self.augment(num_main, num_scored, draw_gates(config.seed, epoch, step), generator)
            output = self.network(batch.wave, config.data.num_parts, augment)
            loss = self.compute_loss(output, augment.mix_labels(labels))
            self.accelerator.backward(loss)
            if self.accelerator.sync_gradients:
                self.optimization.step(self.progress.global_step, self.loaders.batches.num_steps)
                self.progress.global_step += 1
        return loss.detach()

    def _log_step(self, row: dict[str, float], bar: "tqdm[Batch]") -> None:
        """Record a `row` of `LossWatch`, and show it in the epoch's progress `bar`."""
        row |= {"train/lr": self.optimization.rate, "epoch": self.progress.epoch}
        bar.set_postfix(
            loss=f"{row['train/loss']:.4f}", lr=f"{row['train/lr']:.1e}",
            clips=f"{row['train/clips_per_second']:.1f}/s",
        )  # fmt: skip
        self.record.log(row, self.progress.global_step)

    def end_epoch(self) -> None:
        """Validate, log, and save."""
        began = time.perf_counter()
        self.last_validated, progress = self.validate(), self.progress
        predictions, soundscapes, _ = self.last_validated
        is_best, row = False, {"train/epoch_loss": progress.epoch_loss}
        main = self.config.valid.main_metric
        if len(predictions):
            metrics = point_metrics(predictions, self.config.valid)
            row |= {"valid/loss": self.last_validated.mean_loss}
            row |= {f"valid/{name}": value for name, value in metrics.items()}
            is_best = progress.note_score(metrics[main])
        if len(soundscapes):
            row[f"valid/soundscape_{main}"] = point_metrics(soundscapes, self.config.valid)[main]
        progress.end_epoch(time.perf_counter() - began)
        self.record.log({**row, "epoch": progress.epoch}, progress.global_step, is_epoch=True)
        self.save("last", row)
        if is_best:
            self.save("best", row)

    def validate(self) -> Validated:
        """Return the predictions of all validated clips and windows, on every process."""
        return join_processes(gather_object([self.validation.predict(self.scored_model)]))

    def finish(self) -> None:
        """Score the last weights with intervals, and record everything."""
        validated = self.last_validated or self.validate()  # none yet: killed after its last epoch
        pictures = {}
        if self.draws_examples and self.accelerator.is_main_process and len(validated.recordings):
            file = self.record.folder.path / "spectrograms.png"
            pictures["spectrograms"] = self.validation.draw_examples(self.scored_model, file)
        facts = run_facts(self.config, self.data, self.model, self.progress)
        self.record.report(validated, self.data.competition.taxonomy, facts, pictures)

    # Checkpoints.

    @property
    def scored_model(self) -> SpeciesModel:
        """The network whose weights are scored and saved: the moving average where there is one."""
        return self.optimization.scored_model

    def _is_checkpoint_due(self) -> bool:
        """Return whether to save after this step: on schedule, or because the run is asked to stop."""
        every, step = self.config.checkpoint_steps, self.progress.step
        scheduled = every > 0 and step % every == 0
        return (scheduled or self.stop.received is not None) and self.accelerator.sync_gradients

    def save(self, name: Literal["last", "best"], metrics: dict[str, float]) -> None:
        """Write a checkpoint, with the validation `metrics` of its weights in its card."""
        if self.accelerator.is_main_process:
            self.progress.wandb_id = self.record.wandb_id
            self.checkpoints.write(name, self.progress, metrics)


def _train_folds(trainer_class: type[Trainer], config: Config) -> None:
    """Train what `config` asks for and is not finished yet; print the table of a group of folds."""
    follow_launcher()
    accelerator = _told(build_accelerator, config)
    stamp = broadcast_object_list([choose_stamp(config)])[0]
    is_main = accelerator.is_main_process
    folders: list[RunFolder] = []
    for fold_config in _fold_configs(config):
        folder = open_run_folder(fold_config, stamp, create=False)
        if not folder.is_finished:
            trainer = _told(trainer_class, fold_config, folder, accelerator)
            if is_main:  # a run that cannot start leaves no folder
                for started in (config, fold_config):
                    open_run_folder(started, stamp, create=True)
            if not folders:
                accelerator.print(format_advice(config, len(trainer.data.train)), end="")
            _fit(trainer)
            accelerator.free_memory()
        folders.append(folder)
    if is_main and (config.data.fold == "all" or config.resume):
        report_group(config, folders, stamp)
    accelerator.end_training()


def _told(build: Callable[..., _T], *arguments: Any) -> _T:
    """Return what `build` makes; a person's mistake is told in a line and exits with status 2."""
    try:
        return build(*arguments)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _fit(trainer: Trainer) -> None:
    """Train; a recording that can no longer be read is told in a line, with status 2."""
    try:
        trainer.fit()
    except AudioError as error:
        told = str(error).strip().rpartition("\n")[2].rpartition("AudioError: ")[2]  # a worker tells more
        print(f"error: {told}; restore it, then continue with --resume", file=sys.stderr)
        sys.exit(2)


def _fold_configs(config: Config) -> list[Config]:
    """Return the configuration of each fold to train: one, or all folds where `data.fold` is "all"."""
    folds = list(range(config.data.num_folds)) if config.data.fold == "all" else [config.data.fold]
    return [replace(config, data=replace(config.data, fold=fold)) for fold in folds]


def _seed_step(seed: int, epoch: int, step: int, process: int) -> torch.Generator:
    """Seed dropout for one step of one process, and return a CPU generator for its augmentation."""
    words = np.random.SeedSequence([seed, epoch, step, process]).generate_state(2, np.uint64)
    torch.manual_seed(int(words[0] >> 1))
    return torch.Generator().manual_seed(int(words[1] >> 1))


def build_accelerator(config: Config) -> Accelerator:
    """Return devices and processes as the configuration asks, whatever `accelerate config` says.

    Raises
    ------
    ValueError
        If several processes were launched that Accelerate would let train the same thing, each alone.
    """
    accelerator = Accelerator(
        mixed_precision=config.precision,
        # as a plugin: the variable ACCELERATE_GRADIENT_ACCUMULATION_STEPS would win over a plain number
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=config.optim.accumulation),
        log_with="wandb" if config.tracking.use else None,
        step_scheduler_with_optimizer=False,
    )
    launched, found = os.environ.get("WORLD_SIZE", "1"), accelerator.num_processes
    if launched != str(found):
        if os.environ.get("RANK", "0") != "0":
            sys.exit(2)  # the first process tells
        message = (
            f"{launched} processes were launched, Accelerate runs {found} x {accelerator.device.type}: "
            "launch one, or as many as there are GPUs, or set ACCELERATE_USE_CPU=true for processes on CPUs"
        )
        raise ValueError(message)
    if accelerator.device.type == "cpu":
        tune_cpu(accelerator.num_processes)
        if config.precision == "fp16":
            # Accelerate trains float32 then, without a word; torch can do fp16 on a CPU, slowly
            accelerator.native_amp = True
            accelerator.scaler = torch.amp.GradScaler("cpu")
    return accelerator
