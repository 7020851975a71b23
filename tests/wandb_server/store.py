"""What the server remembers: runs, sweeps, agents and the places that uploads go to."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

ENTITY = "tester"


@dataclass(kw_only=True)
class RunRecord:
    """One run as the server saw it.

    `state` is `pending` (handed to an agent, not heard of yet), `running`, `finished`, `failed` (ended with a
    non-zero exit code) or `crashed` (its agent lost it before it reported its end).
    """

    id: str
    entity: str = ENTITY
    project: str = "uncategorized"
    name: str = ""
    group: str | None = None
    notes: str | None = None
    state: str = "pending"
    exit_code: int | None = None
    sweep: str | None = None
    config_json: str = "{}"
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    is_stop_requested: bool = False

    @property
    def config(self) -> dict[str, Any]:
        """The configuration as it was given to `wandb.init`."""
        items = json.loads(self.config_json).items()
        return {name: item["value"] for name, item in items if name != "_wandb"}

    @property
    def is_unfinished(self) -> bool:
        """Whether more may still come from this run."""
        return self.state in {"pending", "running"}


@dataclass(kw_only=True)
class SweepRecord:
    """One sweep: the YAML it was created from, the runs started for it, and the trials still to come."""

    id: str
    source: str
    entity: str = ENTITY
    project: str
    state: str = "RUNNING"
    runs: list[RunRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read the configuration, of which nothing is checked before a trial is asked for."""
        self.config: dict[str, Any] = yaml.safe_load(self.source)
        self.trials = self._grid()

    def _grid(self) -> Iterator[dict[str, Any]]:
        """Yield the trials of a grid, its last parameter varying fastest."""
        assert self.config["method"] == "grid", "only a grid's trials are known without the real service"
        parameters = self.config["parameters"]
        choices = [spec["values"] if "values" in spec else [spec["value"]] for spec in parameters.values()]
        for values in itertools.product(*choices):
            yield dict(zip(parameters, values, strict=True))


@dataclass(kw_only=True)
class AgentRecord:
    """One sweep agent and the run it was told to start and has not reported as gone."""

    sweep: SweepRecord
    run: RunRecord | None = None


class Store:
    """Everything the server has received, by id and in the order of its arrival.

    Parameters
    ----------
    url
        The server's address.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.runs: dict[str, RunRecord] = {}
        self.sweeps: dict[str, SweepRecord] = {}
        self.agents: dict[str, AgentRecord] = {}
        self.artifacts: dict[str, dict[str, bytes]] = {}
        self.uploads: dict[str, tuple[dict[str, bytes], str]] = {}

    def add_run(self, run: RunRecord) -> RunRecord:
        """Keep a new run, and enter it with its sweep if it has one."""
        self.runs[run.id] = run
        if run.sweep in self.sweeps:
            self.sweeps[run.sweep].runs.append(run)
        return run

    def add_sweep(self, source: str, project: str) -> SweepRecord:
        """Keep a new sweep that starts with the first trial of its configuration."""
        sweep = SweepRecord(id=f"sweep{len(self.sweeps)}", source=source, project=project)
        self.sweeps[sweep.id] = sweep
        return sweep
