"""What is to be compared, written before the runs: metric, unit, margin and pairs.

    metric: macro_auc
    unit: recording
    margin: 0.01
    comparisons:
      - [timm_007, timm_008]

A name is that of an experiment, or of a run as `python -m analysis.runs` lists it. A planned comparison is
corrected for the other planned ones only; all else is looked at after the fact.
"""

import hashlib
import math
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import yaml

from analysis.runs import Run, position_of, predictions_of
from core.config import MetricName, require
from core.config_checks import naming
from core.run_folder import CLOCK, stamp_of
from core.scoring.comparison import Comparison, compare_pairs
from core.scoring.predictions import Of, Unit

KEYS = {"metric", "unit", "margin", "comparisons"}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A plan that was read and found right.

    Attributes
    ----------
    file
        Where it is.
    digest
        First digits of the SHA-256 of its text.
    written
        When git last recorded it, or else its file's time; without a time zone, as runs are named.
    metric, unit, margin
        What is compared, what is drawn, and which difference does not matter (None: every one does).
    comparisons
        (base, run) names.
    """

    file: Path
    digest: str
    written: datetime
    metric: MetricName
    unit: Unit
    margin: float | None
    comparisons: tuple[tuple[str, str], ...]

    def pairs_of(self, runs: Sequence[Run]) -> list[tuple[int, int]]:
        """Return the (base, run) positions of what is planned.

        Raises
        ------
        ValueError
            If a name is that of no run, or of several.
        """
        where = f"{self.file}: comparisons"
        return [
            (position_of(base, runs, where), position_of(run, runs, where)) for base, run in self.comparisons
        ]

    def compare(self, runs: Sequence[Run], of: Of = "recordings", **options: Any) -> list[Comparison]:
        """Return the planned comparisons; the runs they name must have judged the same clips.

        Parameters
        ----------
        runs, of
            Among which the named ones are, and what they judged.
        options
            Of `compare_pairs`: resamples, flips, confidence, quantile. Unit and margin are the plan's.

        Raises
        ------
        ValueError
            If a name is that of no run, or of several, or what two judged differs.
        """
        pairs = self.pairs_of(runs)
        named = sorted({place for pair in pairs for place in pair})
        found = compare_pairs(
            predictions_of([runs[place] for place in named], of),
            self.metric,
            pairs=[(named.index(base), named.index(run)) for base, run in pairs],
            **options | {"by": self.unit, "margin": self.margin},
        )
        return [replace(one, is_planned=True) for one in found]

    def describe(self, runs: Sequence[Run]) -> str:
        """Return which plan it is, and whether it is older than the runs."""
        began = {run.name: _began(run) for run in runs}
        late = [name for name, time in began.items() if time is not None and time < self.written]
        undated = [name for name, time in began.items() if time is None]
        age = "older than every run"
        if undated:
            age = f"perhaps younger than {', '.join(undated)}, whose names tell no time"
        if late:
            age = f"YOUNGER than {', '.join(late)}: what it asks of them was not planned before they began"
        return f"Plan {self.file} ({self.digest}), written {self.written:%Y-%m-%d %H:%M:%S}, {age}"


def _began(run: Run) -> datetime | None:
    """Return when a run began, as its name says; None where it does not."""
    try:
        return datetime.strptime(stamp_of(run.folder)[:15], CLOCK)
    except ValueError:
        return None


def read_plan(file: Path) -> Plan:
    """Return a plan.

    Raises
    ------
    ValueError
        If the file is none; the message names the entry.
    """
    try:
        text = file.read_text()
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        message = f"{file}: not readable as yaml: {' '.join(str(error).split())}"
        raise ValueError(message) from error
    with naming(file):
        require(isinstance(content, dict), "holds no mapping of keys")
        unknown = sorted(map(str, set(content) - KEYS))
        require(not unknown, f"unknown key {', '.join(unknown)}; known are {', '.join(sorted(KEYS))}")
        metric, unit = content.get("metric"), content.get("unit", "recording")
        metrics = [name for one in get_args(MetricName) for name in (get_args(one) or (one,))]
        require(metric in metrics, f"metric={metric}: one of {', '.join(metrics)}")
        require(unit in get_args(Unit), f"unit={unit}: one of {', '.join(get_args(Unit))}")
        margin = content.get("margin")
        is_number = isinstance(margin, int | float) and not isinstance(margin, bool) and 0 < margin < math.inf
        require(margin is None or is_number, f"margin={margin}: a number above 0")
        return Plan(
            file=file,
            digest=hashlib.sha256(text.encode()).hexdigest()[:12],
            written=_written(file),
            metric=metric,
            unit=unit,
            margin=margin,
            comparisons=_pairs(content.get("comparisons")),
        )


def _pairs(content: Any) -> tuple[tuple[str, str], ...]:
    """Return the pairs of names in a plan."""
    right = (
        isinstance(content, list)
        and content
        and all(isinstance(pair, list) and len(pair) == 2 and pair[0] != pair[1] for pair in content)
    )
    require(bool(right), "comparisons: needs a list of pairs of different names, [BASE, RUN]")
    return tuple((str(base), str(run)) for base, run in content)


def _written(file: Path) -> datetime:
    """Return when git last recorded a file as it is now, or else the file's own time."""
    folder = str(file.absolute().parent)
    log = ["git", "-C", folder, "log", "-1", "--format=%ct", "--", file.name]
    changes = ["git", "-C", folder, "status", "--porcelain", "--", file.name]
    seconds = file.stat().st_mtime
    try:
        told, changed = (
            subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
            for command in (log, changes)
        )
        seconds = float(told) if told and not changed else seconds
    except (OSError, subprocess.CalledProcessError):
        pass
    return datetime.fromtimestamp(seconds)
