"""Where runs come from: their data, settings, commits, machines and commands."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from analysis.report.selection import Group
from analysis.runs import Run, setting_text
from core.data.recordings import UNKNOWN_AUTHOR
from core.run_folder import RunFolder, stamp_of

SHORT_COMMIT = 10
STAMP = "%Y%m%d-%H%M%S"


def data_facts(group: Group) -> dict[str, str]:
    """Return what the runs of a group were judged on."""
    run = group.runs[0]
    rows, data = run.predictions, run.config["data"]
    facts = {"data": "the default" if data["root"] is None else str(data["root"])}
    if len(rows):
        facts |= {
            "validated clips": f"{len(rows)}",
            "recordings": f"{len(np.unique(rows.recording))}",
            "authors": f"{len(set(rows.author) - {'', UNKNOWN_AUTHOR})}",
            "scored species": f"{len(rows.species)}",
            "positive labels": f"{int(rows.truth.sum())}",
        }
    which = "none" if run.fold is None else "all" if run.fold == "all" else f"fold {run.fold}"
    kept = ", an author's recordings kept together" if data["group_by_author"] else ""
    return facts | {"folds": f"{which} of {data['num_folds']} (seed {data['fold_seed']}{kept})"}


def environments(runs: Sequence[Run]) -> dict[str, Any]:
    """Return where each run was made: the facts that matter, versions of packages, and commands."""
    found = [_environment_of(run) for run in runs]
    names = dict.fromkeys(name for one in found for name in one.get("packages", {}))
    packages = {name: [str(one.get("packages", {}).get(name, "unknown")) for one in found] for name in names}
    rows = {
        "started": [_started_at(run) for run in runs],
        "commit": [", ".join(map(_short_commit, _facts_of(run, "code_version"))) for run in runs],
        "device": [str(one.get("device", "unknown")) for one in found],
        "processes, threads each": [
            f"{one.get('processes', '?')}, {one.get('threads', '?')}" for one in found
        ],
        "Python": [str(one.get("python", "unknown")) for one in found],
        "platform": [str(one.get("platform", "unknown")) for one in found],
        "schedule": [str(run.config["schedule"]) for run in runs],
        "epochs": [str(run.config["epochs"]) for run in runs],
        "parameters": [_parameters_text(run) for run in runs],
        "training recordings": [_range_text(run, "train_recordings") for run in runs],
        "unusable files": [_range_text(run, "bad_files") for run in runs],
    }
    return {
        "rows": rows | {name: values for name, values in packages.items() if len(set(values)) > 1},
        "same": {name: values[0] for name, values in packages.items() if len(set(values)) == 1},
        "commands": [
            (run.name, " ".join(map(str, one.get("command", ["unknown"]))), str(run.folder))
            for run, one in zip(runs, found, strict=True)
        ],
    }


def _environment_of(run: Run) -> dict[str, Any]:
    """Return the `environment.json` of a run, or of its first fold; empty where there is none."""
    for folder in (run.folder, *run.members):
        try:
            return RunFolder(folder).read_json("environment")
        except ValueError:
            continue
    return {}


def _started_at(run: Run) -> str:
    """Return when a run started, such as 2026-11-25 07:07; its stamp where that holds no time."""
    stamp = stamp_of(run.folder)
    try:
        return f"{datetime.strptime(stamp[:15], STAMP):%Y-%m-%d %H:%M}"
    except ValueError:
        return stamp


def _facts_of(run: Run, fact: str) -> list[Any]:
    """Return a fact of the summaries of a run's trainings, each value once; "unknown" without any."""
    values = [RunFolder(folder).read_json("summary").get(fact) for folder in run.members]
    return list(dict.fromkeys(value for value in values if value is not None)) or ["unknown"]


def _short_commit(version: str) -> str:
    """Return a commit, shortened."""
    return version[:SHORT_COMMIT] + (" with changes" if version.endswith("+changes") else "")


def _parameters_text(run: Run) -> str:
    """Return the parameters of a network, such as 5.06 M."""
    number = run.total("parameters") / len(run.members)
    if np.isnan(number):
        return "unknown"
    return f"{number / 1e6:.2f} M" if number >= 1e6 else f"{number:g}"


def _range_text(run: Run, fact: str) -> str:
    """Return a number of a run's summary, or its range over the folds."""
    known = sorted(_facts_of(run, fact))
    return setting_text(known[0]) if len(known) == 1 else f"{known[0]} to {known[-1]}"
