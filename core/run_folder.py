"""A run's folder `outputs/<experiment>/<run id>/`: what it holds and how it is written.

`config.json`, `environment.json`, `metrics.jsonl` (one row a log), `summary.json`, `predictions.parquet`,
`soundscape_predictions.parquet` where soundscapes are labelled, `bad_files.csv`, `checkpoints/{last,best}`,
pictures. A file appears whole or not at all.
"""

import json
import math
import secrets
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from core.config import Config
from core.config_values import to_dict
from core.files import write_atomically

CLOCK = "%Y%m%d-%H%M%S"


class RunFolder:
    """Files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @property
    def run_id(self) -> str:
        """Name of the run."""
        return self.path.name

    @property
    def stamp(self) -> str:
        """What the folds of its group share."""
        return stamp_of(self.path)

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end."""
        return (self.path / "summary.json").is_file()

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write `<name>.json` in one step; numbers that are not finite become null."""
        text = json.dumps(_finite(content), indent=2, allow_nan=False, default=str)
        write_atomically(self.path / f"{name}.json", text + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """Return the content of `<name>.json`."""
        content: dict[str, Any] = json.loads((self.path / f"{name}.json").read_text())
        return content

    def log(self, row: dict[str, Any]) -> None:
        """Append a row to `metrics.jsonl`."""
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(_finite(row), allow_nan=False) + "\n")

    def history(self) -> list[dict[str, Any]]:
        """Return the rows of `metrics.jsonl`; a line cut off by a crash is left out."""
        file = self.path / "metrics.jsonl"
        rows = []
        for line in file.read_text().splitlines() if file.is_file() else []:
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return rows

    def rewind(self, global_step: int) -> None:
        """Drop the rows logged after `global_step`: a resumed run logs them again."""
        kept = [row for row in self.history() if row["global_step"] <= global_step]
        text = "".join(json.dumps(row) + "\n" for row in kept)
        write_atomically(self.path / "metrics.jsonl", text)


def run_name(stamp: str, fold: int | str | None) -> str:
    """Return `<stamp>-fold0`, `<stamp>-all` for a group of folds, or `<stamp>-nofold`."""
    if fold is None:
        return f"{stamp}-nofold"
    return f"{stamp}-{fold}" if isinstance(fold, str) else f"{stamp}-fold{fold}"


def stamp_of(run: Path) -> str:
    """Return what the folds of a group share: the run's name without its last word."""
    return run.name.rsplit("-", 1)[0]


def last_run(output_dir: str | Path, experiment: str) -> Path:
    """Return the folder of the last run, or group of folds; `ValueError` if there is none."""
    folder = Path(output_dir) / experiment
    runs = sorted(path.parent for path in folder.glob("*/config.json"))
    if not runs:
        message = f"--resume: no run of {experiment} in {folder}; start one without --resume"
        raise ValueError(message)
    group = folder / run_name(stamp_of(runs[-1]), "all")
    return group if group in runs else runs[-1]


def choose_stamp(config: Config) -> str:
    """Return the stamp of the run to resume, or a new one: the time and four random letters.

    A new one is later than those of all runs of the experiment, whatever the clock says: their order counts.
    """
    if config.resume:
        return stamp_of(last_run(config.output_dir, config.name))
    folder = Path(config.output_dir) / config.name
    times = [_time_of(run) for run in folder.glob("*/config.json")]
    now = max([datetime.now(), *(time + timedelta(seconds=1) for time in times if time is not None)])
    return f"{now.strftime(CLOCK)}-{secrets.token_hex(2)}"


def _time_of(config_file: Path) -> datetime | None:
    """Return the time in the name of a run, None where it has none."""
    try:
        return datetime.strptime(config_file.parent.name[:15], CLOCK)
    except ValueError:
        return None


def open_run_folder(config: Config, stamp: str, *, create: bool) -> RunFolder:
    """Return the folder of a run.

    Parameters
    ----------
    config
        Of the run; names the experiment and the fold.
    stamp
        What the folds of its group share.
    create
        Make the folder, and write its `config.json` if it is new.
    """
    folder = RunFolder(Path(config.output_dir) / config.name / run_name(stamp, config.data.fold))
    if create:
        folder.checkpoints.mkdir(parents=True, exist_ok=True)
        if not (folder.path / "config.json").is_file():
            folder.write_json("config", to_dict(config))
    return folder


def _finite(value: Any) -> Any:
    """Return `value` with nan and infinities replaced by None, at any depth."""
    if isinstance(value, dict):
        return {key: _finite(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(child) for child in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
