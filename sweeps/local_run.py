"""The loop that runs the trials of a sweep, several at once if wished."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.training.stopping import StopSignal
from sweeps.check import ROOT
from sweeps.command import trial_command
from sweeps.devices import Slot
from sweeps.parameters import value_text
from sweeps.proposals import propose
from sweeps.sweep_folder import SweepFolder
from sweeps.trial import FAILED, FINISHED, RUNNING, STOPPED, Trial
from sweeps.trial_process import END_SECONDS, STOP_SECONDS, TrialProcess, await_leftovers

MAX_FAILURES = 3
"""So many failed trials in a row end a sweep."""
LOOP_SECONDS = 0.5
RECORD_MINUTES = 0.25
LOG_LINES = 12


@dataclass
class RunningTrial:
    """A trial that runs in a slot; `earlier` are the minutes that it had run before it was interrupted."""

    slot: Slot
    trial: Trial
    process: TrialProcess
    earlier: float


class LocalSweep:
    """A sweep that runs here.

    Parameters
    ----------
    folder
        Opened.
    seed
        Of the proposals.
    words
        For every trial.
    count
        Trials in all.
    slots
        One for each trial at once.
    """

    def __init__(
        self, folder: SweepFolder, seed: int, words: Sequence[str], count: int, slots: Sequence[Slot]
    ) -> None:
        self.folder, self.sweep, self.seed = folder, folder.sweep, seed
        self.words, self.count = list(words), count
        self.free, self.running = list(slots), list[RunningTrial]()
        self.failures = 0
        self.stop = StopSignal()

    def run(self) -> int:
        """Run what is left; return the exit status of the program."""
        for trial in self.interrupted_trials():
            await_leftovers(self.folder.folder_of(trial))
        with self.stop.listening():
            try:
                while self.step():
                    time.sleep(LOOP_SECONDS)
            finally:
                self.interrupt()
        return self.print_end()

    def step(self) -> bool:
        """Record what has ended, end what is poor, start what comes next; return whether to go on."""
        for one in list(self.running):
            self.record_minutes(one)
            if one.process.process.poll() is not None:
                self.finish(one)
        if self.stop.received or self.failures >= MAX_FAILURES:
            return False
        self.stop_poor_trials()
        while self.free and (trial := self.next_trial()) is not None:
            self.start(self.free.pop(0), trial)
        return bool(self.running)

    def record_minutes(self, one: RunningTrial, every: float = RECORD_MINUTES) -> None:
        """Record how long a trial has run, so that a kill loses little of it."""
        minutes = one.earlier + one.process.minutes
        if minutes - one.trial.minutes >= every:
            one.trial.minutes = minutes
            self.folder.record(one.trial)

    def interrupted_trials(self) -> list[Trial]:
        """Return the trials that began and neither ended nor run here."""
        here = [one.trial.number for one in self.running]
        trials = self.folder.trials.values()
        return [trial for trial in trials if trial.state == RUNNING and trial.number not in here]

    def next_trial(self) -> Trial | None:
        """Return the trial to start: one that was interrupted, else a new one; None if all have begun."""
        for trial in self.interrupted_trials():
            if not self.folder.is_finished(trial):
                return trial
            self.record_end(trial, FINISHED)  # it ended while nobody watched
        number = next((k for k in range(self.count) if k not in self.folder.trials), None)
        if number is None:
            return None
        trial = propose(self.sweep, self.seed, number, self.folder.known())
        self.folder.add(trial)
        return trial

    def start(self, slot: Slot, trial: Trial) -> None:
        """Start a trial, or go on with it."""
        home = self.folder.folder_of(trial)
        more = [*self.words, f"--output_dir={home}"]
        resumed = self.folder.run_of(trial) is not None
        if resumed:
            more.append("--resume=True")
        program = self.sweep.program if Path(self.sweep.program).is_file() else str(ROOT / self.sweep.program)
        command = trial_command(self.sweep.command, program, trial.parameters, more)
        environment = slot.environment | {
            "WANDB_MODE": "disabled" if os.environ.get("WANDB_MODE") == "disabled" else "offline",
            "WANDB_RUN_ID": trial.wandb_id,
            "WANDB_RUN_GROUP": self.folder.path.name,
        }
        shown = "  ".join(f"{key}={value_text(value)}" for key, value in trial.parameters.items())
        print(f"trial {trial.number} {'goes on' if resumed else 'starts'}: {shown}", flush=True)
        process = TrialProcess(command, home, environment, slot.cores)
        self.running.append(RunningTrial(slot, trial, process, trial.minutes))

    def stop_poor_trials(self) -> None:
        """End running trials that the sweep's rule finds too poor."""
        rule = self.sweep.early_terminate
        if rule is None:
            return
        for one in self.running:
            others = [trial for trial in self.folder.trials.values() if trial is not one.trial]
            values, known = self.folder.values_of(one.trial), [self.folder.values_of(two) for two in others]
            if not one.process.is_stopping and rule.stops(values, known, self.sweep.goal):
                one.process.stop()

    def finish(self, one: RunningTrial) -> None:
        """Record how a trial ended, once all its processes have."""
        one.process.wait(STOP_SECONDS if one.process.is_stopping else END_SECONDS)
        self.release(one)
        if self.folder.is_finished(one.trial):
            self.record_end(one.trial, FINISHED)
        elif one.process.is_stopping:
            self.record_end(one.trial, STOPPED)
        else:
            self.record_end(one.trial, FAILED, f"exit status {one.process.process.returncode}")

    def release(self, one: RunningTrial) -> None:
        """Record the minutes of a trial whose processes have ended, and free its slot."""
        self.record_minutes(one, every=0.0)
        self.running.remove(one)
        self.free.append(one.slot)

    def record_end(self, trial: Trial, state: str, reason: str = "") -> None:
        """Record the end of a trial, and print it."""
        trial.state = state
        self.folder.record(trial)
        self.failures = self.failures + 1 if state == FAILED else 0
        log, metric = self.folder.folder_of(trial) / "output.log", self.sweep.metric
        result = f"no {metric}" if trial.value is None else f"{metric} {trial.value:.4f}"
        outcome = f"{reason}, see {log}" if state == FAILED else result
        print(f"trial {trial.number} {state}: {outcome}, {trial.minutes:.1f} minutes", flush=True)
        if state == FAILED:
            print("\n".join(f"    {line}" for line in last_lines(log)), flush=True)

    def interrupt(self) -> None:
        """Let running trials save and end; they go on when the sweep does."""
        for one in self.running:
            one.process.stop()
        for one in list(self.running):
            one.process.wait(STOP_SECONDS)
            self.release(one)
            if self.folder.is_finished(one.trial):
                self.record_end(one.trial, FINISHED)

    def print_end(self) -> int:
        """Print where the sweep stands; return the exit status of the program."""
        ended = [trial for trial in self.folder.trials.values() if trial.state != RUNNING]
        table = self.folder.path / "trials.csv"
        print(f"{len(ended)} of {self.count} trials have ended: {table}", flush=True)
        if self.stop.received:
            print("Stopped; the same command goes on.", flush=True)
            return self.stop.exit_code
        if self.failures >= MAX_FAILURES:
            print(f"{MAX_FAILURES} trials in a row failed; the sweep ends here.", flush=True)
            return 1
        print(f"Upload with: wandb sync {self.folder.path}/trials/*/*/*/wandb/offline-run-*", flush=True)
        return 0


def last_lines(log: Path) -> list[str]:
    """Return the end of a trial's output; a progress bar counts as its last state."""
    lines = [line.rpartition("\r")[2] for line in log.read_text(errors="replace").splitlines()]
    return [line for line in lines if line.strip()][-LOG_LINES:]
