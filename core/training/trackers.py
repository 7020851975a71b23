"""What every tracker shows of a run, and a run in TensorBoard, MLflow or trackio, through Accelerate.

A tracker gets the rows of `metrics.jsonl`, the settings, the scores and the pictures. What it raises is
reported once and the training goes on: the record in the run's folder does not depend on it.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from accelerate.tracking import LOGGER_TYPE_TO_CLASS
from matplotlib.image import imread

from core.config import Config
from core.config_values import flatten
from core.run_folder import RunFolder
from core.scoring.evaluation import Evaluation
from core.scoring.predictions import Predictions
from core.training.state import Progress

COSTS = ("clips_per_second", "minutes", "parameters")
"""Facts that a sweep's score is drawn against."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a run ends in, as trackers show it.

    Attributes
    ----------
    evaluation, predictions
        Of the validated clips; None where there are none.
    facts
        Entries of `summary.json` that are no metrics.
    pictures
        Name -> file.
    sounds
        Title -> wave of the clips that are drawn as spectrograms, (sample,) float32.
    """

    evaluation: Evaluation | None = None
    predictions: Predictions | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, Path] = field(default_factory=dict)
    sounds: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def numbers(self) -> dict[str, float]:
        """Costs and scores with their bounds, by the names that trackers know."""
        numbers = {
            name: self.facts[name] for name in (*COSTS, "best_epoch") if self.facts.get(name) is not None
        }
        for name, interval in self.evaluation.metrics.items() if self.evaluation else ():
            bounds = {"": interval.value, "_low": interval.low, "_high": interval.high}
            numbers |= {f"valid/{name}{end}": number for end, number in bounds.items()}
        return numbers


class Tracker:
    """A run in a tracker of Accelerate; the base of W&B's, which shows more."""

    def __init__(self, config: Config, folder: RunFolder) -> None:
        self.config, self.folder = config, folder
        self.name = config.tracking.log_with
        self.is_active = False
        self.opened: Any = None

    @property
    def run_id(self) -> str | None:
        """The tracker's own id of the run, by which a resumed run continues it."""
        return self.opened.tracker.info.run_id if self.is_active and self.name == "mlflow" else None

    def start(self, progress: Progress) -> None:
        """Open the run, or go on with that of `progress`; on failure there is none."""
        run_id, notes = self.folder.run_id, self.config.tracking.notes
        arguments: dict[str, dict[str, Any]] = {
            # steps after the checkpoint are logged anew
            "tensorboard": {"purge_step": progress.global_step + 1 if progress.num_rows else None},
            "mlflow": {"run_name": run_id, "run_id": progress.tracker_id, "description": notes},
            "trackio": {"name": run_id, "resume": "allow"},
        }
        self.is_active = self._attempt(lambda: self._open(**arguments[self.name]))

    def _open(self, **arguments: Any) -> None:
        """Open the run in a tracker with its own arguments."""
        kind = LOGGER_TYPE_TO_CLASS[self.name]
        where = (self.folder.path / self.name,) if kind.requires_logging_directory else ()
        self.opened = kind(self.config.tracking.project, *where, **arguments)
        self.opened.start()
        self.opened.store_init_configuration(self._settings)

    @property
    def _settings(self) -> dict[str, Any]:
        plain = (bool, int, float, str)
        values = flatten(self.config)
        return {key: value if isinstance(value, plain) else str(value) for key, value in values.items()}

    def log(self, row: dict[str, Any], place: int) -> None:
        """Log a row of numbers after its optimiser step; `place` is its number in the run."""
        if self.is_active:
            self._attempt(lambda: self.opened.log(row, step=row["global_step"]))

    def replay(self, rows: Sequence[dict[str, Any]], outdated: Sequence[Path]) -> None:
        """Log again what an interrupted run's record lacks; nothing where a tracker kept every row."""

    def show(self, shown: Shown) -> None:
        """Log pictures and scores."""
        if self.is_active:
            self._attempt(lambda: self._show(shown))

    def _show(self, shown: Shown) -> None:
        self.opened.log(shown.numbers, step=shown.facts.get("global_step"))
        for name, file in shown.pictures.items():
            if hasattr(self.opened, "log_artifact"):
                self.opened.log_artifact(str(file))
            elif hasattr(self.opened, "log_images"):
                self.opened.log_images({name: imread(file)[None, ..., :3]}, step=0, dataformats="NHWC")

    def finish(self, exit_code: int = 0, error: str | None = None) -> None:
        """Close the run; where `exit_code` is not 0 as failed, with the message of the error."""
        if self.is_active:
            self._attempt(lambda: self._close(exit_code, error))
            self.is_active = False

    def _close(self, exit_code: int, error: str | None) -> None:
        if exit_code and self.name == "mlflow":
            import mlflow

            mlflow.end_run("FAILED")
        self.opened.finish()

    def _attempt(self, action: Callable[[], Any]) -> bool:
        """Run what may fail for reasons that are not ours; say so in a line and go on without the tracker."""
        try:
            action()
        except Exception as error:
            self.is_active = False
            reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
            title = "W&B" if self.name == "wandb" else self.name
            print(f"{title}: {reason}. Training goes on without it.", file=sys.stderr)
            return False
        return True
