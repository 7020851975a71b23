"""A sweep's folder -> its trials: what was tried, what came of it, how fast it trained.

`sweeps.sweep_folder` reads the folder. What lies there of a finished run (summary with intervals,
predictions, log) is read as well.
"""

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from analysis.runs import Run, in_group, read_run
from analysis.sweep.swept import SweptParameter, swept_parameters
from core.config_checks import naming
from core.files import read_json
from core.run_folder import RunFolder, run_name, stamp_of
from core.scoring.intervals import Interval
from core.scoring.metric_names import LABELS
from core.wording import counted
from sweeps.command import trial_command
from sweeps.sweep_file import Goal
from sweeps.sweep_folder import FINISHED, STATES, SweepFolder, Trial, read_sweep_folder

BOUNDS = ("value", "low", "high")
THROUGHPUT = "train/clips_per_second"


@dataclass(frozen=True)
class TrialResult:
    """One trial and what came of it.

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
    minutes
        It ran.
    clips_per_second
        Median of what was logged while it trained.
    run
        Its finished run, where that lies here.
    curve
        The metric of one validation after another.
    command
        What starts it once more.
    """

    name: str
    state: str
    values: dict[str, Any]
    metric: Interval
    minutes: float = math.nan
    clips_per_second: float = math.nan
    run: Run | None = None
    curve: tuple[float, ...] = ()
    command: str = ""

    @property
    def has_result(self) -> bool:
        """Whether it finished with a number that can be compared."""
        return self.state == FINISHED and math.isfinite(self.metric.value)

    def with_run(self, folder: Path, metric: str) -> "TrialResult":
        """Return it with throughput, interval and predictions of its run, as far as they are there."""
        if in_group(folder):
            folder = folder.with_name(run_name(stamp_of(folder), "all"))
        if not (folder / "summary.json").is_file():
            return replace(self, clips_per_second=throughput_in(RunFolder(folder).history()))
        run = replace(read_run(folder), name=self.name)
        rows = (row for member in run.members for row in RunFolder(member).history())
        found = replace(self, run=run, clips_per_second=throughput_in(rows))
        bounds = run.summary.get("metrics", {}).get(metric.removeprefix("valid/"), {})
        if bounds.get("value") is None:
            return found
        return replace(found, metric=interval_from(bounds.get(key) for key in BOUNDS))


@dataclass(frozen=True)
class SweepResults:
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
    goal: Goal
    parameters: tuple[SweptParameter, ...]
    trials: tuple[TrialResult, ...]

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
    def counts(self) -> str:
        """How many trials there are, and in which states."""
        states = [trial.state for trial in self.trials]
        counts = [f"{states.count(state)} {state}" for state in sorted(set(states), key=STATES.index)]
        return f"{counted(len(states), 'trials')}: {', '.join(counts)}"

    @property
    def ranked(self) -> list[TrialResult]:
        """The trials with a result, best first."""
        known = [trial for trial in self.trials if trial.has_result]
        return sorted(known, key=lambda trial: -self.sign * trial.metric.value)

    @property
    def others(self) -> list[TrialResult]:
        """The trials without a result, in their order."""
        return [trial for trial in self.trials if not trial.has_result]

    @property
    def front(self) -> list[TrialResult]:
        """The trials that no other beats in metric or throughput and equals in the other, fastest first."""
        known = [trial for trial in self.ranked if not math.isnan(trial.clips_per_second)]
        places = {trial.name: (trial.clips_per_second, self.sign * trial.metric.value) for trial in known}

        def is_beaten(place: tuple[float, float]) -> bool:
            return any(
                other != place and other[0] >= place[0] and other[1] >= place[1] for other in places.values()
            )

        front = [trial for trial in known if not is_beaten(places[trial.name])]
        return sorted(front, key=lambda trial: -trial.clips_per_second)

    def checked(self) -> "SweepResults":
        """Return itself, with the parameters in which trials with a result differ.

        Raises
        ------
        ValueError
            If no trial has a result, or one has a value that the sweep cannot have proposed.
        """
        if not self.ranked:
            message = (
                f"{self.source}: no finished trial with {self.metric} ({self.counts}); nothing to analyse"
            )
            raise ValueError(message)
        with naming(self.source):
            varied = [
                one
                for one in self.parameters
                if len(set(one.coordinates(trial.values[one.key] for trial in self.ranked))) > 1
            ]
        return replace(self, parameters=tuple(varied))


def read_results(folder: Path) -> SweepResults:
    """Return what came of the trials in a sweep's folder.

    Raises
    ------
    ValueError
        If it is none, one of its files is not readable, or no trial has finished.
    """
    read, words = read_sweep_folder(folder), read_json(folder / "sweep.json")["overrides"]
    sweep, parameters = read.sweep, tuple(swept_parameters(read.sweep.parameters))
    return SweepResults(
        source=str(folder),
        name=sweep.name,
        question=sweep.question,
        method=sweep.method,
        metric=sweep.metric,
        goal=sweep.goal,
        parameters=parameters,
        trials=tuple(_result_of(read, trial, parameters, words) for trial in read.trials.values()),
    ).checked()


def _result_of(
    folder: SweepFolder, trial: Trial, parameters: Iterable[SweptParameter], overrides: Sequence[str]
) -> TrialResult:
    """Return a trial with what lies in the folder of its run; `overrides` were given to every trial."""
    value, run, sweep = folder.value_of(trial), folder.run_of(trial), folder.sweep
    result = TrialResult(
        name=f"trial {trial.number}",
        state=trial.state,
        values={parameter.key: trial.parameters[parameter.key] for parameter in parameters},
        metric=interval_from((value, None, None)),
        minutes=trial.minutes,
        curve=tuple(folder.values_of(trial)),
        command=shlex.join(trial_command(sweep.command, sweep.program, trial.parameters, overrides)),
    )
    return result if run is None else result.with_run(run.path, sweep.metric)


def throughput_in(rows: Iterable[Mapping[str, Any]]) -> float:
    """Return the median clips per second in the rows of one or several logs; nan if none was logged."""
    numbers = [row[THROUGHPUT] for row in rows if row.get(THROUGHPUT) is not None]
    return float(np.median(numbers)) if numbers else math.nan


def interval_from(given: Iterable[Any]) -> Interval:
    """Return value, low and high as an interval; what is no number is unknown."""
    value, low, high = map(number_or_nan, given)
    return Interval(value, low, high)


def number_or_nan(given: Any) -> float:
    """Return what JSON or W&B holds as a number; nan if it is none."""
    try:
        return float(given)
    except (TypeError, ValueError):
        return math.nan
