"""A sweep is read through W&B's own client, from a server on the loopback."""

import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import wandb
import yaml

from analysis.sweep.findings import SweepFindings
from analysis.sweep.report import sweep_text
from analysis.sweep.trial_results import SweepResults
from analysis.sweep.wandb_runs import close_client, read_wandb_sweep
from tests.analysis.sweeps import MadeTrial, write_run
from tests.runs import ROOT
from tests.wandb_server.clients import clean_server, run_client
from tests.wandb_server.operations import OPERATIONS, viewer
from tests.wandb_server.server import WandbServer
from tests.wandb_server.store import RunRecord, Store

CONTENT = {
    "name": "alpha",
    "method": "random",
    "metric": {"name": "valid/macro_auc", "goal": "maximize"},
    "parameters": {
        "mixup.alpha": {"distribution": "log_uniform_values", "min": 0.1, "max": 2.0},
        "loss.kind": {"values": ["focal", "bce"]},
    },
}
RUNS: list[dict[str, Any]] = [
    {"name": "one", "alpha": 0.2, "kind": "focal", "score": 0.7, "state": "finished", "speeds": [3, 30, 31]},
    {"name": "two", "alpha": 1.5, "kind": "bce", "score": 0.8, "state": "finished", "speeds": [20, 21, 22]},
    {"name": "three", "alpha": 0.9, "kind": "bce", "score": None, "state": "failed", "speeds": []},
    {"name": "four", "alpha": None, "kind": None, "score": None, "state": "pending", "speeds": []},
]


def config_of(run: dict[str, Any]) -> dict[str, Any]:
    return {} if run["alpha"] is None else {"mixup.alpha": run["alpha"], "loss.kind": run["kind"], "seed": 1}


def summary_of(run: dict[str, Any]) -> dict[str, Any]:
    score = run["score"]
    if score is None:
        return {"_runtime": 30}
    name = "valid/macro_auc"
    return {name: score, f"{name}_low": score - 0.05, f"{name}_high": score + 0.05, "_runtime": 90}


def history_of(run: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"_step": step, "train/clips_per_second": speed} for step, speed in enumerate(run["speeds"])]


LARGE = ("config", "summaryMetrics", "systemMetrics", "historyKeys")


# What the public API asks for beyond what runs and agents do.


def node_of(run: RunRecord) -> dict[str, Any]:
    return {
        "id": run.id, "tags": [], "name": run.id, "displayName": run.name, "sweepName": run.sweep,
        "state": run.state, "config": run.config_json, "group": None, "jobType": None, "commit": None,
        "readOnly": False, "createdAt": "2026-01-01T00:00:00", "heartbeatAt": None, "description": None,
        "notes": None, "systemMetrics": "{}", "summaryMetrics": json.dumps(run.summary),
        "historyLineCount": len(run.history), "historyKeys": None, "projectId": "1",
        "user": {"name": "tester", "username": "tester"},
    }  # fmt: skip


def get_sweep(store: Store, variables: dict[str, Any]) -> dict[str, Any]:
    sweep = store.sweeps.get(variables["name"])
    if sweep is None:
        return {"project": {"sweep": None}}
    facts = {"id": sweep.id, "name": sweep.id, "state": sweep.state, "config": sweep.source}
    return {"project": {"sweep": {**facts, "displayName": None, "bestLoss": None}}}


def get_runs(store: Store, variables: dict[str, Any]) -> dict[str, Any]:
    (condition,) = json.loads(variables["filters"])["$and"]
    runs = store.sweeps[condition["sweep"]].runs
    first = int(variables.get("cursor") or 0)
    page = runs[first : first + 2]  # small pages: the client has to ask for the next one
    # as in a real listing, the large fields are asked for run by run
    nodes = [{k: v for k, v in node_of(run).items() if k not in LARGE} for run in page]
    edges = [{"node": node, "cursor": str(first + i + 1)} for i, node in enumerate(nodes)]
    more = first + 2 < len(runs)
    page_info = {"endCursor": str(first + len(page)), "hasNextPage": more}
    return {"project": {"runCount": len(runs), "runs": {"edges": edges, "pageInfo": page_info}}}


def get_run(store: Store, variables: dict[str, Any]) -> dict[str, Any]:
    return {"project": {"run": node_of(store.runs[variables["name"]])}}


def sampled_history(store: Store, variables: dict[str, Any]) -> dict[str, Any]:
    return {"project": {"run": {"sampledHistory": [store.runs[variables["name"]].history]}}}


READING: dict[str, Callable[[Store, dict[str, Any]], dict[str, Any]]] = {
    "GetSweep": get_sweep,
    "Runs": get_runs,
    "Run": get_run,
    "RunSampledHistory": sampled_history,
    "GetDefaultEntity": viewer,
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    for name, operation in READING.items():
        monkeypatch.setitem(OPERATIONS, name, operation)
    with clean_server() as server:
        yield server


def fill(server: WandbServer) -> str:
    """Enter the sweep and its runs; return its path."""
    store = server.store
    sweep = store.add_sweep(yaml.safe_dump(CONTENT, sort_keys=False), "birds")
    for place, run in enumerate(RUNS):
        config = {key: {"value": value} for key, value in config_of(run).items()}
        record = RunRecord(
            id=f"run{place}", project="birds", name=run["name"], state=run["state"], sweep=sweep.id,
            config_json=json.dumps(config), summary=summary_of(run), history=history_of(run),
        )  # fmt: skip
        store.add_run(record)
    return f"tester/birds/{sweep.id}"


def analyse(server: WandbServer, path: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "analysis.sweep", path, "--resamples=200"]
    return run_client(
        server, command, folder,
        WANDB_X_GRAPHQL_RETRY_MAX="0", WANDB_HTTP_TIMEOUT="3", PYTHONPATH=str(ROOT),
    )  # fmt: skip


@pytest.mark.slow
def test_a_sweep_is_read_by_the_real_client(server: WandbServer, tmp_path: Path) -> None:
    path = fill(server)
    done = analyse(server, path, tmp_path)
    assert done.returncode == 0, done.stdout
    for part in (
        "random sweep, maximize valid/macro_auc; 4 trials: 2 finished, 1 failed, 1 running",
        "two finished 0.800 [0.750, 0.850] 21 1.5 bce 1.5",
        "one finished 0.700 [0.650, 0.750] 30 1.5 focal 0.2",
        "three failed undefined - 0.5 bce 0.9 four running undefined - 0.5 - - Without a final",
        "verdict: no predictions of the 2 trials lie here",
    ):
        assert part in " ".join(done.stdout.split()), done.stdout
    assert (tmp_path / "outputs/sweeps" / path.rpartition("/")[2] / "analysis/trials.csv").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("refuse", [False, True])
def test_a_sweep_that_cannot_be_read_is_named(server: WandbServer, tmp_path: Path, refuse: bool) -> None:
    server.refuse = refuse
    done = analyse(server, "tester/birds/nothing", tmp_path)
    assert done.returncode == 2
    assert "error: tester/birds/nothing: not read from W&B: " in done.stdout
    assert "Traceback" not in done.stdout


def test_a_client_that_never_ends_is_not_waited_for() -> None:
    end = threading.Event()
    started = time.monotonic()
    assert not close_client(end.wait, seconds=0.2)
    assert time.monotonic() - started < 2
    end.set()
    assert close_client(end.wait, seconds=5.0)


class PublicRun(SimpleNamespace):
    """As much of the public API's run as is read."""

    def history(self, keys: list[str], pandas: bool) -> list[dict[str, Any]]:
        assert not pandas
        return [{key: row[key] for key in keys} for row in self.rows if set(keys) <= set(row)]


def read_made(patch: pytest.MonkeyPatch, names: list[str], folder: Path, **config: Any) -> SweepResults:
    """Read `RUNS` under other names from a made-up public API; the first with another configuration."""
    runs = [
        PublicRun(
            name=name,
            state=run["state"],
            config=config_of(run),
            summary=summary_of(run),
            rows=history_of(run),
        )
        for name, run in zip(names, RUNS, strict=False)
    ]
    runs[0].config = config or runs[0].config
    found = SimpleNamespace(config=CONTENT, name="alpha", runs=runs)
    patch.setattr(wandb, "Api", lambda: SimpleNamespace(sweep=lambda path: found))
    return read_wandb_sweep("a/b", folder)


def test_predictions_come_from_the_runs_that_lie_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_run(tmp_path / "outputs", MadeTrial({}, speed=99.0), 0)
    sweep = read_made(monkeypatch, [folder.name, "elsewhere"], tmp_path)
    assert [trial.name for trial in sweep.ranked if trial.run is None] == ["elsewhere"]
    here = next(trial for trial in sweep.trials if trial.run is not None)
    assert here.run is not None
    assert len(here.run.predictions) == 75
    assert here.metric.value == 0.7, "what W&B recorded stays"
    assert here.clips_per_second == 30.0


def test_a_nested_configuration_is_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nested = {"mixup": {"alpha": 0.3}, "loss": {"kind": "bce"}}
    sweep = read_made(monkeypatch, ["one", "two", "three"], tmp_path, **nested)
    assert sweep.trials[0].values == {"mixup.alpha": 0.3, "loss.kind": "bce"}
    assert math.isnan(sweep.trials[2].metric.value)
    assert "two" in sweep_text(SweepFindings(sweep))
