"""Records a run while it trains: in its folder always, in Weights & Biases through Accelerate if it can be.

A run is online when a key is configured and the server answers; otherwise it is recorded offline, with one
line that says how to upload it. `WANDB_MODE` decides if it is set. Whatever W&B raises is reported once and
the training goes on; the record in the run's folder does not depend on it. A resumed run that was offline is
recorded anew from its `metrics.jsonl`, so that one `wandb sync` uploads the whole of it, each row once.
"""

import os
import shutil
import socket
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
from accelerate import Accelerator
from tqdm import tqdm

from core.config import Config
from core.config_values import flatten
from core.data.taxonomy import Taxonomy
from core.files import write_table
from core.machine import describe_environment
from core.run_folder import RunFolder
from core.scoring.evaluation import Evaluation
from core.training.run_report import report_run
from core.training.validation import Validated

ANSWER_SECONDS = 3.0
INIT_SECONDS = 30.0
FINISH_SECONDS = 120.0
SPEED = "train/clips_per_second"
COSTS = ("clips_per_second", "minutes", "parameters")
"""Facts that a sweep's score is drawn against."""


class RunRecord:
    """The record of one training, in its folder and in W&B; written by the main process alone."""

    def __init__(self, config: Config, folder: RunFolder, accelerator: Accelerator) -> None:
        self.config, self.folder, self.accelerator = config, folder, accelerator
        self.tracker = _Tracker(accelerator)

    @property
    def wandb_id(self) -> str | None:
        """W&B's own id of the run; a resumed run continues it."""
        return self.tracker.wandb_id

    def open(self, listed: pd.DataFrame, global_step: int, wandb_id: str | None) -> None:
        """Write what is known before the first step; drop what was logged after `global_step`.

        Parameters
        ----------
        listed
            Audio that is unusable, damaged or odd, see `RunData`.
        global_step
            Optimiser steps done: 0, or those of the checkpoint that the run continues from.
        wandb_id
            W&B's id of the run that is continued; None: a new one.
        """
        if not self.accelerator.is_main_process:
            return
        folder = self.folder
        folder.write_json("environment", describe_environment(self.accelerator.device))
        write_table(listed, folder.path / "bad_files.csv")
        if len(listed):
            bad, damaged, odd = ((listed["status"] == one).sum() for one in ("unusable", "damaged", "odd"))
            print(
                f"{bad} files cannot be used, {damaged} are damaged and used as far as they can be decoded, "
                f"{odd} are odd, see {folder.path / 'bad_files.csv'}"
            )
        folder.rewind(global_step)
        outdated = offline_records(folder.path)
        self.tracker.start(self.config, folder, wandb_id)
        if outdated:
            self.tracker.replay(folder.history(), outdated)

    def log(self, row: dict[str, Any], global_step: int, *, is_epoch: bool = False) -> None:
        """Record a row of numbers after `global_step` optimiser steps; that of an epoch is printed too."""
        if not self.accelerator.is_main_process:
            return
        row = {**row, "global_step": global_step}
        self.folder.log(row)
        self.tracker.log(row, global_step)
        if is_epoch:
            tqdm.write("  ".join(f"{name} {value:.4g}" for name, value in row.items()))

    def report(
        self, validated: Validated, taxonomy: Taxonomy, facts: dict[str, Any], pictures: dict[str, Path]
    ) -> None:
        """Write and print the results, and show them in W&B.

        Parameters
        ----------
        validated
            By the last weights.
        taxonomy
            Names of species.
        facts
            Of `core.training.run_report.run_facts`.
        pictures
            Name -> file of pictures beside those of `core.training.run_report`.
        """
        if not self.accelerator.is_main_process:
            return
        speeds = [row[SPEED] for row in self.folder.history() if row.get(SPEED) is not None]
        facts = facts | {"clips_per_second": statistics.median(speeds) if speeds else None}
        evaluation, drawn = report_run(self.config, self.folder, validated, taxonomy, facts)
        self.tracker.show(evaluation, facts, pictures | drawn)

    def close(self, error: BaseException | None = None) -> None:
        """End the W&B run, as failed if an error ended the training."""
        code = getattr(error, "code", None)
        failed = code if isinstance(code, int) and code else 1
        self.tracker.finish(exit_code=0 if error is None else failed)


class _Tracker:
    """The W&B run of one training."""

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self.is_active = False

    def start(self, config: Config, folder: RunFolder, resumed_id: str | None) -> None:
        """Open the run, or go on with that of `resumed_id`; on failure fall back to offline, or nothing."""
        if not config.tracking.use or not self.accelerator.is_main_process:
            return
        chosen: list[str] = []
        if not self._attempt(lambda: chosen.extend(_choose_mode())):
            return
        mode, reason = chosen
        if not self._open(config, folder, mode, resumed_id) and mode == "online":
            mode, reason = "offline", "the server refused"
            self._open(config, folder, mode, resumed_id)
        if self.is_active and mode == "offline":
            where = Path(self._run.dir).parent
            print(f"W&B: offline ({reason}). Upload later with: wandb sync {where}", flush=True)

    @property
    def wandb_id(self) -> str | None:
        """W&B's own id of the run; a resumed run continues it."""
        return str(self._run.id) if self.is_active else None

    @property
    def _run(self) -> Any:
        return self.accelerator.get_tracker("wandb", unwrap=True)

    def log(self, row: dict[str, Any], global_step: int) -> None:
        """Log a row of numbers."""
        if self.is_active:
            self._attempt(lambda: self._run.log(row, step=global_step))

    def replay(self, rows: Sequence[dict[str, Any]], outdated: Sequence[Path]) -> None:
        """Log the rows of an interrupted run again, and delete its `outdated` offline records."""
        for row in rows:
            self.log(row, row["global_step"])
        if self.is_active:
            for record in outdated:
                shutil.rmtree(record, ignore_errors=True)

    def show(self, evaluation: Evaluation | None, facts: dict[str, Any], pictures: dict[str, Path]) -> None:
        """Log pictures and the table of species, and set the numbers that sweeps optimise."""
        if self.is_active:
            self._attempt(lambda: self._show(evaluation, facts, pictures))

    def _show(self, evaluation: Evaluation | None, facts: dict[str, Any], pictures: dict[str, Path]) -> None:
        import wandb

        step = facts["global_step"]
        self._run.log({name: wandb.Image(str(path)) for name, path in pictures.items()}, step=step)
        numbers = {name: facts[name] for name in COSTS}
        if evaluation is not None:
            table = evaluation.per_species
            shown = wandb.Table(columns=list(table.columns), data=table.to_numpy().tolist())
            self._run.log({"species": shown}, step=step)
            for name, interval in evaluation.metrics.items():
                bounds = {"": interval.value, "_low": interval.low, "_high": interval.high}
                numbers |= {f"valid/{name}{end}": number for end, number in bounds.items()}
        self._run.summary.update(numbers)

    def finish(self, exit_code: int = 0) -> None:
        """Close the run, as failed unless `exit_code` is 0; wait a bounded time for uploads."""
        if self.is_active:
            self._attempt(lambda: self._run.finish(exit_code=exit_code))
            self.is_active = False

    def _open(self, config: Config, folder: RunFolder, mode: str, resumed_id: str | None) -> bool:
        import wandb

        arguments = {
            "mode": mode,
            "dir": str(folder.path),
            "name": folder.run_id,
            "group": os.environ.get("WANDB_RUN_GROUP", folder.stamp),
            "job_type": config.name,
            "tags": config.tracking.tags,
            "entity": config.tracking.entity,
            "settings": wandb.Settings(init_timeout=INIT_SECONDS, finish_timeout=FINISH_SECONDS, silent=True),
        }
        if resumed_id is not None:
            arguments |= {"id": resumed_id, "resume": "allow"}
        opened = self._attempt(
            lambda: self.accelerator.init_trackers(
                config.tracking.project, config=flatten(config), init_kwargs={"wandb": arguments}
            )
        )
        if not opened:  # or Accelerate would start the broken tracker again, and close it at the end
            self.accelerator.trackers.clear()
        self.is_active = opened and mode != "disabled"
        if self.is_active:
            self._attempt(lambda: self._run.define_metric("*", step_metric="global_step"))
        return opened

    def _attempt(self, action: Callable[[], Any]) -> bool:
        """Run what may fail for reasons that are not ours; say so in a line and go on without W&B."""
        try:
            action()
        except Exception as error:
            self.is_active = False
            reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
            print(f"W&B: {reason}. Training goes on without it.", file=sys.stderr)
            return False
        return True


def offline_records(folder: Path) -> list[Path]:
    """Return the offline records in a run's folder that no `wandb sync` has uploaded yet."""
    records = sorted(folder.glob("wandb/offline-run-*"))
    return [record for record in records if not list(record.glob("*.wandb.synced"))]


def _choose_mode() -> tuple[str, str]:
    """Return W&B's mode and, for "offline", why."""
    given = os.environ.get("WANDB_MODE")
    if given:
        return given, f"WANDB_MODE={given}"
    import wandb
    from requests.utils import get_netrc_auth  # comes with wandb

    settings = wandb.setup().settings
    if settings.mode in {"offline", "disabled", "dryrun"}:
        return "offline" if settings.mode == "dryrun" else settings.mode, "as configured by `wandb offline`"
    if not settings.api_key and get_netrc_auth(settings.base_url) is None:
        return "offline", "no API key; `wandb login` once to record online"
    if not _is_reachable(settings.base_url):
        return "offline", f"{settings.base_url} does not answer"
    return "online", ""


def _is_reachable(url: str) -> bool:
    """Return whether something accepts connections at the server's address."""
    parts = urlsplit(url)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    if os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy"):
        return True  # only the proxy knows
    try:
        socket.create_connection((str(parts.hostname), port), timeout=ANSWER_SECONDS).close()
    except OSError:
        return False
    return True
