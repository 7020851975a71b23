"""Records a run while it trains: in its folder always, and in a tracker of Accelerate if it can be.

Weights & Biases is the tracker unless another is asked for (`--tracking.with=tensorboard`).
"""

import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from accelerate import Accelerator
from tqdm import tqdm

from core.config import Config
from core.data.taxonomy import Taxonomy
from core.files import write_table
from core.machine import describe_environment
from core.program import describe_error
from core.run_folder import UNFINISHED, RunFolder
from core.scoring.evaluation import Evaluation
from core.training.pinned import ITEMS
from core.training.run_report import report_run
from core.training.state import Progress
from core.training.trackers import Shown, Tracker
from core.training.validation import Validated
from core.training.wandb_run import WandbRun, offline_records

SPEED = "train/clips_per_second"


class RunRecord:
    """The record of one training, in its folder and in W&B; written by the main process alone."""

    def __init__(self, config: Config, folder: RunFolder, accelerator: Accelerator) -> None:
        self.config, self.folder, self.accelerator = config, folder, accelerator
        kind = WandbRun if config.tracking.log_with == "wandb" else Tracker
        self.tracker: Tracker = kind(config, folder)
        self.progress = Progress()

    @property
    def tracker_id(self) -> str | None:
        """The tracker's own id of the run; a resumed run continues it."""
        return self.tracker.run_id

    def open(self, listed: pd.DataFrame, items: pd.DataFrame, progress: Progress) -> None:
        """Write what is known before the first step; drop what was logged after the checkpoint.

        Parameters
        ----------
        listed
            Audio that is unusable, damaged or odd, see `RunData`.
        items
            From `core.training.pinned.describe_items`.
        progress
            Where the run starts, or the checkpoint that it continues from.
        """
        self.progress = progress
        if not self.accelerator.is_main_process:
            return
        folder = self.folder
        write_table(items, folder.path / ITEMS)
        folder.write_json("environment", describe_environment(self.accelerator.device))
        write_table(listed, folder.path / "bad_files.csv")
        if len(listed):
            bad, damaged, odd = ((listed["status"] == one).sum() for one in ("unusable", "damaged", "odd"))
            print(
                f"{bad} files cannot be used, {damaged} are damaged and used as far as they can be decoded, "
                f"{odd} are odd, see {folder.path / 'bad_files.csv'}"
            )
        folder.rewind(progress.num_rows)
        outdated = offline_records(folder.path)
        self._start_tracker(progress)
        self.tracker.replay(folder.history(), outdated)

    def _start_tracker(self, progress: Progress) -> None:
        if self.config.tracking.use and self.accelerator.is_main_process:
            self.tracker.start(progress)

    def log(self, row: dict[str, Any], global_step: int, *, is_epoch: bool = False) -> None:
        """Record a row of numbers after `global_step` optimiser steps; that of an epoch is printed too."""
        if not self.accelerator.is_main_process:
            return
        row = {**row, "global_step": global_step}
        self.folder.log(row)
        self.tracker.log(row, self.progress.num_rows)
        self.progress.num_rows += 1
        if is_epoch:
            tqdm.write("  ".join(f"{name} {value:.4g}" for name, value in row.items()))

    def report(
        self,
        validated: Validated,
        taxonomy: Taxonomy,
        facts: dict[str, Any],
        pictures: Mapping[str, Callable[[Path], object]],
        sounds: Mapping[str, np.ndarray],
    ) -> None:
        """Write and print the results, and show them in the tracker.

        Parameters
        ----------
        validated
            By the last weights.
        taxonomy
            Names of species.
        facts
            Of `core.training.run_report.run_facts`.
        pictures
            Name -> what draws it into a file, beside those of `core.training.run_report`.
        sounds
            Title -> wave of clips to listen to.
        """
        if not self.accelerator.is_main_process:
            return
        speeds = [row[SPEED] for row in self.folder.history() if row.get(SPEED) is not None]
        facts = facts | {"clips_per_second": statistics.median(speeds) if speeds else None}
        facts |= self._best_epoch()
        evaluation, drawn = report_run(self.config, self.folder, validated, taxonomy, facts, pictures)
        recordings = validated.recordings if len(validated.recordings) else None
        self.tracker.show(
            Shown(evaluation=evaluation, predictions=recordings, facts=facts, pictures=drawn, sounds=sounds)
        )

    def _best_epoch(self) -> dict[str, Any]:
        """Return the epoch, counted from 1, whose checkpoint is the best; nothing where none was judged."""
        name = f"valid/{self.config.valid.main_metric}"
        scores = {row["epoch"]: row[name] for row in self.folder.history() if row.get(name) is not None}
        return {"best_epoch": max(scores, key=scores.__getitem__)} if scores else {}

    def close(self, error: BaseException | None = None) -> None:
        """End the tracker's run, as failed if an error ended the training; else the run is finished."""
        code = getattr(error, "code", None)
        failed = code if isinstance(code, int) and code else 1
        told = None if error is None or isinstance(error, SystemExit) else describe_error(error)
        self.tracker.finish(exit_code=0 if error is None else failed, error=told)
        if error is None and self.accelerator.is_main_process:
            summary = self.folder.read_json("summary")
            summary.pop(UNFINISHED)
            self.folder.write_json("summary", summary)

    def publish(self, evaluation: Evaluation) -> None:
        """Record what the folds of a group say together as a run of its own in the tracker."""
        self._start_tracker(Progress())
        self.tracker.show(Shown(evaluation=evaluation))
        self.tracker.finish()
