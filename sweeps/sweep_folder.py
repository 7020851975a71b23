"""The folder of a sweep without a server: `outputs/sweeps/<id>/`.

`sweep.yaml` (the file as it was), `sweep.json`, `trials.csv` (one row a trial) and `trials/<k>/` with
`trial.json`, `output.log` and the folder of the trial's run. Every file appears whole or not at all, and
`trials.csv` is made from the `trial.json`s, so that a sweep that was killed is always read right.
"""

import csv
import fcntl
import hashlib
import io
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.files import write_atomically
from core.machine import code_version
from core.run_folder import RunFolder, run_name, stamp_of
from sweeps.errors import demand
from sweeps.proposals import Outcome, Proposal
from sweeps.sweep_file import Sweep

RUNNING, FINISHED, FAILED, STOPPED = "running", "finished", "failed", "stopped"


@dataclass
class Trial:
    """One trial of a sweep.

    Attributes
    ----------
    number
        From 0.
    parameters, positions
        As proposed.
    wandb_id
        W&B's id of its run, however often it is taken up again.
    state
        `RUNNING` until it has ended by itself: one that was interrupted goes on with the sweep.
    minutes
        It has run so far, starts included.
    """

    number: int
    parameters: dict[str, Any]
    positions: dict[str, float] = field(default_factory=dict)
    wandb_id: str = field(default_factory=lambda: secrets.token_hex(4))
    state: str = RUNNING
    minutes: float = 0.0


class SweepFolder:
    """Files of one sweep.

    Parameters
    ----------
    path
        The folder.
    sweep
        The sweep file.
    """

    def __init__(self, path: Path, sweep: Sweep) -> None:
        self.path, self.sweep = path, sweep
        self.trials: dict[int, Trial] = {}
        self._values: dict[int, tuple[int, list[float]]] = {}  # by trial: size of the log, and what it held

    def open(self, seed: int, words: Sequence[str]) -> None:
        """Make the folder, or read the trials it holds.

        Raises
        ------
        SweepError
            If it belongs to another file, seed or words, or another process has it open.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock()
        self._settle("sweep.yaml", self.sweep.text, f"another version of {self.sweep.file}")
        sweep = self.sweep
        facts = {
            "id": self.path.name,
            "name": sweep.name,
            "question": sweep.question,
            "method": sweep.method,
            "metric": {"name": sweep.metric, "goal": sweep.goal},
            "program": sweep.program,
            "seed": seed,
            "overrides": list(words),
        }
        file = self.path / "sweep.json"
        if file.is_file():
            known = json.loads(file.read_text())
            for key, given in facts.items():
                demand(
                    known.get(key) == given,
                    f"{self.path}: begun with {key}={known.get(key)}, not {given}; choose another --id",
                )
        else:
            write_atomically(file, json.dumps(facts | {"code_version": code_version()}, indent=2) + "\n")
        for file in sorted(self.path.glob("trials/*/trial.json")):
            trial = Trial(**json.loads(file.read_text()))
            self.trials[trial.number] = trial
        self.write_table()

    def _lock(self) -> None:
        self._locked = (self.path / ".lock").open("w")
        try:
            fcntl.flock(self._locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        demand(free, f"{self.path}: another process is running this sweep")

    def _settle(self, name: str, text: str, otherwise: str) -> None:
        file = self.path / name
        if not file.is_file():
            write_atomically(file, text)
        demand(file.read_text() == text, f"{self.path}: begun with {otherwise}; choose another --id")

    def folder_of(self, trial: Trial) -> Path:
        """Return the folder of a trial."""
        return self.path / "trials" / str(trial.number)

    def run_of(self, trial: Trial) -> RunFolder | None:
        """Return the folder of a trial's run, of all folds where it trains all; None if it has none yet."""
        runs = sorted(file.parent for file in self.folder_of(trial).glob("*/*/config.json"))
        groups = [run for run in runs if run.name == run_name(stamp_of(run), "all")]
        return RunFolder((groups or runs)[-1]) if runs else None

    def values_of(self, trial: Trial) -> list[float]:
        """Return the values of the metric that a trial's run has logged; of all folds, the pooled one."""
        run = self.run_of(trial)
        if run is not None and run.path.name == run_name(stamp_of(run.path), "all"):
            pooled = run.read_json("summary").get("metrics", {}) if run.is_finished else {}
            value = pooled.get(self.sweep.metric.removeprefix("valid/"), {}).get("value")
            return [] if value is None else [value]
        file = run.path / "metrics.jsonl" if run is not None else None
        if run is None or file is None or not file.is_file():
            return []
        size = file.stat().st_size
        if trial.number not in self._values or self._values[trial.number][0] != size:
            rows = [row.get(self.sweep.metric) for row in run.history()]
            self._values[trial.number] = (size, [value for value in rows if value is not None])
        return self._values[trial.number][1]

    def outcomes(self) -> list[Outcome]:
        """Return what is known of the trials so far, but the failed ones."""
        return [
            Outcome(trial.positions, self.values_of(trial), trial.state)
            for _, trial in sorted(self.trials.items())
            if trial.state != FAILED
        ]

    def add(self, number: int, proposal: Proposal) -> Trial:
        """Enter a new trial."""
        trial = Trial(number, proposal.parameters, proposal.positions)
        self.trials[number] = trial
        self.record(trial)
        return trial

    def record(self, trial: Trial) -> None:
        """Write what has become of a trial."""
        write_atomically(self.folder_of(trial) / "trial.json", json.dumps(asdict(trial), indent=2) + "\n")
        self.write_table()

    def write_table(self) -> None:
        """Write `trials.csv`."""
        swept = [parameter.key for parameter in self.sweep.parameters if not parameter.is_constant]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["trial", "state", "run", "minutes", *swept, self.sweep.metric])
        for number, trial in sorted(self.trials.items()):
            run = self.run_of(trial)
            where = run.path.relative_to(self.path) if run is not None else ""
            values = self.values_of(trial) if trial.state in (FINISHED, STOPPED) else []
            parameters = [str(trial.parameters[key]) for key in swept]
            value = values[-1] if values else ""
            writer.writerow([number, trial.state, where, f"{trial.minutes:.2f}", *parameters, value])
        write_atomically(self.path / "trials.csv", text.getvalue())


def default_id(sweep: Sweep, seed: int, words: Sequence[str]) -> str:
    """Return the file's name and a hash of what decides a sweep: file, seed and words."""
    content = json.dumps([sweep.text, seed, list(words)])
    return f"{sweep.file.stem}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"
