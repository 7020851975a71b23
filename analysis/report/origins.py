"""Where runs come from: their data, settings, commits, machines and commands."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.report.selection import Group
from analysis.runs import Run, config_differences, setting_text
from core.data.recordings import UNKNOWN_AUTHOR
from core.run_folder import RunFolder, stamp_of

SHORT_COMMIT = 10


def data_facts(group: Group) -> list[tuple[str, str]]:
    """Return what the runs of a group were judged on: (fact, value)."""
    run = group.runs[0]
    rows, root = run.predictions, run.config["data"]["root"]
    facts = [("data", "the default" if root is None else str(root))]
    if len(rows):
        facts += [
            ("validated clips", f"{len(rows)}"),
            ("recordings", f"{len(np.unique(rows.recording))}"),
            ("authors", f"{len(set(rows.author) - {'', UNKNOWN_AUTHOR})}"),
            ("scored species", f"{len(rows.species)}"),
            ("positive labels", f"{int(rows.truth.sum())}"),
        ]
    return [*facts, ("folds", fold_text(run))]


def fold_text(run: Run) -> str:
    """Return which folds judged, and how they were made."""
    data = run.config["data"]
    which = "none" if run.fold is None else "all" if run.fold == "all" else f"fold {run.fold}"
    kept = ", an author's recordings kept together" if data["group_by_author"] else ""
    return f"{which} of {data['num_folds']} (seed {data['fold_seed']}{kept})"


def differing_settings(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """Return the fields in which runs differ, with each run's value."""
    return [(str(field), list(row)) for field, row in config_differences(runs).iterrows()]


def environments(runs: Sequence[Run]) -> dict[str, Any]:
    """Return where each run was made: the facts that matter, versions of packages, and commands."""
    found = [environment_of(run) for run in runs]
    names = dict.fromkeys(name for one in found for name in one.get("packages", {}))
    packages = {name: [str(one.get("packages", {}).get(name, "unknown")) for one in found] for name in names}
    known = [{key: str(value) for key, value in one.items()} for one in found]
    rows = [
        ("started", [started_at(run) for run in runs]),
        ("commit", [commit_of(run) for run in runs]),
        ("device", [one.get("device", "unknown") for one in known]),
        (
            "processes, threads each",
            [f"{one.get('processes', '?')}, {one.get('threads', '?')}" for one in known],
        ),
        ("Python", [one.get("python", "unknown") for one in known]),
        ("platform", [one.get("platform", "unknown") for one in known]),
        ("schedule", [str(run.config["schedule"]) for run in runs]),
        ("epochs", [str(run.config["epochs"]) for run in runs]),
        ("parameters", [parameters_text(run) for run in runs]),
        ("training recordings", [fact_text(run, "train_recordings") for run in runs]),
        ("unusable files", [fact_text(run, "bad_files") for run in runs]),
    ]
    return {
        "rows": rows + [(name, values) for name, values in packages.items() if len(set(values)) > 1],
        "same": [(name, values[0]) for name, values in packages.items() if len(set(values)) == 1],
        "commands": [
            (run.name, " ".join(map(str, one.get("command", ["unknown"]))), str(run.folder))
            for run, one in zip(runs, found, strict=True)
        ],
    }


def environment_of(run: Run) -> dict[str, Any]:
    """Return the `environment.json` of a run, or of its first fold; empty where there is none."""
    for folder in (run.folder, *run.members):
        try:
            return RunFolder(folder).read_json("environment")
        except (OSError, json.JSONDecodeError):
            continue
    return {}


def started_at(run: Run) -> str:
    """Return when a run started, such as 2026-11-25 07:07; its stamp where that holds no time."""
    stamp = stamp_of(run.folder)
    day, _, rest = stamp.partition("-")
    clock = rest[:6]
    if len(day) == 8 and day.isdigit() and len(clock) == 6 and clock.isdigit():
        return f"{day[:4]}-{day[4:6]}-{day[6:]} {clock[:2]}:{clock[2:4]}"
    return stamp


def facts_of(run: Run, fact: str) -> list[Any]:
    """Return a fact of the summaries of a run's trainings, each value that is known once."""
    values = [RunFolder(folder).read_json("summary").get(fact) for folder in run.members]
    return list(dict.fromkeys(value for value in values if value is not None))


def commit_of(run: Run) -> str:
    """Return the commits that a run was made from, shortened."""
    return ", ".join(
        version[:SHORT_COMMIT] + (" with changes" if version.endswith("+changes") else "")
        for version in facts_of(run, "code_version") or ["unknown"]
    )


def parameters_text(run: Run) -> str:
    """Return the parameters of a network, such as 5.06 M."""
    number = run.total("parameters") / len(run.members)
    if np.isnan(number):
        return "unknown"
    return f"{number / 1e6:.2f} M" if number >= 1e6 else f"{number:g}"


def fact_text(run: Run, fact: str) -> str:
    """Return a number of a run's summary, or its range over the folds."""
    known = sorted(facts_of(run, fact)) or ["unknown"]
    return setting_text(known[0]) if len(known) == 1 else f"{known[0]} to {known[-1]}"
