"""The loop that runs the trials of a sweep, several at once if wished."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.training.stopping import StopSignal
from sweeps.check import ROOT
from sweeps.command import expand
from sweeps.devices import Slot
from sweeps.proposals import propose
from sweeps.sweep_folder import FAILED, FINISHED, RUNNING, STOPPED, SweepFolder, Trial
from sweeps.trial_process import END_SECONDS, STOP_SECONDS, TrialProcess, await_leftovers

MAX_FAILURES = 3
"""So many failed trials in a row end a sweep."""
POLL_SECONDS = 0.5
NOTE_MINUTES = 0.25
LOG_LINES = 12


@dataclass
class Place:
    """A slot and the trial in it; `earlier` are the minutes that the trial had run before."""

    slot: Slot
    trial: Trial | None = None
    process: TrialProcess | None = None
    earlier: float = 0.0


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
        self.places = [Place(slot) for slot in slots]
        self.failures = 0
        self.stop = StopSignal()

    def run(self) -> int:
        """Run what is left; return the exit status of the program."""
        for trial in self.unfinished():
            await_leftovers(self.folder.folder_of(trial))
        with self.stop.listening():
            try:
                while self.step():
                    time.sleep(POLL_SECONDS)
            finally:
                self.interrupt()
        return self.verdict()

    def step(self) -> bool:
        """Note what has ended, end what is poor, start what comes next; return whether to go on."""
        for place in self.places:
            self.note(place)
            if place.process is not None and place.process.process.poll() is not None:
                self.settle(place)
        if self.stop.received or self.failures >= MAX_FAILURES:
            return False
        self.prune()
        for place in self.places:
            if place.process is None:
                self.fill(place)
        return any(place.process is not None for place in self.places)

    def note(self, place: Place, every: float = NOTE_MINUTES) -> None:
        """Record how long a trial has run, so that a kill loses little of it."""
        trial, process = place.trial, place.process
        if trial is None or process is None:
            return
        minutes = place.earlier + process.minutes
        if minutes - trial.minutes >= every:
            trial.minutes = minutes
            self.folder.record(trial)

    def unfinished(self) -> list[Trial]:
        """Return the trials that were interrupted and are not in a place again."""
        taken = [place.trial.number for place in self.places if place.trial is not None]
        trials = [trial for _, trial in sorted(self.folder.trials.items())]
        return [trial for trial in trials if trial.state == RUNNING and trial.number not in taken]

    def fill(self, place: Place) -> None:
        """Put the next trial into a place: one that was interrupted, or else a new one."""
        for trial in self.unfinished():
            run = self.folder.run_of(trial)
            if run is None or not run.is_finished:
                self.start(place, trial)
                return
            self.conclude(trial, FINISHED)  # it ended while nobody watched
        missing = [number for number in range(self.count) if number not in self.folder.trials]
        if missing:
            proposal = propose(self.sweep, self.seed, missing[0], self.folder.outcomes())
            self.start(place, self.folder.add(missing[0], proposal))

    def start(self, place: Place, trial: Trial) -> None:
        """Start a trial, or go on with it."""
        home = self.folder.folder_of(trial)
        more = [*self.words, f"--output_dir={home}"]
        resumed = self.folder.run_of(trial) is not None
        if resumed:
            more.append("--resume=True")
        program = self.sweep.program if Path(self.sweep.program).is_file() else str(ROOT / self.sweep.program)
        command = expand(self.sweep.command, program, trial.parameters, more)
        environment = place.slot.environment | {
            "WANDB_MODE": "disabled" if os.environ.get("WANDB_MODE") == "disabled" else "offline",
            "WANDB_RUN_ID": trial.wandb_id,
            "WANDB_RUN_GROUP": self.folder.path.name,
        }
        shown = "  ".join(f"{key}={shorten(value)}" for key, value in trial.parameters.items())
        print(f"trial {trial.number} {'goes on' if resumed else 'starts'}: {shown}", flush=True)
        place.trial, place.earlier = trial, trial.minutes
        place.process = TrialProcess(command, home, environment, place.slot.cores)

    def prune(self) -> None:
        """End running trials that the sweep's rule finds too poor."""
        rule = self.sweep.early_terminate
        for place in self.places:
            if rule is None or place.trial is None or place.process is None or place.process.is_stopping:
                continue
            others = [
                self.folder.values_of(trial)
                for trial in self.folder.trials.values()
                if trial is not place.trial
            ]
            if rule.stops(self.folder.values_of(place.trial), others, self.sweep.goal):
                place.process.stop()

    def settle(self, place: Place) -> None:
        """Note how the trial of a place ended, once all its processes have."""
        trial, process = place.trial, place.process
        assert trial is not None
        assert process is not None
        process.wait(STOP_SECONDS if process.is_stopping else END_SECONDS)
        self.note(place, every=0.0)
        place.trial, place.process = None, None
        run = self.folder.run_of(trial)
        if run is not None and run.is_finished:
            self.conclude(trial, FINISHED)
        elif process.is_stopping:
            self.conclude(trial, STOPPED)
        else:
            self.conclude(trial, FAILED, f"exit status {process.process.returncode}")

    def conclude(self, trial: Trial, state: str, reason: str = "") -> None:
        """Record the end of a trial, and say it."""
        trial.state = state
        self.folder.record(trial)
        self.failures = self.failures + 1 if state == FAILED else 0
        values = self.folder.values_of(trial)
        result = f"{self.sweep.metric} {values[-1]:.4f}" if values else f"no {self.sweep.metric}"
        log = self.folder.folder_of(trial) / "output.log"
        told = f"{reason}, see {log}" if state == FAILED else result
        print(f"trial {trial.number} {state}: {told}, {trial.minutes:.1f} minutes", flush=True)
        if state == FAILED:
            print("\n".join(f"    {line}" for line in last_lines(log)), flush=True)

    def interrupt(self) -> None:
        """Let running trials save and end; they go on when the sweep does."""
        running = [place for place in self.places if place.process is not None]
        for place in running:
            assert place.process is not None
            place.process.stop()
        for place in running:
            assert place.process is not None
            assert place.trial is not None
            place.process.wait(STOP_SECONDS)
            self.note(place, every=0.0)
            run = self.folder.run_of(place.trial)
            if run is not None and run.is_finished:
                self.conclude(place.trial, FINISHED)
            place.trial, place.process = None, None

    def verdict(self) -> int:
        """Say where the sweep stands; return the exit status of the program."""
        ended = [trial for trial in self.folder.trials.values() if trial.state != RUNNING]
        print(
            f"{len(ended)} of {self.count} trials have ended: {self.folder.path / 'trials.csv'}", flush=True
        )
        if self.stop.received:
            print("Stopped; the same command goes on.", flush=True)
            return self.stop.exit_code
        if self.failures >= MAX_FAILURES:
            print(f"{MAX_FAILURES} trials in a row failed; the sweep ends here.", flush=True)
            return 1
        print(f"Upload with: wandb sync {self.folder.path}/trials/*/*/*/wandb/offline-run-*", flush=True)
        return 0


def shorten(value: object) -> str:
    """Return a value as it is shown: numbers with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def last_lines(log: Path) -> list[str]:
    """Return the end of a trial's output; a progress bar counts as its last state."""
    lines = [line.rpartition("\r")[2] for line in log.read_text(errors="replace").splitlines()]
    return [line for line in lines if line.strip()][-LOG_LINES:]
