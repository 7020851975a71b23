"""The real W&B clients of the installed wandb work against the test server."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wandb_server import (
    RunRecord,
    SweepRecord,
    WandbServer,
    clean_server,
    run_client,
    start_client,
)

LOGGING = """
import wandb
run = wandb.init(project="birds", name="first", group="folds", config={"lr": 0.5, "mix.alpha": 1})
for step in range(3):
    run.log({"train/loss": 1 / (step + 1)}, step=step)
run.log({"table": wandb.Table(columns=["species"], data=[["skylar"]])})
artifact = wandb.Artifact("weights", "model")
with artifact.new_file("weights.txt") as file:
    file.write("0.5")
run.log_artifact(artifact).wait()
run.summary["best"] = 0.25
"""
FAILING = """
import sys, wandb
wandb.init(project="birds").log({"score": 1})
sys.exit(3)
"""
RESUMING = """
import os, wandb
run = wandb.init(project="birds", id="again", resume="allow")
for _ in range(2):
    run.log({"start": int(os.environ["START"])})
"""
ENDLESS = """
import time, wandb
run = wandb.init(project="birds")
while True:
    run.log({"score": 0})
    time.sleep(0.05)
"""
WAITING = """
import pathlib, time, wandb
run = wandb.init(project="birds")
while not pathlib.Path("end").exists():
    run.log({"score": 0})
    time.sleep(0.05)
run.finish()
pathlib.Path("done").touch()
"""
TRIAL = """
import sys, wandb
run = wandb.init()
run.log({"score": run.config["mix.alpha"], "num_arguments": len(sys.argv) - 1})
sys.exit(3 if run.config["mix.alpha"] > 0.3 else 0)
"""
SWEEP = """
program: program.py
method: grid
metric: {name: score, goal: maximize}
parameters:
  mix.alpha: {values: [0.0, 0.4, 0.8]}
  seed: {value: 1}
command: ["${env}", "${interpreter}", "${program}", "${args}"]
"""


@pytest.fixture
def server() -> Iterator[WandbServer]:
    """Yield a server, and check that no client of it is left and that it knew all answers."""
    with clean_server(grace_seconds=10) as server:
        yield server


def run_program(
    server: WandbServer, directory: Path, program: str, *, code: int = 0, **variables: str
) -> None:
    """Run a Python program that logs to the server and check its exit code."""
    (directory / "program.py").write_text(program)
    command = ["python", "program.py"]
    done = run_client(server, command, directory, num_retries=None, timeout_seconds=60, **variables)
    assert done.returncode == code, done.stdout


def create_sweep(server: WandbServer, directory: Path, program: str, more: str = "") -> SweepRecord:
    """Create a sweep over a Python program with `wandb sweep`."""
    (directory / "program.py").write_text(program)
    (directory / "sweep.yaml").write_text(SWEEP + more)
    done = run_client(server, ["wandb", "sweep", "--project", "birds", "sweep.yaml"], directory)
    assert done.returncode == 0, done.stdout
    (sweep,) = server.sweeps.values()
    return sweep


def agent_command(sweep: SweepRecord, *options: str) -> list[str]:
    """Return the command line of an agent."""
    return ["wandb", "agent", *options, f"{sweep.entity}/{sweep.project}/{sweep.id}"]


def only_run(server: WandbServer) -> RunRecord:
    """Return the one run that the server knows."""
    (run,) = server.runs.values()
    return run


@pytest.mark.slow
def test_run_arrives_with_all_that_it_logged(server: WandbServer, tmp_path: Path) -> None:
    run_program(server, tmp_path, LOGGING)
    run = only_run(server)
    assert (run.project, run.name, run.group) == ("birds", "first", "folds")
    assert (run.state, run.exit_code, run.sweep) == ("finished", 0, None)
    assert run.config == {"lr": 0.5, "mix.alpha": 1}
    assert [row["train/loss"] for row in run.history] == [1, 0.5, pytest.approx(1 / 3)]
    assert [row["_step"] for row in run.history] == [0, 1, 2]
    assert run.summary["best"] == 0.25
    (table,) = (data for name, data in run.files.items() if name.endswith(".table.json"))
    assert json.loads(table) == {"columns": ["species"], "data": [["skylar"]]}
    weights = next(one for one in server.artifacts.values() if one.name == "weights")
    assert (weights.type, weights.state) == ("model", "COMMITTED")
    assert weights.files["weights.txt"] == b"0.5"


def test_exit_code_of_program_marks_its_run_failed(server: WandbServer, tmp_path: Path) -> None:
    run_program(server, tmp_path, FAILING, code=3)
    assert (only_run(server).state, only_run(server).exit_code) == ("failed", 3)


@pytest.mark.slow
def test_resumed_run_continues_its_history(server: WandbServer, tmp_path: Path) -> None:
    for start in ("1", "2"):
        run_program(server, tmp_path, RESUMING, START=start)
    history = only_run(server).history
    assert [(row["_step"], row["start"]) for row in history] == [(0, 1), (1, 1), (2, 2), (3, 2)]


@pytest.mark.slow
def test_sync_joins_the_offline_parts_of_a_run(server: WandbServer, tmp_path: Path) -> None:
    for start in ("1", "2"):
        run_program(server, tmp_path, RESUMING, START=start, WANDB_MODE="offline")
    assert not server.requests
    folders = sorted(map(str, (tmp_path / "wandb").glob("offline-run-*")))
    done = run_client(server, ["wandb", "sync", "--yes", *folders], tmp_path)
    assert done.returncode == 0, done.stdout
    assert only_run(server).state == "finished"
    assert [row["start"] for row in only_run(server).history] == [1, 1, 2, 2]


@pytest.mark.slow
def test_agent_runs_trials_until_its_count(server: WandbServer, tmp_path: Path) -> None:
    sweep = create_sweep(server, tmp_path, TRIAL)
    done = run_client(server, agent_command(sweep, "--count", "2"), tmp_path)
    assert done.returncode == 0, done.stdout
    assert [run.config for run in sweep.runs] == [
        {"mix.alpha": 0.0, "seed": 1},
        {"mix.alpha": 0.4, "seed": 1},
    ]
    assert [(run.state, run.exit_code) for run in sweep.runs] == [("finished", 0), ("failed", 3)]
    assert all(run.history[0]["num_arguments"] == 2 for run in sweep.runs)
    assert all((run.sweep, run.project) == (sweep.id, "birds") for run in sweep.runs)
    assert sweep.state == "RUNNING"


@pytest.mark.slow
def test_run_cap_ends_the_sweep_of_two_agents(server: WandbServer, tmp_path: Path) -> None:
    sweep = create_sweep(server, tmp_path, TRIAL, "run_cap: 2\n")
    agents = [start_client(server, agent_command(sweep), tmp_path) for _ in range(2)]
    assert [agent.wait(60) for agent in agents] == [0, 0]
    assert sorted(run.config["mix.alpha"] for run in sweep.runs) == [0.0, 0.4]
    assert sweep.state == "FINISHED"


@pytest.mark.slow
def test_server_stops_a_trial_and_cancels_its_sweep(server: WandbServer, tmp_path: Path) -> None:
    sweep = create_sweep(server, tmp_path, ENDLESS)
    agent = start_client(server, agent_command(sweep), tmp_path)
    server.wait_until(lambda: bool(sweep.runs and sweep.runs[0].history))
    server.stop_run(sweep.runs[0].id)
    server.wait_until(lambda: len(sweep.runs) == 2 and bool(sweep.runs[1].history))
    assert sweep.runs[0].state == "crashed"
    path = f"{sweep.entity}/{sweep.project}/{sweep.id}"
    done = run_client(server, ["wandb", "sweep", "--cancel", path], tmp_path)
    assert done.returncode == 0, done.stdout
    assert agent.wait(60) == 0
    assert [run.state for run in sweep.runs] == ["crashed", "crashed"]
    assert sweep.state == "CANCELED"


@pytest.mark.slow
def test_server_interrupts_a_run_without_agent(server: WandbServer, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(ENDLESS)
    client = start_client(server, ["python", "program.py"], tmp_path)
    server.wait_until(lambda: any(run.history for run in server.runs.values()))
    server.stop_run(only_run(server).id)
    assert client.wait(60) != 0
    assert (only_run(server).state, only_run(server).exit_code) == ("failed", 255)


@pytest.mark.slow
def test_program_survives_a_server_that_refuses(server: WandbServer, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(WAITING)
    client = start_client(server, ["python", "program.py"], tmp_path, num_retries=1)
    server.wait_until(lambda: any(run.history for run in server.runs.values()))
    server.refuse = True
    num_requests = len(server.requests)
    server.wait_until(lambda: len(server.requests) > num_requests)
    (tmp_path / "end").touch()
    assert client.wait(60) == 0
    assert (tmp_path / "done").exists()
    assert only_run(server).state == "running"


@pytest.mark.slow
def test_refusing_server_ends_init_with_an_error(server: WandbServer, tmp_path: Path) -> None:
    server.refuse = True
    (tmp_path / "program.py").write_text(FAILING)
    done = run_client(server, ["python", "program.py"], tmp_path, num_retries=1)
    assert done.returncode == 1, done.stdout
    assert "HTTP 503" in done.stdout


def post(server: WandbServer, path: str, body: bytes) -> bytes:
    """Send a request to the server and return the answer."""
    with urllib.request.urlopen(urllib.request.Request(server.url + path, body)) as answer:
        return bytes(answer.read())


def test_unknown_operations_are_answered_with_an_error_and_listed() -> None:
    with WandbServer() as server:
        answer = json.loads(post(server, "/graphql", b'{"query": "query Weather { sun }"}'))
        with pytest.raises(urllib.error.HTTPError, match="404"):
            post(server, "/weather", b"{}")
    assert "Weather" in answer["errors"][0]["message"]
    assert server.unknown_operations == ["Weather", "POST /weather"]


def test_sweep_with_a_wrong_configuration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text("method: bayes\nparameters: {x: {value: 1}}\n")
    with WandbServer() as server:
        done = run_client(server, ["wandb", "sweep", "-p", "birds", "sweep.yaml"], tmp_path)
    assert done.returncode != 0
    assert "found 'bayes', expected 'grid' or 'random'" in done.stdout
    assert not server.sweeps


def test_latency_holds_answers_back() -> None:
    with WandbServer(latency=0.2) as server:
        start = time.monotonic()
        post(server, "/graphql", b'{"query": "query Viewer { viewer }"}')
        assert time.monotonic() - start >= 0.2
