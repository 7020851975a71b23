"""The folder of a sweep without a server: `outputs/sweeps/<id>/`.

`sweep.yaml` (the file as it was), `sweep.json`, `trials.csv` (one row a trial) and `trials/<k>/` with
`trial.json`, `output.log` and the folder of the trial's run. Every file appears whole or not at all, and
`trials.csv` is made from the `trial.json`s, so that a sweep that was killed is always read right.

Optuna's `JournalStorage` does not give that (5.0): a last line that a power cut left half-written makes the
journal unreadable from the next write on, a kill during a write makes the next start wait for 30 seconds, and
a trial that has ended cannot be tried again.
"""

import csv
import fcntl
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from core.config import require
from core.config_checks import naming
from core.config_values import require_types
from core.files import read_json, replacing, write_atomically
from core.machine import code_version
from core.run_folder import RunFolder, run_name, stamp_of
from sweeps.sweep_file import SweepFile, read_sweep_file

FINISHED, STOPPED, FAILED, RUNNING = STATES = ("finished", "stopped", "failed", "running")


@dataclass
class Trial:
    """One trial of a sweep.

    Attributes
    ----------
    number
        From 0.
    parameters
        By dotted key, in W&B's order.
    positions
        Where they lie in the space that the bayes sampler sees; empty for other methods.
    wandb_id
        W&B's id of its run, however often it is taken up again.
    state
        `RUNNING` until it has ended by itself: one that was interrupted goes on with the sweep.
    minutes
        It has run so far, starts included.
    value
        The metric's last when it ended; None: it logged none.
    """

    number: int
    parameters: dict[str, Any]
    positions: dict[str, float] = field(default_factory=dict)
    wandb_id: str = field(default_factory=lambda: secrets.token_hex(4))
    state: str = RUNNING
    minutes: float = 0.0
    value: float | None = None


class SweepFolder:
    """Files of one sweep.

    Parameters
    ----------
    path
        The folder.
    sweep
        The sweep file.
    """

    def __init__(self, path: Path, sweep: SweepFile) -> None:
        self.path, self.sweep = path, sweep
        self.trials: dict[int, Trial] = {}
        self._swept = [parameter.key for parameter in sweep.parameters if not parameter.is_constant]
        self._values: dict[int, tuple[int, list[float]]] = {}  # by trial: size of the log, and what it held

    def open(self, seed: int, words: Sequence[str]) -> None:
        """Make the folder, or read the trials it holds, and keep other processes from running the sweep.

        Raises
        ------
        ValueError
            If it belongs to another file, seed or words, or another process has it open.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._locked = (self.path / ".lock").open("w")
        try:
            fcntl.flock(self._locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"{self.path}: another process is running this sweep"
            raise ValueError(message) from error
        copy, file = self.path / "sweep.yaml", self.path / "sweep.json"
        if not copy.is_file():
            write_atomically(copy, self.sweep.text)
        same = copy.read_text() == self.sweep.text
        require(same, f"{self.path}: begun with another version of {self.sweep.file}; choose another --id")
        asked = {"id": self.path.name, "name": self.sweep.name, "seed": seed, "overrides": list(words)}
        if not file.is_file():
            write_atomically(file, json.dumps(asked | {"code_version": code_version()}, indent=2) + "\n")
        known = read_json(file)
        for key, given in asked.items():
            begun = f"{self.path}: begun with {key}={known.get(key)}, not {given}; choose another --id"
            require(known.get(key) == given, begun)
        self.read_trials()
        self._write_table()

    def read_trials(self) -> None:
        """Read every `trial.json`."""
        for file in self.path.glob("trials/*/trial.json"):
            content = read_json(file)
            with naming(f"{file}: damaged"):
                trial = _trial_of(content, self._swept)
            self.trials[trial.number] = trial
        self.trials = dict(sorted(self.trials.items()))

    def folder_of(self, trial: Trial) -> Path:
        """Return the folder of a trial."""
        return self.path / "trials" / str(trial.number)

    def run_of(self, trial: Trial) -> RunFolder | None:
        """Return the folder of a trial's run, of all folds where it trains all; None if it has none yet."""
        files = sorted(self.folder_of(trial).glob("*/*/config.json"), reverse=True)
        runs = [file.parent for file in files]
        return RunFolder(max(runs, key=_is_group)) if runs else None

    def is_finished(self, trial: Trial) -> bool:
        """Return whether a trial's run came to its end."""
        run = self.run_of(trial)
        return run is not None and run.is_finished

    def values_of(self, trial: Trial) -> list[float]:
        """Return the values of the metric that a trial's run has logged; of all folds, the pooled one."""
        run = self.run_of(trial)
        if run is None:
            return []
        if _is_group(run.path):
            pooled = run.read_json("summary").get("metrics", {}) if run.is_finished else {}
            value = pooled.get(self.sweep.metric.removeprefix("valid/"), {}).get("value")
            return [] if value is None else [value]
        file = run.path / "metrics.jsonl"
        size = file.stat().st_size if file.is_file() else 0
        if trial.number not in self._values or self._values[trial.number][0] != size:
            rows = [row.get(self.sweep.metric) for row in run.history()]
            self._values[trial.number] = (size, [value for value in rows if value is not None])
        return self._values[trial.number][1]

    def value_of(self, trial: Trial) -> float | None:
        """Return what a trial reached; None while it runs, if it failed, or if it logged nothing."""
        if trial.state not in (FINISHED, STOPPED):
            return None
        values = self.values_of(trial)
        return values[-1] if values else trial.value

    def known(self) -> list[tuple[Trial, list[float]]]:
        """Return the trials with what they logged so far, without those that failed."""
        return [(trial, self.values_of(trial)) for trial in self.trials.values() if trial.state != FAILED]

    def record(self, trial: Trial) -> None:
        """Write what has become of a trial, or that there is a new one."""
        self.trials = dict(sorted({**self.trials, trial.number: trial}.items()))
        trial.value = self.value_of(trial)
        write_atomically(self.folder_of(trial) / "trial.json", json.dumps(asdict(trial), indent=2) + "\n")
        self._write_table()

    def _write_table(self) -> None:
        """Write `trials.csv`."""
        with replacing(self.path / "trials.csv") as new, new.open("w") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["trial", "state", "run", "minutes", *self._swept, self.sweep.metric])
            for number, trial in self.trials.items():
                run = self.run_of(trial)
                where = run.path.relative_to(self.path) if run is not None else ""
                parameters = [str(trial.parameters[key]) for key in self._swept]
                facts = [number, trial.state, where, f"{trial.minutes:.2f}"]
                writer.writerow([*facts, *parameters, self.value_of(trial)])


def read_sweep_folder(path: Path) -> SweepFolder:
    """Return the folder of a sweep with its trials, to be looked at, while it runs too.

    Raises
    ------
    ValueError
        If it is none, or one of its files is not readable.
    """
    require(path.is_dir(), f"{path}: no such folder of a sweep (looked in {Path.cwd()})")
    file = path / "sweep.json"
    asked = f"{path}: not the folder of a sweep, it has no sweep.json"
    require(file.is_file(), f"{asked} (expected outputs/sweeps/<id>, made by python -m sweeps.local)")
    facts = read_json(file)
    with naming(f"{file}: damaged"):
        require(isinstance(facts, dict) and "name" in facts, "needs a name")
    folder = SweepFolder(path, replace(read_sweep_file(path / "sweep.yaml"), name=facts["name"]))
    folder.read_trials()
    return folder


def _trial_of(content: Any, swept: Sequence[str]) -> Trial:
    """Return the trial that a `trial.json` holds, after checking it."""
    needed, known = {"number", "parameters", "state", "minutes"}, {one.name for one in fields(Trial)}
    right = isinstance(content, dict) and needed <= set(content) <= known
    require(right, f"needs {', '.join(sorted(needed))}, of {', '.join(sorted(known))}")
    require_types("", content, get_type_hints(Trial))
    trial = Trial(**content)
    require(trial.state in STATES, f"state={trial.state}: one of {', '.join(STATES)}")
    missing = [key for key in swept if key not in trial.parameters]
    require(not missing, f"parameters: no {', '.join(missing)}")
    return trial


def _is_group(run: Path) -> bool:
    """Return whether a run's folder is that of all folds."""
    return run.name == run_name(stamp_of(run), "all")
