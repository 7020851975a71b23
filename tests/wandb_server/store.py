"""What the server remembers: runs, sweeps, agents, artifacts and the places uploads go to."""

import random
import string
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.wandb_server.sweeps import Parameters, choose_trials

ENTITY = "tester"
DEFAULT_PROJECT = "uncategorized"
UNFINISHED_STATES = ("pending", "running")


@dataclass(kw_only=True)
class RunRecord:
    """One run as the server saw it.

    `state` is `pending` (handed to an agent, not heard of yet), `running`, `finished`, `failed`
    (ended with a non-zero exit code) or `crashed` (its agent lost it before it reported its end).
    """

    id: str
    entity: str = ENTITY
    project: str = DEFAULT_PROJECT
    name: str = ""
    group: str | None = None
    job_type: str | None = None
    notes: str | None = None
    tags: list[str] = field(default_factory=list)
    state: str = "pending"
    exit_code: int | None = None
    sweep: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    config_json: str = "{}"
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    is_stop_requested: bool = False

    @property
    def node_id(self) -> str:
        """The identifier by which GraphQL refers to the run."""
        return f"run-{self.id}"

    @property
    def is_unfinished(self) -> bool:
        """Whether more may still come from this run."""
        return self.state in UNFINISHED_STATES

    def finish(self, exit_code: int) -> None:
        """Close the run with the exit code that its program reported."""
        self.exit_code = exit_code
        self.state = "failed" if exit_code else "finished"


@dataclass(kw_only=True)
class SweepRecord:
    """One sweep: its configuration, the runs started for it, and the trials still to come."""

    id: str
    entity: str
    project: str
    source: str
    config: dict[str, Any]
    trials: Iterator[Parameters]
    runs: list[RunRecord] = field(default_factory=list)
    requested_state: str = "RUNNING"
    upcoming: Parameters | None = field(init=False)

    def __post_init__(self) -> None:
        """Draw the first trial, so that an exhausted sweep is known without asking for one."""
        self.upcoming = next(self.trials, None)

    @property
    def node_id(self) -> str:
        """The identifier by which GraphQL refers to the sweep."""
        return f"sweep-{self.id}"

    @property
    def state(self) -> str:
        """`RUNNING`, `PAUSED`, `CANCELED` or `FINISHED`."""
        is_done = self.upcoming is None and not any(run.is_unfinished for run in self.runs)
        return "FINISHED" if self.requested_state == "RUNNING" and is_done else self.requested_state

    def take_trial(self) -> Parameters | None:
        """Return the parameters of the next trial, or None when the sweep has no more."""
        trial = self.upcoming
        self.upcoming = next(self.trials, None)
        return trial


@dataclass(kw_only=True)
class AgentRecord:
    """One sweep agent and the runs it was told to start and has not reported as gone."""

    id: str
    sweep: SweepRecord
    runs: list[RunRecord] = field(default_factory=list)


@dataclass(kw_only=True)
class ArtifactRecord:
    """One version of an artifact; `files` holds `manifest.json` and the contents by name."""

    id: str
    name: str
    type: str
    digest: str
    version: int
    run_id: str | None
    aliases: list[str] = field(default_factory=list)
    state: str = "PENDING"
    files: dict[str, bytes] = field(default_factory=dict)


class Store:
    """Everything the server has received, guarded by one lock.

    Parameters
    ----------
    seed
        Seed of the identifiers and of the trials that random sweeps draw.
    """

    def __init__(self, seed: int = 0) -> None:
        self.lock = threading.RLock()
        self.url = ""
        self.runs: dict[str, RunRecord] = {}
        self.sweeps: dict[str, SweepRecord] = {}
        self.agents: dict[str, AgentRecord] = {}
        self.artifacts: dict[str, ArtifactRecord] = {}
        self.uploads: dict[str, tuple[dict[str, bytes], str]] = {}
        self._random = random.Random(seed)

    def draw_id(self, taken: Iterable[str] = ()) -> str:
        """Return eight letters and digits that are not in `taken`."""
        drawn = "".join(self._random.choices(string.ascii_lowercase + string.digits, k=8))
        return drawn if drawn not in taken else self.draw_id(taken)

    def add_run(self, run: RunRecord) -> RunRecord:
        """Keep a new run, and enter it with its sweep if it has one."""
        self.runs[run.id] = run
        if run.sweep in self.sweeps:
            self.sweeps[run.sweep].runs.append(run)
        return run

    def add_sweep(self, source: str, config: dict[str, Any], entity: str, project: str) -> SweepRecord:
        """Keep a new sweep that starts with the first trial of its configuration."""
        trials = choose_trials(config, random.Random(self._random.random()))
        sweep = SweepRecord(
            id=self.draw_id(self.sweeps),
            entity=entity,
            project=project,
            source=source,
            config=config,
            trials=trials,
        )
        self.sweeps[sweep.id] = sweep
        return sweep

    def add_upload(self, files: dict[str, bytes], name: str) -> str:
        """Return the URL to which the contents of `files[name]` are to be put."""
        path = f"/uploads/{len(self.uploads)}"
        self.uploads[path] = (files, name)
        return self.url + path
