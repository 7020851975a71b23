"""Run a sweep file without a server: python -m sweeps.local FILE [--count=N] [words for every trial].

The same file, programs and parameters as with `wandb sweep` and `wandb agent`. What this program does not
know itself goes to every trial, such as --data.root=FOLDER or --epochs=2. The same command again goes on
where a sweep was stopped or killed: trials that ended are not repeated.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from core.command_line import settle_config
from core.config import require
from core.config_checks import home_path, naming, require_name, require_output, require_seed
from core.machine import usable_cores
from core.program import telling_mistakes
from core.training.stopping import StopSignal
from sweeps.check import ROOT, checked_sweep, config_of, keys_of
from sweeps.command import fixed_words, num_processes, parameter_words, trial_command
from sweeps.devices import Slot, share_devices, visible_gpus
from sweeps.parameters import value_text
from sweeps.proposals import num_trials, propose
from sweeps.sweep_file import SweepFile
from sweeps.sweep_folder import FAILED, FINISHED, RUNNING, STOPPED, SweepFolder, Trial
from sweeps.trial_process import END_SECONDS, STOP_SECONDS, TrialProcess, end_processes

MAX_FAILURES = 3
"""So many failed trials in a row end a sweep."""
LOOP_SECONDS = 0.5
RECORD_MINUTES = 0.25
LOG_LINES = 12


class _LocalSweep:
    """A sweep that runs here."""

    def __init__(
        self, folder: SweepFolder, seed: int, words: Sequence[str], count: int, slots: Sequence[Slot]
    ) -> None:
        self.folder, self.sweep, self.seed = folder, folder.sweep, seed
        self.words, self.count = list(words), count
        self.free, self.running = list(slots), list[TrialProcess]()
        self.failures = 0
        self.stop = StopSignal()

    def run(self) -> int:
        """Run what is left; return the exit status of the program."""
        for trial in self._interrupted_trials():
            end_processes(self.folder.folder_of(trial))
        with self.stop.listening():
            try:
                while self._step():
                    time.sleep(LOOP_SECONDS)
            finally:
                self._interrupt()
        return self._print_end()

    def _step(self) -> bool:
        """Record what has ended, end what is poor, start what comes next; return whether to go on."""
        for one in list(self.running):
            self._record_minutes(one)
            if one.exit_status is not None:
                one.wait(STOP_SECONDS if one.is_stopping else END_SECONDS)
                self._release(one)
                state = STOPPED if one.is_stopping else FAILED
                self._record_end(one.trial, state, f"exit status {one.exit_status}")
        if self.stop.received or self.failures >= MAX_FAILURES:
            return False
        self._stop_poor_trials()
        while self.free and (trial := self._next_trial()) is not None:
            self._start(self.free.pop(0), trial)
        return bool(self.running)

    def _record_minutes(self, one: TrialProcess, every: float = RECORD_MINUTES) -> None:
        """Record how long a trial has run, so that a kill loses little of it."""
        if one.minutes - one.trial.minutes >= every:
            one.trial.minutes = one.minutes
            self.folder.record(one.trial)

    def _interrupted_trials(self) -> list[Trial]:
        """Return the trials that began and neither ended nor run here."""
        here = [one.trial.number for one in self.running]
        trials = self.folder.trials.values()
        return [trial for trial in trials if trial.state == RUNNING and trial.number not in here]

    def _next_trial(self) -> Trial | None:
        """Return the trial to start: one that was interrupted, else a new one; None if all have begun."""
        for trial in self._interrupted_trials():
            if not self.folder.is_finished(trial):
                return trial
            self._record_end(trial)  # it ended while nobody watched
        number = next((k for k in range(self.count) if k not in self.folder.trials), None)
        if number is None:
            return None
        trial = propose(self.sweep, self.seed, number, self.folder.known())
        self.folder.record(trial)
        return trial

    def _start(self, slot: Slot, trial: Trial) -> None:
        """Start a trial, or go on with it."""
        home = self.folder.folder_of(trial)
        more = [*self.words, f"--output_dir={home}"]
        resumed = self.folder.run_of(trial) is not None
        if resumed:
            more.append("--resume=last")
        program = self.sweep.program if Path(self.sweep.program).is_file() else str(ROOT / self.sweep.program)
        command = trial_command(self.sweep.command, program, trial.parameters, more)
        environment = {
            "WANDB_MODE": "disabled" if os.environ.get("WANDB_MODE") == "disabled" else "offline",
            "WANDB_RUN_ID": trial.wandb_id,
            "WANDB_RUN_GROUP": self.folder.path.name,
        }
        shown = "  ".join(f"{key}={value_text(value)}" for key, value in trial.parameters.items())
        print(f"trial {trial.number} {'goes on' if resumed else 'starts'}: {shown}", flush=True)
        self.running.append(TrialProcess(trial, slot, command, home, environment))

    def _stop_poor_trials(self) -> None:
        """End running trials that the sweep's rule finds too poor."""
        rule = self.sweep.early_terminate
        if rule is None:
            return
        for one in self.running:
            others = [trial for trial in self.folder.trials.values() if trial is not one.trial]
            values, known = self.folder.values_of(one.trial), [self.folder.values_of(two) for two in others]
            if not one.is_stopping and rule.stops(values, known, self.sweep.goal):
                one.stop()

    def _release(self, one: TrialProcess) -> None:
        """Record the minutes of a trial whose processes have ended, and free its slot."""
        self._record_minutes(one, every=0.0)
        self.running.remove(one)
        self.free.append(one.slot)

    def _record_end(self, trial: Trial, state: str = FINISHED, reason: str = "") -> None:
        """Record and print the end of a trial: its state is `state` only if its run has not finished."""
        trial.state = FINISHED if self.folder.is_finished(trial) else state
        self.folder.record(trial)
        self.failures = self.failures + 1 if trial.state == FAILED else 0
        log, metric = self.folder.folder_of(trial) / "output.log", self.sweep.metric
        outcome = f"no {metric}" if trial.value is None else f"{metric} {trial.value:.4f}"
        if trial.state == FAILED:
            outcome = f"{reason}, see {log}"
        print(f"trial {trial.number} {trial.state}: {outcome}, {trial.minutes:.1f} minutes", flush=True)
        if trial.state == FAILED:
            print("\n".join(f"    {line}" for line in _last_lines(log)), flush=True)

    def _interrupt(self) -> None:
        """Let running trials save and end; they go on when the sweep does."""
        for one in self.running:
            one.stop()
        for one in list(self.running):
            one.wait(STOP_SECONDS)
            self._release(one)
            if self.folder.is_finished(one.trial):
                self._record_end(one.trial)

    def _print_end(self) -> int:
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


def _last_lines(log: Path) -> list[str]:
    """Return the end of a trial's output; a progress bar counts as its last state."""
    lines = [line.rpartition("\r")[2] for line in log.read_text(errors="replace").splitlines()]
    return [line for line in lines if line.strip()][-LOG_LINES:]


def _parser() -> argparse.ArgumentParser:
    """Return the parser of this program's own options."""
    known = argparse.ArgumentParser(
        prog="python -m sweeps.local",
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    known.add_argument("file", type=Path, help="the sweep file")
    known.add_argument("--count", type=int, help="trials of the sweep in all; a grid ends by itself")
    jobs, seed = "trials at once: a GPU, or a share of the cores, each", "of random and bayes, not of a trial"
    known.add_argument("--jobs", type=int, default=1, help=jobs)
    known.add_argument("--seed", type=int, default=0, help=seed)
    known.add_argument("--id", help="name of the sweep's folder; by default from file, seed and words")
    known.add_argument("--out", type=home_path, default=Path("outputs/sweeps"), help="folder of all sweeps")
    return known


def main() -> None:
    """Run a sweep, and exit with 0 when all its trials have ended."""
    given, words = _parser().parse_known_args()
    with telling_mistakes():
        sweep = checked_sweep(given.file, words)
        count = num_trials(sweep, given.count)
        require_output("--out", given.out, is_folder=True)
        require_seed("--seed", given.seed)
        if given.id is not None:
            require_name("--id", given.id)
        endless = f"{given.file}: a {sweep.method} sweep has no end; give --count or run_cap"
        require(count is not None, endless)
        require(given.count is None or given.count >= 1, f"--count={given.count}: at least 1")
        with naming(given.file):
            _check_start(sweep, given.seed, words)
        folder = SweepFolder(given.out / (given.id or _default_id(sweep, given.seed, words)), sweep)
        slots = share_devices(given.jobs, num_processes(sweep.command), visible_gpus(), usable_cores())
        folder.open(given.seed, words)
    print(f"{sweep.name}: {sweep.question}\n{count} trials in {folder.path}", flush=True)
    sys.exit(_LocalSweep(folder, given.seed, words, count or 0, slots).run())


def _check_start(sweep: SweepFile, seed: int, words: Sequence[str]) -> None:
    """Check that the first trial could start here: that its data are where they are said to be."""
    given = [*fixed_words(sweep.command), *words]
    keys = [*keys_of(given), *(one.key for one in sweep.parameters)]
    require("output_dir" not in keys, "output_dir: a trial's runs go into the sweep's folder (--out)")
    first = parameter_words(propose(sweep, seed, 0).parameters)
    with contextlib.redirect_stdout(io.StringIO()):
        settle_config(config_of(sweep.program), [*given, *first])


def _default_id(sweep: SweepFile, seed: int, words: Sequence[str]) -> str:
    """Return the file's name and a hash of what decides a sweep: file, seed and words."""
    content = json.dumps([sweep.text, seed, list(words)])
    return f"{sweep.file.stem}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


if __name__ == "__main__":
    main()
