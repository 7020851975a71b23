"""A run in Weights & Biases.

A run is online when a key is configured and the server answers; otherwise it is recorded offline, with one
line that says how to upload it. `WANDB_MODE` decides if it is set. A resumed run that was offline is
recorded anew from its `metrics.jsonl`, so that one `wandb sync` uploads the whole of it, each row once.
"""

import os
import shutil
import socket
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import soundfile
from sklearn.metrics import precision_recall_curve, roc_curve

from core.config_values import flatten
from core.scoring.predictions import Predictions
from core.training.state import Progress
from core.training.trackers import Shown, Tracker
from core.trial_failure import INIT_SECONDS, note_opened

ANSWER_SECONDS = 3.0
FINISH_SECONDS = 120.0
MAX_CURVES, MAX_POINTS = 25, 100
PROJECT_ROOT = Path(__file__).parents[2]


class WandbRun(Tracker):
    """The W&B run of one training."""

    @property
    def run_id(self) -> str | None:
        """W&B's own id of the run."""
        return str(self._run.id) if self.is_active else None

    @property
    def _run(self) -> Any:
        return self.opened.tracker

    def start(self, progress: Progress) -> None:
        """Open the run, or go on with that of `progress`; on failure fall back to offline, or nothing."""
        chosen: list[str] = []
        if not self._attempt(lambda: chosen.extend(choose_mode())):
            return
        mode, reason = chosen
        if not self._start(mode, progress.tracker_id) and mode == "online":
            mode, reason = "offline", "the server refused"
            self._start(mode, progress.tracker_id)
        if self.is_active and mode == "offline":
            where = Path(self._run.dir).parent
            print(f"W&B: offline ({reason}). Upload later with: wandb sync {where}", flush=True)

    def _start(self, mode: str, resumed_id: str | None) -> bool:
        import wandb

        tracking = self.config.tracking
        arguments = {
            "mode": mode,
            "dir": str(self.folder.path),
            "name": self.folder.run_id,
            "group": os.environ.get("WANDB_RUN_GROUP", self.folder.stamp),
            "job_type": self.config.name,
            "tags": tracking.tags,
            "notes": tracking.notes,
            "entity": tracking.entity,
            "settings": wandb.Settings(
                init_timeout=INIT_SECONDS, finish_timeout=FINISH_SECONDS, silent=True, save_code=tracking.code
            ),
        }
        if resumed_id is not None:
            arguments |= {"id": resumed_id, "resume": "allow"}
        opened = self._attempt(lambda: self._open(**arguments))
        self.is_active = opened and mode != "disabled"
        if self.is_active:
            self._attempt(self._prepare)
        return opened

    def _prepare(self) -> None:
        """Draw every number over optimiser steps, and keep the code where that is asked for."""
        note_opened(str(self._run.id))
        self._run.define_metric("*", step_metric="global_step")
        if self.config.tracking.code:
            self._run.log_code(str(PROJECT_ROOT))

    @property
    def _settings(self) -> dict[str, Any]:
        return flatten(self.config)

    def log(self, row: dict[str, Any], place: int) -> None:
        """Log a row of numbers; `place` is its number in the run, the step of W&B."""
        if self.is_active:
            self._attempt(lambda: self._run.log(row, step=place))

    def replay(self, rows: Sequence[dict[str, Any]], outdated: Sequence[Path]) -> None:
        """Log again what an interrupted run's record lacks, and delete its `outdated` offline records."""
        if not self.is_active:
            return
        first = self._run.starting_step
        for place, row in enumerate(rows):
            if place >= first:
                self.log(row, place)
        if self.is_active:
            for record in outdated:
                shutil.rmtree(record, ignore_errors=True)

    def _show(self, shown: Shown) -> None:
        import wandb

        panels: dict[str, Any] = {name: wandb.Image(str(path)) for name, path in shown.pictures.items()}
        if shown.evaluation is not None:
            table = shown.evaluation.per_species
            panels["species_table"] = wandb.Table(columns=list(table.columns), data=table.to_numpy().tolist())
        if shown.predictions is not None:
            panels |= _curves(shown.predictions)
        with tempfile.TemporaryDirectory() as folder:
            if shown.sounds and self.config.tracking.audio:
                panels["audio"] = self._audio(shown.sounds, Path(folder))
            self._run.log(panels)
        self._run.summary.update(shown.numbers)
        if self.config.tracking.checkpoint:
            self._keep_checkpoint(shown.numbers)

    def _audio(self, sounds: Mapping[str, np.ndarray], folder: Path) -> list[Any]:
        """Return clips to listen to, compressed without loss."""
        import wandb

        heard = []
        for number, (title, wave) in enumerate(sounds.items()):
            file = folder / f"{number}.flac"
            soundfile.write(file, wave, self.config.features.sample_rate)
            heard.append(wandb.Audio(str(file), caption=title))
        return heard

    def _keep_checkpoint(self, numbers: Mapping[str, float]) -> None:
        """Upload the best checkpoint with the scores of the run."""
        import wandb

        best = self.folder.checkpoints / "best"
        artifact = wandb.Artifact(f"{self.config.name}-{self.folder.run_id}", "model", metadata=dict(numbers))
        artifact.add_dir(str(best))
        self._run.log_artifact(artifact, aliases=["best"])

    def _close(self, exit_code: int, error: str | None) -> None:
        if error:
            self._run.summary["error"] = error
        self._run.finish(exit_code=exit_code)


def _curves(predictions: Predictions) -> dict[str, Any]:
    """Return precision over recall and the ROC of single species, as charts that answer to the mouse."""
    import wandb

    positives = (predictions.truth == 1).sum(axis=0)
    order = np.argsort(-positives, kind="stable")
    usable = [column for column in order if 0 < positives[column] < len(predictions)]
    drawn = usable[:MAX_CURVES]
    among = "" if len(drawn) == len(usable) else f", the {MAX_CURVES} most frequent of {len(usable)} species"
    precision_recall, roc = [], []
    for column in drawn:
        known = predictions.known[:, column]
        truth, probability = predictions.truth[known, column], predictions.probability[known, column]
        precision, recall, _ = precision_recall_curve(truth, probability)
        false_rate, true_rate, _ = roc_curve(truth, probability)
        precision_recall.append((_thinned(recall), _thinned(precision)))
        roc.append((_thinned(false_rate), _thinned(true_rate)))
    names = [predictions.species[column] for column in drawn]
    if not names:
        return {}
    charts = {
        "precision_recall": (precision_recall, "Precision over recall", "recall"),
        "roc": (roc, "ROC", "false positive rate"),
    }
    return {
        name: wandb.plot.line_series(
            [x for x, _ in curves], [y for _, y in curves], names, f"{title}{among}", axis
        )
        for name, (curves, title, axis) in charts.items()
    }


def _thinned(values: np.ndarray) -> list[float]:
    """Return at most `MAX_POINTS` of the points of a curve, its ends among them."""
    chosen = np.linspace(0, len(values) - 1, min(len(values), MAX_POINTS)).round().astype(int)
    return [float(value) for value in values[chosen]]


def offline_records(folder: Path) -> list[Path]:
    """Return the offline records in a run's folder that no `wandb sync` has uploaded yet."""
    records = sorted(folder.glob("wandb/offline-run-*"))
    return [record for record in records if not list(record.glob("*.wandb.synced"))]


def choose_mode() -> tuple[str, str]:
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
