"""The one training loop, on Hugging Face Accelerate.

An experiment subclasses `Trainer`, says which network it trains, and overrides a hook or two. Every random
decision of a step is drawn from (seed, epoch, step), never from what was drawn before, so that a run that is
killed and resumed ends with the weights of an uninterrupted one.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

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
from core.program import telling_mistakes
from core.run_folder import RunFolder, choose_stamp, open_run_folder
from core.scoring.evaluation import point_metrics
from core.training.augment import Augmentation, Labelled, draw_augmentation, mix_noise
from core.training.losses import smooth_labels, species_loss
from core.training.optim import Optimization
from core.training.pinned import describe_items, refuse_changed_items
from core.training.profiling import marked, part_of_step, profiled_steps
from core.training.run_report import format_advice, format_start, report_group, run_facts
from core.training.sending import send_batch, sent_ahead
from core.training.state import Checkpoints, Progress
from core.training.stopping import StopSignal
from core.training.tracking import RunRecord
from core.training.validation import Validated, Validation, join_processes
from core.training.watch import LOG_STEPS, LossWatch


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
        self.items = describe_items(self.data, accelerator.num_processes)
        refuse_changed_items(folder, self.items)
        self.stop = StopSignal()
        self.stop_steps = 1 if accelerator.device.type == "cpu" else LOG_STEPS  # a GPU is not held up

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
        """Return the loss of each clip of a batch, (clip,) float32; `labels.weight` weighs them afterwards.

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
        launch(config, partial(train_folds, cls))

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
        with self.accelerator.main_process_first():
            self.progress = self.checkpoints.restore()
        self.record.open(self.data.listed, self.items, self.progress)
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
        watch = LossWatch(progress, self.data.item_names, batches.size, self.optimization)
        bar = tqdm(
            sent_ahead(self.loaders.train, self.accelerator.device),
            f"epoch {epoch + 1}/{self.config.epochs}",
            batches.num_steps,
            initial=progress.step,
            unit="step",
            disable=not self.accelerator.is_main_process,
        )
        is_profiled = self.config.profile and epoch == 0 and self.accelerator.is_main_process
        for batch in profiled_steps(bar, is_profiled, self.record.folder.path, self.model.front_end):
            watch.note_arrival()
            sums = self.train_step(batch, epoch, progress.step)
            progress.step += 1
            if progress.step % self.stop_steps == 0:
                self.stop.agreed = _greatest(self.stop.received or 0, self.accelerator) or None
            is_synced, every = self.accelerator.sync_gradients, self.config.checkpoint_steps
            is_scheduled = is_synced and every > 0 and progress.step % every == 0
            is_stopped = is_synced and self.stop.agreed is not None
            is_due = is_scheduled or progress.step == batches.num_steps
            row = watch.add(sums, batch.recording, is_due=is_due, is_stopped=is_stopped)
            if row is not None:
                self._log_step(row, bar)
            if is_scheduled or is_stopped:
                self.save("last", {})
            if is_stopped:
                sys.exit(self.stop.exit_code)

    def train_step(self, batch: Batch, epoch: int, step: int) -> Tensor:
        """Train on one (micro-)batch; return the sums of its weighted losses and of its weights, (2,).

        Parameters
        ----------
        batch
            From the loader, in main memory or on the device.
        epoch, step
            Which batch it is; all that is drawn for it depends on them, the seed and the process alone.
        """
        config, device = self.config, self.accelerator.device
        generator = _seed_step(config.seed, epoch, step, self.accelerator.process_index)
        batch = _moved(batch, device)
        labels = self.label(batch)
        num_main = self.loaders.batches.local_size
        with self.accelerator.accumulate(self.network):
            num_scored = len(batch.weight) - num_main
            augment = self.augment(num_main, num_scored, draw_gates(config.seed, epoch, step), generator)
            with part_of_step("forward"):
                output = self.network(batch.wave, config.data.num_parts, marked("augment", augment))
            with part_of_step("loss"):
                labels = augment.mix_labels(labels)
                losses = self.compute_loss(output, labels)
            sums = self.optimization.backward(losses, labels.weight)
            if self.accelerator.sync_gradients:
                self.optimization.step(self.progress.global_step, self.loaders.batches.num_steps)
                self.progress.global_step += 1
        return sums

    def _log_step(self, row: dict[str, float], bar: "tqdm[Batch]") -> None:
        """Record a `row` of `LossWatch`, and show it in the epoch's progress `bar`."""
        row |= {"train/lr": self.optimization.rate, "epoch": self.progress.epoch}
        speed = f"{row['train/clips_per_second']:.1f}/s"
        bar.set_postfix(loss=f"{row['train/loss']:.4f}", lr=f"{row['train/lr']:.1e}", clips=speed)
        self.record.log(row, self.progress.global_step)

    def end_epoch(self) -> None:
        """Validate, log, and save: the best first, since a run that goes on from the last is past it."""
        began = time.perf_counter()
        self.optimization.end_epoch(self.progress.epoch)
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
        if is_best:
            self.save("best", row)
        self.save("last", row)

    def validate(self) -> Validated:
        """Return the predictions of all validated clips and windows, on every process."""
        self.optimization.share()
        return join_processes(gather_object([self.validation.predict(self.scored_model)]))

    def finish(self) -> None:
        """Score the last weights with intervals, and record everything."""
        validated = self.last_validated or self.validate()  # none yet: killed after its last epoch
        pictures: dict[str, Callable[[Path], object]] = {}
        sounds: dict[str, np.ndarray] = {}
        if self.draws_examples and len(validated.recordings):
            pictures["spectrograms"] = lambda file: self.validation.draw_examples(self.scored_model, file)
            sounds = self.validation.example_sounds()
        facts = run_facts(self.config, self.data, self.model, self.progress)
        self.record.report(validated, self.data.competition.taxonomy, facts, pictures, sounds)

    # Checkpoints.

    @property
    def scored_model(self) -> SpeciesModel:
        """The network whose weights are scored and saved: their average where there is one."""
        return self.optimization.scored_model

    def save(self, name: Literal["last", "best"], metrics: dict[str, float]) -> None:
        """Write a checkpoint, with the validation `metrics` of its weights in its card."""
        if self.accelerator.is_main_process:
            self.progress.tracker_id = self.record.tracker_id
            self.checkpoints.write(name, self.progress, metrics)


def launch(config: Any, train: Callable[[Any, Accelerator], object]) -> None:
    """Train with devices and processes as the configuration asks; a person's mistake ends with status 2."""
    follow_launcher()
    with telling_mistakes():
        _refuse_folds_in_a_trial(config)
        accelerator = build_accelerator(config)
    train(config, accelerator)
    accelerator.end_training()


def train_folds(trainer_class: type[Trainer], config: Config, accelerator: Accelerator) -> RunFolder:
    """Train what is not finished yet; print the table of a group of folds, return the folder of all.

    Parameters
    ----------
    trainer_class
        What trains a fold.
    config
        Which fold, or all of them.
    accelerator
        From `build_accelerator`.
    """
    with telling_mistakes():
        stamp = broadcast_object_list([choose_stamp(config)])[0]
    is_main = accelerator.is_main_process
    folders: list[RunFolder] = []
    evaluation, is_new = None, False
    for fold_config in _fold_configs(config):
        folder = open_run_folder(fold_config, stamp, create=False)
        if not folder.is_finished:
            with telling_mistakes():
                trainer = trainer_class(fold_config, folder, accelerator)
            if is_main:  # a run that cannot start leaves no folder
                for started in (config, fold_config):
                    open_run_folder(started, stamp, create=True)
            if not folders:
                accelerator.print(format_advice(config, len(trainer.data.train)), end="")
            with telling_mistakes():
                _fit(trainer)
            is_new = True
            accelerator.free_memory()
        folders.append(folder)
    if is_main and (config.data.fold == "all" or not is_new):
        evaluation = report_group(config, folders, stamp)
        if evaluation and is_new:
            RunRecord(config, open_run_folder(config, stamp, create=False), accelerator).publish(evaluation)
    return open_run_folder(config, stamp, create=False)


def _refuse_folds_in_a_trial(config: Config) -> None:
    """Raise `ValueError` where all folds would be recorded as the one run of a W&B trial."""
    if config.data.fold == "all" and os.environ.get("WANDB_SWEEP_ID"):
        message = "data.fold=all: a trial of a sweep is one run; give data.fold the values [0, 1, 2, 3, 4]"
        raise ValueError(message)


def _fit(trainer: Trainer) -> None:
    """Train, alone in the run's folder; `ValueError` for what a person can mend, such as a lost recording."""
    is_main = trainer.accelerator.is_main_process
    try:
        with trainer.record.folder.held() if is_main else nullcontext():
            trainer.fit()
    except AudioError as error:
        message = f"{error}; restore it, then continue with --resume"
        raise ValueError(message) from error
    except FloatingPointError as error:
        raise ValueError(*error.args) from error
    except torch.OutOfMemoryError as error:
        config = trainer.config
        message = (
            f"data.batch_size={config.data.batch_size}: {trainer.accelerator.device} has too little memory; "
            f"--optim.accumulation={2 * config.optim.accumulation} halves what it holds at a time, and "
            "--model.recompute=True keeps less of it"
        )
        raise ValueError(message) from error


def _fold_configs(config: Config) -> list[Config]:
    """Return the configuration of each fold to train: one, or all folds where `data.fold` is "all"."""
    folds = list(range(config.data.num_folds)) if config.data.fold == "all" else [config.data.fold]
    return [replace(config, data=replace(config.data, fold=fold)) for fold in folds]


def _moved(batch: Batch, device: torch.device) -> Batch:
    """Return a batch on a device, its noise mixed in."""
    batch = send_batch(batch, device)
    if not batch.noise:
        return batch
    with part_of_step("noise"):
        return batch._replace(wave=mix_noise(batch.wave, batch.noise))


def _greatest(number: int, accelerator: Accelerator) -> int:
    """Return the greatest of the numbers of all processes."""
    if accelerator.num_processes == 1:
        return number
    told = torch.tensor(number, device=accelerator.device)
    torch.distributed.all_reduce(told, torch.distributed.ReduceOp.MAX)
    return int(told)


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
    tune_cpu(accelerator.num_processes)
    if accelerator.device.type == "cpu" and config.precision == "fp16":
        # Accelerate trains float32 then, without a word; torch can do fp16 on a CPU, slowly
        accelerator.native_amp = True
        accelerator.scaler = torch.amp.GradScaler("cpu")
    return accelerator
