"""Runs -> the tables of a report: leaderboard, species, settings, environment."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.report.selection import Group, started_at
from analysis.runs import Run, config_differences, setting_text
from core.data.competition import UNKNOWN_AUTHOR
from core.run_folder import RunFolder
from core.scoring.evaluation import Evaluation
from core.scoring.intervals import Interval

METRICS = {
    "score": "2022 score",
    "macro_auc": "macro ROC-AUC",
    "padded_cmap": "padded cmAP",
    "top1": "top-1",
}
PER_SPECIES = {"score": "2022 score", "auc": "ROC-AUC", "average_precision": "average precision"}
ENDS = ("", "_low", "_high")
BOUNDS = ("value", "low", "high")
SHORT_COMMIT = 10
SHOWN = 2
TOLD_BY_NAME = ("name", "data.fold")


@dataclass(frozen=True)
class Estimate:
    """A number with its interval, and where that lies on a drawn axis.

    Attributes
    ----------
    value, low, high
        None: undefined.
    places
        Low, value and high between 0 and 1; low and high are the value where there is no interval.
    """

    value: float | None
    low: float | None
    high: float | None
    places: tuple[float, float, float] | None


@dataclass(frozen=True)
class Axis:
    """The axis of a column of estimates."""

    low: float
    high: float
    reference: float | None = None

    def place(self, value: float) -> float:
        """Return where a value lies, 0 to 1."""
        return round(min(max((value - self.low) / (self.high - self.low), 0.0), 1.0), 4)

    @property
    def reference_place(self) -> float | None:
        """Where the value of a guess, or of no difference, lies."""
        return None if self.reference is None else self.place(self.reference)

    def estimate(self, value: Any, low: Any, high: Any) -> Estimate:
        """Return an estimate on this axis; None and nan are undefined."""
        middle, left, right = (
            None if n is None or not np.isfinite(n) else float(n) for n in (value, low, high)
        )
        if middle is None:
            return Estimate(None, left, right, None)
        outer = [self.place(middle if n is None else n) for n in (left, right)]
        return Estimate(middle, left, right, (outer[0], self.place(middle), outer[1]))

    def interval(self, found: Interval) -> Estimate:
        """Return an interval on this axis."""
        return self.estimate(found.value, found.low, found.high)


def axis_of(numbers: Sequence[Any], *, reference: float | None = None, step: float = 0.1) -> Axis:
    """Return an axis around some numbers, with round ends; the reference is on it if it is not far away."""
    known = [float(n) for n in numbers if n is not None and np.isfinite(n)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if reference is not None and low - reference > high - low:
        reference = None
    if reference is not None:
        low, high = min(low, reference), max(high, reference)
    low, high = np.floor(low / step + 1e-9) * step, np.ceil(high / step - 1e-9) * step
    return Axis(round(low, 6), round(max(high, low + step), 6), reference)


def leaderboard(group: Group, evaluations: Mapping[str, Evaluation]) -> dict[str, Any]:
    """Return the rows of a group with intervals, on one axis a metric.

    Parameters
    ----------
    group
        Runs that judged the same clips.
    evaluations
        Name of a run -> its metrics.
    """
    found = [evaluations[run.name] for run in group.runs]
    axes = {
        name: axis_of(
            [getattr(one.metrics[name], bound) for one in found for bound in BOUNDS],
            reference=0.5 if name in {"score", "macro_auc"} else None,
        )
        for name in METRICS
    }
    confidence = {run.valid.confidence for run in group.runs}
    return {
        "rows": [
            {
                "run": run,
                "distinction": distinction,
                "cells": [axes[name].interval(one.metrics[name]) for name in METRICS],
                "optimistic": axes["score"].interval(one.metrics["best_score"]).value,
                "minutes": minutes(run),
            }
            for run, one, distinction in zip(group.runs, found, distinctions(group.runs), strict=True)
        ],
        "clips": found[0].num_rows,
        "columns": [(label, axes[name]) for name, label in METRICS.items()],
        "confidence": " or ".join(f"{share:.0%}" for share in sorted(confidence)),
        "notes": notes_of(group, found),
    }


def notes_of(group: Group, evaluations: Sequence[Evaluation]) -> list[str]:
    """Return what keeps the intervals of a group from being trusted, each once."""
    concerned: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for run, one in zip(group.runs, evaluations, strict=True):
        for name, label in METRICS.items():
            if one.metrics[name].note:
                labels, names = concerned.setdefault(one.metrics[name].note, ({}, {}))
                labels[label] = names[run.name] = None
    found = []
    for note, (labels, names) in concerned.items():
        whose = "" if len(names) == len(group.runs) else f" of {'; '.join(names)}"
        found.append(f"{', '.join(labels)}{whose}: {note}")
    return found


def distinctions(runs: Sequence[Run]) -> list[str]:
    """Return for each run the settings that tell it from the others beside it, the first few of them."""
    found = [(field, values) for field, values in settings(runs) if field not in TOLD_BY_NAME]
    told = []
    for i, run in enumerate(runs):
        own = [f"{field} {values[i]}" for field, values in found if f"{field}=" not in run.name]
        more = f" and {len(own) - SHOWN} more" if len(own) > SHOWN else ""
        told.append(", ".join(own[:SHOWN]) + more)
    return told


def minutes(run: Run) -> float | None:
    """Return the minutes that a run trained; None where they are unknown."""
    total = run.total("minutes")
    return None if np.isnan(total) else total


def species_rows(evaluation: Evaluation) -> dict[str, Any]:
    """Return one row a scored species, and which could not be judged."""
    axis = Axis(0.0, 1.0, 0.5)
    rows = [
        {
            "species": row["species"],
            "positives": int(row["positives"]),
            "recordings": int(row["recordings"]),
            "note": row["note"] if row["positives"] else "",
            "cells": [axis.estimate(*(row[name + end] for end in ENDS)) for name in PER_SPECIES],
        }
        for row in evaluation.per_species.to_dict("records")
    ]
    columns = list(PER_SPECIES.values())
    return {"rows": rows, "axis": axis, "columns": columns, "left_out": evaluation.left_out}


def facts_of(group: Group) -> list[tuple[str, str]]:
    """Return what the runs of a group were judged on."""
    run = group.runs[0]
    rows = run.predictions
    data = run.config["data"]
    root = "the default" if data["root"] is None else str(data["root"])
    if not len(rows):
        return [("data", root), ("folds", folds_told(run))]
    return [
        ("data", root),
        ("validated clips", f"{len(rows)}"),
        ("recordings", f"{len(np.unique(rows.recording))}"),
        ("authors", f"{len(set(rows.author) - {'', UNKNOWN_AUTHOR})}"),
        ("scored species", f"{len(rows.species)}"),
        ("positive labels", f"{int(rows.truth.sum())}"),
        ("folds", folds_told(run)),
    ]


def folds_told(run: Run) -> str:
    """Return which folds judged, and how they were made."""
    data = run.config["data"]
    which = "none" if run.fold is None else "all" if run.fold == "all" else f"fold {run.fold}"
    kept = ", an author's recordings kept together" if data["group_by_author"] else ""
    return f"{which} of {data['num_folds']} (seed {data['fold_seed']}{kept})"


def settings(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """Return the fields in which runs differ, with each run's value."""
    table = config_differences(runs)
    return [
        (str(field), list(map(str, row))) for field, row in zip(table.index, table.to_numpy(), strict=True)
    ]


def environments(runs: Sequence[Run]) -> dict[str, Any]:
    """Return where each run was made: the facts that matter, and all versions of packages."""
    found = [environment(run) for run in runs]
    names = list(dict.fromkeys(name for one in found for name in one.get("packages", {})))
    packages = [
        (name, [str(one.get("packages", {}).get(name, "unknown")) for one in found]) for name in names
    ]
    rows = [
        ("started", [started_at(run) for run in runs]),
        ("commit", [commit_of(run) for run in runs]),
        ("device", [str(one.get("device", "unknown")) for one in found]),
        (
            "processes, threads each",
            [f"{one.get('processes', '?')}, {one.get('threads', '?')}" for one in found],
        ),
        ("Python", [str(one.get("python", "unknown")) for one in found]),
        ("platform", [str(one.get("platform", "unknown")) for one in found]),
        ("schedule", [str(run.config["schedule"]) for run in runs]),
        ("epochs", [str(run.config["epochs"]) for run in runs]),
        ("parameters", [count(run.total("parameters") / len(run.members)) for run in runs]),
        ("training recordings", [told_range(run, "train_recordings") for run in runs]),
        ("unusable files", [told_range(run, "bad_files") for run in runs]),
    ]
    return {
        "rows": rows,
        "differing": [row for row in packages if len(set(row[1])) > 1],
        "same": [(name, values[0]) for name, values in packages if len(set(values)) == 1],
        "commands": [
            (run.name, command_of(one), str(run.folder)) for run, one in zip(runs, found, strict=True)
        ],
    }


def environment(run: Run) -> dict[str, Any]:
    """Return the `environment.json` of a run, or of its first fold; empty where there is none."""
    for folder in (run.folder, *run.members):
        try:
            return RunFolder(folder).read_json("environment")
        except (OSError, json.JSONDecodeError):
            continue
    return {}


def commit_of(run: Run) -> str:
    """Return the commits that a run was made from, shortened."""
    versions = [
        str(RunFolder(folder).read_json("summary").get("code_version", "unknown")) for folder in run.members
    ]
    short = [
        version[:SHORT_COMMIT] + (" with changes" if version.endswith("+changes") else "")
        for version in dict.fromkeys(versions)
    ]
    return ", ".join(short)


def command_of(found: dict[str, Any]) -> str:
    """Return the command line of a run."""
    words = found.get("command")
    return " ".join(map(str, words)) if words else "unknown"


def count(number: float) -> str:
    """Return such as 5.06 M."""
    if np.isnan(number):
        return "unknown"
    return f"{number / 1e6:.2f} M" if number >= 1e6 else f"{number:g}"


def told_range(run: Run, fact: str) -> str:
    """Return a number of a run's summary, or its range over the folds."""
    numbers = [RunFolder(folder).read_json("summary").get(fact) for folder in run.members]
    known = sorted({number for number in numbers if number is not None})
    if not known:
        return "unknown"
    return setting_text(known[0]) if len(known) == 1 else f"{known[0]} to {known[-1]}"
