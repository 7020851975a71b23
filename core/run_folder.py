"""A run's folder `outputs/<experiment>/<run id>/`: what it holds and how it is written.

`config.json`, `environment.json`, `metrics.jsonl` (one row a log), `summary.json`, `predictions.parquet`,
`soundscape_predictions.parquet` where soundscapes are labelled, `bad_files.csv`, `checkpoints/{last,best}`,
pictures. A file appears whole or not at all.
"""

import json
import math
import secrets
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from core.config import Config, require
from core.config_values import flatten, require_types, to_dict
from core.files import holding, read_json, write_atomically

UNFINISHED = "unfinished"
"""Key of a summary whose run is still being drawn and sent."""
CLOCK = "%Y%m%d-%H%M%S"
_Metrics = dict[str, dict[str, float | bool | None]]
_ENTRIES: dict[str, dict[str, Any]] = {
    "config": {
        "name": str, "seed": int, "epochs": int, "schedule": str, "data": dict, "valid": dict,
        "data.fold": int | Literal["all"] | None,
    },
    "summary": {
        "runs": list[str], "metrics": _Metrics, "minutes": float | None, "parameters": float | None,
        "validated_clips": int, "soundscapes": dict,
    },
}  # fmt: skip
"""File -> types of the entries that programs read."""
_NEEDED = {"config": {*_ENTRIES["config"]}}


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
        """Whether the run came to its end: its summary is there, and nothing was left to draw or to send."""
        return (self.path / "summary.json").is_file() and UNFINISHED not in self.read_json("summary")

    def held(self) -> AbstractContextManager[None]:
        """Keep other processes out while this one trains the run; `ValueError` if another is in it."""
        return holding(self.path / "lock")

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write `<name>.json` in one step; numbers that are not finite become null."""
        text = json.dumps(_finite(content), indent=2, allow_nan=False, default=str)
        write_atomically(self.path / f"{name}.json", text + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """Return the content of `<name>.json`.

        Raises
        ------
        ValueError
            If it cannot be read, lacks an entry, or has one of another type; the message names both.
        """
        file = self.path / f"{name}.json"
        content, kinds = read_json(file), _ENTRIES.get(name, {})
        flat = content | flatten(content)
        missing = ", ".join(sorted(_NEEDED.get(name, set()) - flat.keys()))
        require(not missing, f"{file}: no {missing}; restore the file")
        require_types(f"{file}: ", flat, kinds)
        bounds = content.get("metrics", {}) if name == "summary" else {}
        lacking = [key for key, one in bounds.items() if not {"value", "low", "high"} <= one.keys()]
        require(not lacking, f"{file}: metrics.{', '.join(lacking)} lacks value, low or high")
        return content

    def log(self, row: dict[str, Any]) -> None:
        """Append a row to `metrics.jsonl`."""
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(_finite(row), allow_nan=False) + "\n")

    def history(self) -> list[dict[str, Any]]:
        """Return the rows of `metrics.jsonl`; a damaged line is left out."""
        file = self.path / "metrics.jsonl"
        rows = []
        for line in file.read_bytes().splitlines() if file.is_file() else []:
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict) and isinstance(row.get("global_step"), int):
                rows.append(row)
        return rows

    def rewind(self, num_rows: int) -> None:
        """Keep the first rows only: a resumed run logs the others again."""
        kept = self.history()[:num_rows]
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


def find_run(output_dir: str | Path, experiment: str, which: str) -> Path:
    """Return the folder of a run to continue.

    Parameters
    ----------
    output_dir, experiment
        Where its runs are recorded.
    which
        "last": the last one, or its group of folds; else the name of a run, or its folder.

    Raises
    ------
    ValueError
        If there is none.
    """
    folder = Path(output_dir) / experiment
    if which != "last":
        for run in (folder / which, Path(which).expanduser()):
            if (run / "config.json").is_file():
                if run.resolve().parent.name == experiment:
                    return run
                message = f"--resume={which}: a run of {run.resolve().parent.name}, not of {experiment}"
                raise ValueError(message)
        message = f"--resume={which}: neither a run in {folder} nor a folder with its config.json"
        raise ValueError(message)
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
        return stamp_of(find_run(config.output_dir, config.name, config.resume))
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
        Make the folder, and write its `config.json` where it is new or a resumed run was given another value.
    """
    folder = RunFolder(Path(config.output_dir) / config.name / run_name(stamp, config.data.fold))
    if create:
        folder.checkpoints.mkdir(parents=True, exist_ok=True)
        content = to_dict(replace(config, resume=None))
        if not (folder.path / "config.json").is_file() or folder.read_json("config") != content:
            folder.write_json("config", content)
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
