"""A sweep's folder -> its trials: what was tried, what came of it, how fast it trained.

`outputs/sweeps/<id>/` holds `sweep.yaml`, `sweep.json` and `trials.csv`, and the runs of the trials. What
lies there of a finished run (summary with intervals, predictions, log) is read as well.
"""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from analysis.runs import Run, in_group, read_run
from analysis.sweep.parameters import SweptParameter, number_of, read_parameters
from core.config import require
from core.run_folder import RunFolder, run_name, stamp_of
from core.scoring.metric_names import LABELS
from core.scoring.resampling import Interval

RUNNING, FINISHED, FAILED, STOPPED = STATES = ("running", "finished", "failed", "stopped")
COLUMNS = ("trial", "state", "run", "minutes")
THROUGHPUT = "train/clips_per_second"


@dataclass(frozen=True)
class Trial:
    """One trial.

    Attributes
    ----------
    name
        Such as "trial 3".
    state
        One of `STATES`.
    values
        Dotted name -> value of what the sweep varies.
    metric
        What the sweep optimises, with its interval over recordings; nan where unknown.
    clips_per_second
        Median of what was logged while it trained.
    run
        Its finished run, where that lies here.
    """

    name: str
    state: str
    values: dict[str, Any]
    metric: Interval
    minutes: float = math.nan
    clips_per_second: float = math.nan
    run: Run | None = None

    @property
    def has_result(self) -> bool:
        """Whether it finished with a number that can be compared."""
        return self.state == FINISHED and math.isfinite(self.metric.value)


@dataclass(frozen=True)
class Sweep:
    """A sweep and its trials.

    Attributes
    ----------
    source
        Folder, or W&B path.
    name, question
        Of the sweep file.
    method, metric, goal
        How trials were chosen, for which logged number, "maximize" or "minimize".
    parameters
        What varies.
    trials
        All of them.
    """

    source: str
    name: str
    question: str
    method: str
    metric: str
    goal: str
    parameters: tuple[SweptParameter, ...]
    trials: tuple[Trial, ...]

    @property
    def sign(self) -> int:
        """1 if larger is better, else -1."""
        return -1 if self.goal == "minimize" else 1

    @property
    def short_metric(self) -> str:
        """The metric as `summary.json` names it."""
        return self.metric.removeprefix("valid/")

    @property
    def label(self) -> str:
        """The metric as figures name it."""
        return LABELS.get(self.short_metric, self.metric)

    @property
    def ranked(self) -> list[Trial]:
        """The trials with a result, best first."""
        return sorted(
            (trial for trial in self.trials if trial.has_result),
            key=lambda trial: -self.sign * trial.metric.value,
        )

    def others(self) -> list[Trial]:
        """Return the trials without a result, in their order."""
        return [trial for trial in self.trials if not trial.has_result]

    def checked(self) -> "Sweep":
        """Return itself after a look at what can be analysed.

        Raises
        ------
        ValueError
            If no trial has a result.
        """
        if not self.ranked:
            counts = [f"{sum(t.state == state for t in self.trials)} {state}" for state in STATES]
            message = (
                f"{self.source}: no finished trial with {self.metric} "
                f"({len(self.trials)} trials: {', '.join(counts)}); nothing to analyse yet"
            )
            raise ValueError(message)
        return self


def read_sweep(folder: Path) -> Sweep:
    """Return a sweep's folder.

    Raises
    ------
    ValueError
        If it is none, one of its files is not readable, or no trial has finished.
    """
    require(folder.is_dir(), f"{folder}: no such folder of a sweep (looked in {Path.cwd()})")
    facts = read_facts(folder / "sweep.json")
    try:
        content = yaml.safe_load((folder / "sweep.yaml").read_text())
        parameters = tuple(read_parameters(content["parameters"]))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        message = f"{folder / 'sweep.yaml'}: not readable as a sweep file: {error!r}"
        raise ValueError(message) from error
    metric = facts["metric"]["name"]
    trials = tuple(
        read_trial(folder, row, parameters, metric) for row in read_rows(folder, parameters, metric)
    )
    known = tuple(parameter for parameter in parameters if varies(parameter, trials))
    return Sweep(
        source=str(folder),
        name=facts["name"],
        question=facts.get("question", ""),
        method=facts["method"],
        metric=metric,
        goal=facts["metric"]["goal"],
        parameters=known,
        trials=trials,
    ).checked()


def read_facts(file: Path) -> dict[str, Any]:
    """Return the content of `sweep.json`."""
    asked = f"{file.parent}: not the folder of a sweep, it has no sweep.json"
    require(file.is_file(), f"{asked} (expected outputs/sweeps/<id>, made by python -m sweeps.local)")
    try:
        facts: dict[str, Any] = json.loads(file.read_text())
        known = {"name", "method", "metric"} <= set(facts) and {"name", "goal"} <= set(facts["metric"])
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        message = f"{file}: not readable: {error}"
        raise ValueError(message) from error
    require(known, f"{file}: needs name, method and metric with name and goal, found {sorted(facts)}")
    return facts


def read_rows(
    folder: Path, parameters: Sequence[SweptParameter], metric: str
) -> list[tuple[str, dict[str, str]]]:
    """Return the rows of `trials.csv`, each with a word that says where it stands.

    Raises
    ------
    ValueError
        If the file is missing, lacks a column, or a row is cut or too long.
    """
    file = folder / "trials.csv"
    require(file.is_file(), f"{folder}: has no trials.csv")
    found = []
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            reader = csv.DictReader(lines, strict=True)
            expected = [*COLUMNS, *(parameter.key for parameter in parameters), metric]
            missing = [name for name in expected if name not in (reader.fieldnames or [])]
            require(not missing, f"{file}: damaged, it has no column {', '.join(missing)}")
            for row in reader:
                where = f"{file}, line {reader.line_num}"
                right = None not in row and None not in row.values()
                width = len(reader.fieldnames or [])
                require(right, f"{where}: damaged, not the {width} columns of the first line")
                found.append((where, row))
    except (csv.Error, UnicodeDecodeError) as error:
        message = f"{file}: damaged, not readable as csv: {error}"
        raise ValueError(message) from error
    return found


def read_trial(
    folder: Path, located: tuple[str, dict[str, str]], parameters: Sequence[SweptParameter], metric: str
) -> Trial:
    """Return a row of `trials.csv` with what lies in the folder of its run."""
    where, row = located
    require(row["state"] in STATES, f"{where}: state={row['state']}: one of {', '.join(STATES)}")
    for name in ("minutes", metric):
        wrong = row[name] != "" and math.isnan(number_of(row[name]))
        require(not wrong, f"{where}: {name}={row[name]}: must be a number")
    try:
        values = {parameter.key: parameter.value_of(row[parameter.key]) for parameter in parameters}
    except ValueError as error:
        message = f"{where}: {error}"
        raise ValueError(message) from error
    trial = Trial(
        name=f"trial {row['trial']}",
        state=row["state"],
        values=values,
        metric=Interval(number_of(row[metric]), math.nan, math.nan),
        minutes=number_of(row["minutes"]),
    )
    run = folder / row["run"]
    return with_run(trial, run, metric) if row["run"] and run.is_dir() else trial


def with_run(trial: Trial, folder: Path, metric: str) -> Trial:
    """Return a trial with throughput, interval and predictions of its run, as far as they are there."""
    if in_group(folder):
        folder = folder.with_name(run_name(stamp_of(folder), "all"))
    if not (folder / "summary.json").is_file():
        return replace(trial, clips_per_second=throughput([folder]))
    run = replace(read_run(folder), name=trial.name)
    return replace(
        trial,
        run=run,
        metric=metric_of(run.summary, metric.removeprefix("valid/"), trial.metric),
        clips_per_second=throughput(run.members),
    )


def metric_of(summary: Mapping[str, Any], name: str, otherwise: Interval) -> Interval:
    """Return a metric of a summary with its interval; `otherwise` if it holds none of that name."""
    bounds = summary.get("metrics", {}).get(name)
    if bounds is None or bounds.get("value") is None:
        return otherwise
    value, low, high = (number_of(bounds.get(key)) for key in ("value", "low", "high"))
    return Interval(value, low, high)


def throughput(folders: Sequence[Path]) -> float:
    """Return the median clips per second in the logs of some runs; nan if none was logged."""
    logged = [row.get(THROUGHPUT) for folder in folders for row in RunFolder(folder).history()]
    numbers = [number for number in logged if number is not None]
    return float(np.median(numbers)) if numbers else math.nan


def varies(parameter: SweptParameter, trials: Sequence[Trial]) -> bool:
    """Return whether trials with a result differ in a parameter."""
    values = [trial.values[parameter.key] for trial in trials if trial.has_result]
    return len({parameter.coordinate(value) for value in values}) > 1
