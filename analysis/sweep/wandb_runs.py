"""A sweep of Weights & Biases -> its trials, through W&B's public API.

Intervals are those that runs wrote into their summaries. Predictions are not uploaded: trials can only be
compared in pairs where the folders of their runs lie here, too.
"""

import shlex
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from analysis.sweep.swept import SweptParameter, swept_parameters
from analysis.sweep.trial_results import (
    THROUGHPUT,
    SweepResults,
    TrialResult,
    interval_from,
    number_or_nan,
    throughput_in,
)
from core.config_values import flatten
from sweeps.command import trial_command
from sweeps.parameters import read_parameters
from sweeps.sweep_file import DEFAULT_COMMAND
from sweeps.sweep_folder import FAILED, FINISHED, RUNNING, STOPPED

STATE = {"finished": FINISHED, "failed": FAILED, "crashed": FAILED, "killed": STOPPED}
"""What W&B says of a run that has ended; anything else is running."""
CLOSING_SECONDS = 5.0
"""How long W&B's client may take to end after a failure."""


def read_wandb_sweep(path: str, runs: Path) -> SweepResults:
    """Return a sweep that W&B holds.

    Parameters
    ----------
    path
        `entity/project/sweep` or `project/sweep`.
    runs
        Folder in which the runs' own folders are looked for, at any depth.

    Raises
    ------
    ValueError
        If W&B cannot be reached, does not know it, or no trial has finished.
    """
    try:
        import wandb

        local = {file.parent.name: file.parent for file in sorted(runs.rglob("summary.json"))}
        sweep = _sweep_of(wandb.Api().sweep(path), path, local)
    except ImportError as error:
        message = f"{path}: reading a sweep of W&B takes the package wandb: {error}"
        raise ValueError(message) from error
    except (wandb.Error, OSError, ValueError) as error:
        close_client(wandb.teardown)
        reason = " ".join(str(error).split())
        message = f"{path}: not read from W&B: {reason} (a folder of a sweep is read without W&B)"
        raise ValueError(message) from error
    return sweep.checked()


def close_client(teardown: Callable[[], object], seconds: float = CLOSING_SECONDS) -> bool:
    """End W&B's client within a time, and say whether it did.

    With a server that does not answer, its service process now and then never ends (wandb 0.31, 2 of 24
    trials), and the program would wait for it at its own end.
    """
    closing = threading.Thread(target=teardown, daemon=True)
    closing.start()
    closing.join(seconds)
    return not closing.is_alive()


def _sweep_of(found: Any, path: str, local: Mapping[str, Path]) -> SweepResults:
    """Return what the public API's object of a sweep holds; `local` are folders of runs by their names."""
    content, metric = found.config, found.config["metric"]
    parameters = tuple(swept_parameters(read_parameters(content["parameters"])))
    return SweepResults(
        source=path,
        name=str(found.name),
        question=str(content.get("description") or ""),
        method=content["method"],
        metric=metric["name"],
        goal=metric.get("goal", "minimize"),
        parameters=parameters,
        trials=tuple(_result_of_run(run, parameters, metric["name"], local, content) for run in found.runs),
    )


def _result_of_run(
    run: Any,
    parameters: Iterable[SweptParameter],
    metric: str,
    local: Mapping[str, Path],
    sweep: Mapping[str, Any],
) -> TrialResult:
    """Return a run of W&B as a trial, with predictions if its folder lies here.

    Parameters
    ----------
    run
        Of the public API.
    parameters, metric
        Of the sweep.
    local
        Folders of runs by their names.
    sweep
        Its file, as W&B keeps it.
    """
    summary, config = run.summary, flatten(run.config)
    state = STATE.get(run.state, RUNNING)
    told = [one.key for one in parameters if state == FINISHED or config.get(one.key) is not None]
    trial = TrialResult(
        name=str(run.name),
        state=state,
        values={key: config.get(key) for key in told},  # a run that ended early may not have told them
        metric=interval_from(summary.get(metric + ending) for ending in ("", "_low", "_high")),
        minutes=number_or_nan(summary.get("_runtime")) / 60,
        clips_per_second=throughput_in(run.history(keys=[THROUGHPUT], pandas=False)),
        curve=tuple(row[metric] for row in run.history(keys=[metric], pandas=False) if metric in row),
        command=_command_of(sweep, config),
    )
    if state != FINISHED or run.name not in local:
        return trial
    # What W&B recorded stays; only what it does not hold is taken from the folder.
    return replace(trial, run=trial.with_run(local[run.name], metric).run)


def _command_of(sweep: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Return what starts a trial of a sweep file once more; empty where its program is not told."""
    if "program" not in sweep:
        return ""
    given = {key: config[key] for key in sweep["parameters"] if config.get(key) is not None}
    return shlex.join(trial_command(sweep.get("command", DEFAULT_COMMAND), sweep["program"], given))
